"""Reports on a run: one file a format. A module here with a `FORMAT` is a format, known by the endings of its files."""
