"""A recording replayed to a live node, and what it answered."""
