"""Whether the live camera is the training's, and what to do if not."""
