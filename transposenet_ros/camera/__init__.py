"""Whether the live camera is the training camera, and what to do if not."""
