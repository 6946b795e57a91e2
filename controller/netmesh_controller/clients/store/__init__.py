"""The door to the database: runs and their cells. `open_store` opens it."""

from netmesh_controller.clients.store.errors import RunBusyError, RunNotFoundError, StoreError, StoreUrlError
from netmesh_controller.clients.store.location import data_directory
from netmesh_controller.clients.store.opening import open_store
from netmesh_controller.clients.store.shapes import CellPage, CellPosition, RunDetails, RunFilter, RunInfo, StoredRun
from netmesh_controller.clients.store.store import Store

__all__ = [
    "CellPage",
    "CellPosition",
    "RunBusyError",
    "RunDetails",
    "RunFilter",
    "RunInfo",
    "RunNotFoundError",
    "Store",
    "StoreError",
    "StoreUrlError",
    "StoredRun",
    "data_directory",
    "open_store",
]
