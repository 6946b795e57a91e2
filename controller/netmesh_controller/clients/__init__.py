"""One door for each outside system."""
