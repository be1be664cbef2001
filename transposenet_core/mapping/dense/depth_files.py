"""The files of depth from motion: depth and confidence of each frame, and what an interrupted run goes on from.

Each file appears whole or not at all, but for a power cut, which may leave it empty: what a run goes on from is read
before it is believed. A frame's record is written last and holds a key of all that went into it and hashes of what came
out: a frame whose record has the key that a new run comes to is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.file_hash import sha256_of
from transposenet_core.formats.folder_writing import encode
from transposenet_core.image_files import image_stem

VERSION = 1  # of the method: another one computes all frames again
MOST_UNITS = 65535  # a depth image has 16 bits
NEAREST_UNITS = 30  # the nearest depths keep steps of 3 %, however far a single frame sees


def key_of(*parts: Any) -> str:
    """A hash of what JSON can write."""
    return hashlib.sha256(json.dumps([VERSION, *parts], sort_keys=True).encode()).hexdigest()


def metres_per_unit(near: float, far: float) -> float:
    """The unit of depth images of a recording with depths from `near` to `far`: 1, 2 or 5 times a power of ten.

    The smallest with which `far` fits into 16 bits, so 0.3 m and 200 m do together (5 mm). Where that leaves too
    few units for `near`, what is farthest is given up.
    """
    wanted = min(far / MOST_UNITS, near / NEAREST_UNITS)
    power = 10.0 ** math.floor(math.log10(wanted))
    larger = [step * power for step in (1, 2, 5, 10) if step * power * (1 + 1e-9) >= wanted]
    return float(f"{larger[0]:.6g}")


class DepthFiles:
    """The files in the folder `out`, named as the images; what only an unfinished run needs is in `work`."""

    def __init__(self, out: Path, work: Path) -> None:
        self.out, self.work = out, work

    def depth_path(self, name: str) -> Path:
        return self.out / f"{image_stem(name)}.depth.png"

    def confidence_path(self, name: str) -> Path:
        return self.out / f"{image_stem(name)}.confidence.png"

    def _raw_path(self, name: str) -> Path:
        return self.work / f"{image_stem(name)}.raw.npz"

    def _record_path(self, name: str) -> Path:
        return self.work / f"{image_stem(name)}.json"

    def has_raw(self, name: str, key: str) -> bool:
        """Whether the raw depth of a frame is there, whole and made of the same inputs."""
        try:
            with np.load(self._raw_path(name)) as arrays:
                return str(arrays["key"]) == key and arrays["depth_HW"].shape == arrays["sure_HW"].shape
        except (OSError, EOFError, KeyError, ValueError, BadZipFile):
            return False

    def write_raw(self, name: str, key: str, depth_HW: np.ndarray, sure_HW: np.ndarray) -> None:
        """Depth float32 and how sure each pixel is, 0..1, which 8 bits keep. OSError where the disk is full."""
        sure_HW = np.rint(255 * np.clip(sure_HW, 0, 1)).astype(np.uint8)
        with write_atomically(self._raw_path(name), sync=False) as temporary:
            np.savez(temporary, key=np.array(key), depth_HW=depth_HW.astype(np.float32), sure_HW=sure_HW)

    def read_raw(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """What `write_raw` wrote."""
        with np.load(self._raw_path(name)) as arrays:
            return arrays["depth_HW"], arrays["sure_HW"].astype(np.float32) / 255

    def record(self, name: str, key: str) -> dict[str, Any] | None:
        """The facts about a finished frame made of the same inputs; None where there are none."""
        try:
            record = json.loads(self._record_path(name).read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("key") != key:
            return None
        return record["facts"] if record.get("files") == self._hashes(name) else None

    def write_depth(
        self, name: str, key: str, depth_HW: np.ndarray, confidence_HW: np.ndarray, unit: float, facts: dict[str, Any]
    ) -> None:
        """The images of a frame, depth in units of `unit`, confidence of 0..1 in 8 bits, then the record of both."""
        units_HW = np.rint(depth_HW.astype(np.float64) / unit)
        kept_HW = (depth_HW > 0) & (units_HW <= MOST_UNITS)
        units_HW = np.where(kept_HW, np.maximum(units_HW, 1), 0).astype(np.uint16)
        grey_HW = np.where(kept_HW, np.rint(255 * np.clip(confidence_HW, 0, 1)), 0).astype(np.uint8)
        for path, image_HW in ((self.depth_path(name), units_HW), (self.confidence_path(name), grey_HW)):
            with write_atomically(path, sync=False) as temporary:
                temporary.write_bytes(encode(image_HW, ".png"))
        with write_atomically(self._record_path(name), sync=False) as temporary:
            temporary.write_text(json.dumps({"key": key, "files": self._hashes(name), "facts": facts}))

    def _hashes(self, name: str) -> list[str | None]:
        """Of the images of a frame; None where one is not there."""
        paths = (self.depth_path(name), self.confidence_path(name))
        return [sha256_of(path) if path.is_file() else None for path in paths]
