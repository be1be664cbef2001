"""What comes in: pictures, CameraInfo, stamps, and what is missing."""
