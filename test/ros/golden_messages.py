"""The messages of the shared golden file, each with what the real cv_bridge makes of it."""

from __future__ import annotations

import array
import json
from pathlib import Path

import numpy as np
from sensor_msgs.msg import CompressedImage, Image


def golden_messages(data_folder: Path) -> list[tuple[Image | CompressedImage, np.ndarray]]:
    """The messages of the golden file, each with what the real cv_bridge makes of it."""
    golden = np.load(data_folder / "decoding" / "cv_bridge_golden.npz")
    pairs = []
    for case in json.loads(str(golden["meta"])):
        data = array.array("B", golden[f"{case['key']}_data"].tobytes())
        if case["kind"] == "Image":
            fields = {name: case[name] for name in ("encoding", "width", "height", "step", "is_bigendian")}
            message = Image(data=data, **fields)
        else:
            message = CompressedImage(data=data, format=case["format"])
        pairs.append((message, golden[f"{case['key']}_rgb"]))
    return pairs
