"""The demo: a room that the project renders itself, drives through it, and what is shown of it."""
