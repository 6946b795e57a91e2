"""`python -m netmesh_controller` is `netmesh-controller`; without what a controller needs it is one sentence."""

import sys


def main() -> None:
    """Entry point: an agent's installation has this command too, and nothing that it imports."""
    try:
        from netmesh_controller.surfaces.cli import main as command_line  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("netmesh"):
            raise
        sys.exit(
            f"netmesh-controller: {error.name} is missing: this is an agent's installation. "
            "Install netmesh[controller]."
        )
    command_line()


if __name__ == "__main__":
    main()
