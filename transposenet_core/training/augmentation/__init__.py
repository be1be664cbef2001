"""Augmentation: training images and labels are varied in every step."""
