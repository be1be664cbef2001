"""Training of the camera pose auto-encoder."""
