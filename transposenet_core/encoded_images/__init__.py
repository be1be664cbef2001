"""JPEG and PNG bytes to pixels, by the same rules for the data check, training, evaluation and the node."""
