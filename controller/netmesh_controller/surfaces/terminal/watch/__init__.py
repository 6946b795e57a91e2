"""The watched mesh on the terminal: what was read of it, the picture, and lines where there is no screen."""
