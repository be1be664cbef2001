"""What a mapped recording looks like: point cloud, interactive page, contact sheet, card, overview.

Everything here takes a `Scene` with depth images, poses before and after, and plain figures; how they were made (from
motion or by a sensor) makes no difference.
"""
