"""Data of a training: pixels, depth, labels and the held-out frames."""
