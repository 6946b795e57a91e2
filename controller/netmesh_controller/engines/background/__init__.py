"""Bandwidth tests in the background: who runs them and what keeps them."""
