"""The data check, training and the node accept and refuse the same image bytes, whatever follows the image."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_messages import NOISE, compressed, encoded, refusal
from small_scene import write_small_scene

from transposenet_core.dataset_check.check import check_dataset
from transposenet_core.dataset_check.image_check import sizes_or_faults
from transposenet_core.dataset_check.quick import quick_check
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_ros.decoding.image_decoding import decode_image

JPEG, PNG = encoded(".jpg"), encoded(".png")
# What a phone appends to a motion photo, longer than any window that a search from the file's end would have.
MP4 = struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + struct.pack(">I4s", 200_008, b"mdat") + b"\x00\x17" * 100_000
PREVIEW = encoded(".jpg", NOISE[:8, :8])
LARGE = encoded(".jpg", np.tile(NOISE, (5, 5, 1)))
EARLY_END = LARGE[: LARGE.index(b"\xff\xda") + 200] + b"\xff\xd9"  # both markers, most of the data between them lost
WHOLE = {
    "jpeg": JPEG,
    "motion photo": JPEG + MP4,
    "padding": JPEG + bytes(70_000),
    "smaller than a unit": encoded(".jpg", NOISE[:6, :9]),
    "second image": JPEG + PREVIEW,
    "second image cut off": JPEG + PREVIEW[:-20],
    "png": PNG,
    "png before a video": PNG + MP4,
}
REFUSED = {
    "cut off": JPEG[:-30],
    "cut off before a video": JPEG[:-30] + MP4,
    "cut off with a preview's end": JPEG[:2]
    + b"\xff\xe1"
    + struct.pack(">H", len(PREVIEW) + 2)
    + PREVIEW
    + JPEG[2:-30],
    "data end early": EARLY_END,
    "png cut off": PNG[:-20],
    "bitmap": encoded(".bmp"),
    "strip": encoded(".png", np.zeros((2, 300, 3), np.uint8)),
    "empty": b"",
}


@pytest.mark.parametrize("kind", WHOLE)
def test_t01_n08_a_whole_image_is_accepted_by_all_whatever_follows_it(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(WHOLE[kind])
    alone = next((image for image in (JPEG, PNG) if WHOLE[kind].startswith(image)), WHOLE[kind])
    expected_HW3 = cv2.imdecode(np.frombuffer(alone, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(read_image(file), expected_HW3)
    np.testing.assert_array_equal(decode_image(compressed(WHOLE[kind])), expected_HW3)
    size = expected_HW3.shape[1], expected_HW3.shape[0]
    assert [*sizes_or_faults([file], decode=False), *sizes_or_faults([file], decode=True)] == [(size, "")] * 2


@pytest.mark.parametrize("kind", REFUSED)
def test_t01_n08_an_image_that_is_not_whole_is_refused_by_all(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(REFUSED[kind])
    with pytest.raises(UserError):
        read_image(file)
    assert refusal(compressed(REFUSED[kind], "jpeg")) in {"decode_failed", "bad_dims"}
    ((size, fault),) = sizes_or_faults([file], decode=True)
    assert size is None and fault
    ((_, fault),) = sizes_or_faults([file], decode=False)
    assert fault or kind == "data end early", "which only decoding finds"


def test_t01_the_check_lists_and_skip_bad_leaves_out_what_training_cannot_decode(tmp_path: Path) -> None:
    root = write_small_scene(tmp_path / "desk")
    motion_photo, damaged = sorted((root / "seq-01").glob("*.png"))[:2]
    motion_photo.write_bytes(motion_photo.read_bytes() + MP4)
    damaged.with_suffix(".jpg").write_bytes(EARLY_END)
    damaged.unlink()
    data = f"7scenes:{root}"
    listed = check_dataset(data, motion=False, progress=False).faults.refused
    assert len(listed) == 1 and damaged.stem in listed[0].where and "whose data end before" in listed[0].what
    good = quick_check(data, load_scene(data), skip_bad=True)
    assert len(good.images) == 47 and all(
        damaged.stem not in str(i.path) or i.sequence != "seq-01" for i in good.images
    )
