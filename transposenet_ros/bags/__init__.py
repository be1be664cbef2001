"""Recordings as files: names, reading, writing."""
