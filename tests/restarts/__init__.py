"""What restarts leave in the history of a mesh that is watched: `make restarts`, five minutes."""
