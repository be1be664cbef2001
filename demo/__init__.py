"""The demo: a room that the project renders itself, drives through it, and the localizer run on them."""
