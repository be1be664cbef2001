"""Poses, rotations, cameras and covariances: arithmetic without files, networks or ROS."""
