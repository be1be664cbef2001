"""From a robot's recording to posed pictures; `transposenet_ros.bag_to_dataset` is the way in."""
