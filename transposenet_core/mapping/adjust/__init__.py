"""Bundle adjustment of a recording: its poses and lens agree with its images, in the map frame of its poses.

``correspondences`` finds what images show in common, ``rounds`` adjusts, ``adjustment`` decides what of it stands.
"""
