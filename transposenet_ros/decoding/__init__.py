"""How images of messages are checked and decoded; `transposenet_ros.decoding.image_decoding` is the way in."""
