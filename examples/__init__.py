"""Services to copy from."""
