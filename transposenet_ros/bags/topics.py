"""Names that the writer and the reader of our recordings share."""

from __future__ import annotations

IMAGE_TOPIC = "/camera/image"
COMPRESSED_TOPIC = "/camera/image/compressed"
CAMERA_INFO_TOPIC = "/camera/camera_info"
GROUND_TRUTH_TOPIC = "/ground_truth/pose"
# Not the child frame the node publishes: two parents for one TF child break a robot.
GROUND_TRUTH_FRAME = "camera_ground_truth"

POSE_TYPE = "geometry_msgs/msg/PoseStamped"
# Message type -> the node's `image_transport`.
IMAGE_TYPES = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}

# Beside metadata.yaml: which source image a stamp belongs to. rosbag2 ignores files it does not know.
IMAGE_NAMES_FILE = "images.csv"

# A fixed day: bags of the same scene are the same, and no stamp is zero, which ROS takes as "unknown".
DEFAULT_START_S = 1_700_000_000.0
