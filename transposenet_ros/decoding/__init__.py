"""How pictures of messages are checked and decoded; `transposenet_ros.image_decoding` is the way in."""
