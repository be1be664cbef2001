"""What a network attends to, and the images that it expects to see."""
