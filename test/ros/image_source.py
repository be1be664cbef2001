"""A camera as a process of its own: TOPIC COUNT RATE, 640x480 rgb8, best effort, stamped 1 s, 2 s, 3 s, ..."""

import sys
import time

import numpy as np
import rclpy
from live import image_message, quality
from sensor_msgs.msg import Image


def main(topic: str, count: str, rate: str) -> None:
    rclpy.init()
    node = rclpy.create_node("image_source")
    publisher = node.create_publisher(Image, topic, quality(depth=1, reliable=False))
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    time.sleep(0.5)  # known here is not yet known there
    message = image_message(np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8), 0)
    began = time.monotonic()
    for k in range(int(count)):
        message.header.stamp.sec = k + 1
        publisher.publish(message)
        time.sleep(max(0.0, began + (k + 1) / float(rate) - time.monotonic()))
    time.sleep(0.5)  # shared memory goes with its owner
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
