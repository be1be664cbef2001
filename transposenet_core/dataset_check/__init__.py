"""Checks of a data set before training: its poses, images, times and split."""
