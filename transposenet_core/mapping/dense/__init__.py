"""Depth images from the motion of the camera: plane sweep, semi-global smoothing, agreement across frames.

``depth_from_motion`` in depth_from_motion.py runs it; sensor.py compares and completes with a sensor's depth.
"""
