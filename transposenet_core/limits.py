"""What a configuration or a scene model may ask for; without imports, since a command's help checks it as well."""

MOST_SIDE = 4096  # pixels of an image's side, resized or seen by a network
MOST_CROPS = 1024  # windows of an image (PoseNet: 128)
