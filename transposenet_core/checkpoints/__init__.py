"""Weights that other programs have written."""
