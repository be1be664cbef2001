"""The robot's own frames: /tf with tf2's semantics."""
