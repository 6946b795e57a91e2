"""What runs long."""
