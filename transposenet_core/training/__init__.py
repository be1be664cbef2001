"""Training: configuration, pixels, augmentation, loss, the step, the loop, and the results."""
