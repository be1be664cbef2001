"""Learning a scene: configuration, pixels, augmentation, loss, the step, the loop, and what outlives it."""
