"""What comes in: images, CameraInfo, stamps, and what is missing."""
