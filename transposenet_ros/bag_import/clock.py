"""The offset between the clocks of images and poses, measured on the part of a recording with the most rotation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from transposenet_core.dataset_check.time_offset import (
    MAX_OFFSET,
    MOST_IMAGES,
    WIDTH,
    TimeOffset,
    estimate_time_offset,
    rotations_between,
)
from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_ros.bag_import.images import decoded
from transposenet_ros.bag_import.poses import CameraPoses
from transposenet_ros.bag_import.recording import Recording
from transposenet_ros.bag_import.survey import Survey
from transposenet_ros.decoding.image_decoding import DecodeError

NANOSECONDS = 10**9
POSES_PER_IMAGE = 4  # more poses add nothing to the rotation speed between two images


def measured_offset(
    bag: Recording, image_topic: str, survey: Survey, poses: CameraPoses, posed: dict[int, Pose]
) -> TimeOffset:
    """The offset to add to the images' stamps, from at most MOST_IMAGES images; `posed` are the poses they have so far.

    Images are decoded one at a time. An image that cannot be decoded, or whose size changes, is not compared.
    """
    numbers = _window(posed)
    stamps_N = survey.stamps_N[numbers]
    order_N = np.argsort(stamps_N, kind="stable")
    if not len(numbers) or (np.diff(order_N) < 0).any():  # a clock that jumps back cannot be measured
        numbers, stamps_N = numbers[:0], stamps_N[:0]
    start_ns = int(stamps_N[0]) if len(stamps_N) else 0
    margin_ns = round((MAX_OFFSET + 1) * NANOSECONDS)
    known_P = poses.stamps_ns
    if len(stamps_N):
        known_P = known_P[(known_P > stamps_N[0] - margin_ns) & (known_P < stamps_N[-1] + margin_ns)]
    track = poses.track(known_P[:: max(1, len(known_P) // (POSES_PER_IMAGE * max(1, len(numbers))))])
    rotations_M = rotations_between(_images(bag, image_topic, survey.image_type, numbers))
    return estimate_time_offset(
        (stamps_N - start_ns) / NANOSECONDS,
        rotations_M,
        np.array([(stamp_ns - start_ns) / NANOSECONDS for stamp_ns, _ in track]),
        [pose for _, pose in track],
    )


def _window(posed: dict[int, Pose]) -> np.ndarray:
    """(N,) numbers of the MOST_IMAGES neighbouring images between which the poses rotate the most."""
    numbers_N = np.array(list(posed), np.int64)
    if len(numbers_N) <= MOST_IMAGES:
        return numbers_N
    orientations_N4 = stack(list(posed.values()))[1]
    rotated_N = np.concatenate([[0], np.cumsum(rotation_angle_deg(orientations_N4[1:], orientations_N4[:-1]))])
    first = int((rotated_N[MOST_IMAGES - 1 :] - rotated_N[: 1 - MOST_IMAGES]).argmax())
    return numbers_N[first : first + MOST_IMAGES]


def _images(bag: Recording, topic: str, kind: str, numbers: np.ndarray) -> Iterator[np.ndarray]:
    wanted = set(numbers.tolist())
    if not wanted:
        return
    last = max(wanted)
    for number, stored in enumerate(bag.messages([topic])):
        if number in wanted:
            try:
                yield decoded(bag.deserialize(stored), kind)
            except (ValueError, DecodeError):  # reported when the images are written
                yield np.zeros((WIDTH, WIDTH, 3), np.uint8)
        if number == last:
            return
