"""A recording replayed to a live node, and the poses that it returned."""
