"""Weights written by other programs."""
