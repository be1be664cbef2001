"""Cache of decoded, rectified and resized images on disk, written once and then memory-mapped.

An entry is one .npy file (N, 3, h, w) uint8, named by a hash of the images' bytes and of the processing: a changed
image gives another entry. It appears complete under its name or not at all. Processes that write the same entry at the
same time each finish theirs, and both are valid. Mapped pages belong to the system's page cache: a scene may be larger
than the memory. Removing an entry does not affect processes that have it mapped.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from transposenet_core.atomic_files import write_atomically
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.preprocessing import Preprocessing

VERSION = 1
LIMIT = 20 * 10**9  # bytes of all entries; the one in use may be larger
LEFT_ALONE = 60  # seconds that an unlocked unfinished file is kept: its owner may be about to lock it

Shape = tuple[int, int, int, int]
Store = Callable[[int, torch.Tensor], None]


def entry_key(digests: Iterable[bytes], preprocessing: Preprocessing, distortion: Intrinsics | None) -> str:
    """A hash of images (their digests in order), resizing, the removed distortion (if any) and the versions."""
    camera = distortion and {name: value for name, value in distortion.to_dict().items() if name != "source"}
    made_by = (
        VERSION,
        cv2.__version__,
        torch.__version__,
        preprocessing.smaller_edge,
        preprocessing.image_size,
        camera,
    )
    return hashlib.sha256(json.dumps(made_by).encode() + b"".join(digests)).hexdigest()[:32]


def digest(path: Path) -> bytes:
    """Hash of an image's bytes. One that cannot be read counts as empty: decoding it reports the error."""
    data = b""
    with suppress(OSError):
        data = path.read_bytes()
    return hashlib.sha256(data).digest()


def _header(shape: Shape) -> bytes:
    """What an entry begins with, by which it is known: nothing in the file is interpreted."""
    begin = io.BytesIO()
    np.lib.format.write_array_header_1_0(begin, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
    return begin.getvalue()


@dataclass(frozen=True)
class PixelCache:
    """The entries in a folder, at most `limit` bytes; the least recently used ones are removed first."""

    folder: Path
    limit: int = LIMIT

    def get(self, key: str, shape: Shape) -> torch.Tensor | None:
        """The entry (N, 3, h, w) uint8 of this shape, mapped, to be read only; None where there is none, or one that is
        damaged, which is made anew."""
        path, header = self._path(key), _header(shape)
        try:
            with open(path, "rb") as file:
                if file.read(len(header)) != header or path.stat().st_size != len(header) + math.prod(shape):
                    return None
            mapped = np.memmap(path, np.uint8, "r", len(header), shape)
        except (OSError, ValueError):
            return None
        with suppress(OSError):  # the cache of another user
            os.utime(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about a tensor that is not writable, as intended
            return torch.from_numpy(mapped)

    def put(self, key: str, shape: Shape, fill: Callable[[Store], None]) -> torch.Tensor | None:
        """Make an entry: `fill(store)` stores every image (3, h, w) by its number, from any thread.

        OSError if it cannot be written; then nothing is left behind.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_unfinished()
        # The lock is held until the file has its name: an unlocked file means that its owner died.
        with ExitStack() as stack, write_atomically(self._path(key)) as temporary:
            file = stack.enter_context(open(temporary, "r+b"))
            fcntl.flock(file, fcntl.LOCK_EX)
            header = _header(shape)
            file.write(header)
            file.flush()
            start, size = len(header), shape[1] * shape[2] * shape[3]
            os.posix_fallocate(file.fileno(), 0, start + shape[0] * size)  # fails now if the disk is full

            def store(number: int, image_3HW: torch.Tensor) -> None:
                os.pwrite(file.fileno(), image_3HW.contiguous().numpy().data, start + number * size)

            fill(store)
        self._keep_to_limit(key)
        return self.get(key, shape)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"

    def _remove_unfinished(self) -> None:
        """Remove the unfinished files of killed processes."""
        for path in self.folder.glob(".*.partial.npy"):
            with suppress(OSError), open(path, "r+b") as file:
                if time.time() - path.stat().st_mtime > LEFT_ALONE:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: its owner is alive
                    path.unlink()

    def _keep_to_limit(self, used: str) -> None:
        entries = []
        for path in self.folder.glob("*.npy"):
            with suppress(OSError):  # another process was quicker
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total > self.limit and path != self._path(used) and not path.name.startswith("."):
                with suppress(OSError):
                    path.unlink()
                total -= size
