"""On every node: does what it is told, reports what it saw, decides nothing."""
