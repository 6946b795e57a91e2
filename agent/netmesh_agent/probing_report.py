"""A window of the continuous probe, as it travels. Pure."""

from __future__ import annotations

from netmesh.v1 import agent_pb2
from netmesh_agent.stamp.sender import Peer
from netmesh_agent.stamp.window import Window


def fill(report: agent_pb2.ProbeReport, windows: list[Window], peers: list[Peer]) -> None:
    """Writes the columns; one that is 0 throughout stays empty."""
    columns: dict[str, list[int]] = {
        "sent": [window.received + window.lost for window in windows],
        "lost": [window.lost for window in windows],
        "forward_lost": [-1 if window.forward_lost is None else window.forward_lost for window in windows],
        "return_lost": [-1 if window.return_lost is None else window.return_lost for window in windows],
        "late": [window.late for window in windows],
        "duplicates": [window.duplicates for window in windows],
        "out_of_order": [window.out_of_order for window in windows],
        "incomplete": [window.incomplete for window in windows],
        "skipped": [peer.skipped for peer in peers],
        "measured": [len(window.network) for window in windows],
    }
    for name, column in columns.items():
        if any(column):
            getattr(report, name).extend(column)
    for peer in peers:
        peer.skipped = 0
    for window in windows:
        report.network_nanoseconds.extend(window.network)
