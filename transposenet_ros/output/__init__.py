"""What the node publishes about a frame."""
