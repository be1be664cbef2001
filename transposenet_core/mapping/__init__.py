"""A recording becomes a map: poses and lens adjusted to its images, and depth from them.

``adjust`` makes a `SparseMap` of a scene's training frames, ``dense`` depth images of it; `build.py` runs both and
writes a data set that training reads like any other.
"""
