"""One module per command of `transposenet` that needs no ROS: its help, its options, and what it does."""
