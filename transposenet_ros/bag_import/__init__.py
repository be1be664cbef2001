"""From a robot's recording to posed images; `transposenet_ros.bag_to_dataset` is the way in."""
