"""What decoding the files named on the command line costs, one JSON line each; a process of its own, with its own peak.

`end` is the image's shape or the reason, `megabytes` by how much the peak of memory rose, `seconds` time of the CPU.
"""

from __future__ import annotations

import array
import json
import re
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from transposenet_ros.decoding.image_decoding import DecodeError, decode_image


def peak_megabytes() -> float:
    """Of this program alone: the peak that getrusage knows is inherited from the process that started it."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def cost(data: bytes) -> dict:
    message = CompressedImage(data=array.array("B", data))
    peak, began = peak_megabytes(), time.process_time()
    try:
        end = str(decode_image(message).shape)
    except DecodeError as error:
        end = error.reason
    return {"end": end, "megabytes": peak_megabytes() - peak, "seconds": time.process_time() - began}


if __name__ == "__main__":
    cv2.setNumThreads(1)
    for extension in (".jpg", ".png"):
        cost(cv2.imencode(extension, np.zeros((480, 640, 3), np.uint8))[1].tobytes())  # what the first of a kind loads
    for file in sys.argv[1:]:
        print(json.dumps(cost(Path(file).read_bytes())), flush=True)
