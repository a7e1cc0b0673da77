"""Who decides at a node."""
