"""Bandwidth tests in the background: decisions and figures, without I/O."""
