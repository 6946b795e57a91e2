"""`python -m netmesh_controller` is `netmesh-controller`."""

from netmesh_controller.surfaces.cli import main

main()
