"""What both ends need, and no more."""
