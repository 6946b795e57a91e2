"""What the pages show while a mesh has faults: `make watched`, six minutes."""
