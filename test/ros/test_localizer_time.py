"""A running localizer and time: bad stamps, clocks that jump, stand still or are not there."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live import image_message, seconds_of, wait_until
from watched import SimTime, Watched, watched

from transposenet_core.localizer import Localizer


@pytest.fixture(scope="module")
def wall(scene_model_folder: Path) -> Iterator[Watched]:
    with watched(scene_model_folder, stamp_policy="receive_time") as node:
        yield node


@pytest.fixture(scope="module")
def camera(wall: Watched) -> Any:
    return wall.camera()


def sent(camera: Any, image_HW3: np.ndarray, seconds: float, **options: Any) -> float:
    camera.publish(image_message(image_HW3, seconds, **options))
    return seconds


@pytest.fixture(scope="module")
def opposite_images(localizer: Localizer) -> tuple[np.ndarray, np.ndarray]:
    """Two whose quaternions have opposite signs when both are written with w >= 0."""
    rng = np.random.default_rng(1)
    images = [np.kron(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in "." * 60]
    orientations = [localizer.localize(image_HW3).pose.orientation for image_HW3 in images]
    pairs = itertools.combinations(range(len(images)), 2)
    a, b = next((a, b) for a, b in pairs if orientations[a] @ orientations[b] < -0.1)
    return images[a], images[b]


def test_n14_a_frame_without_stamp_gets_the_time_of_its_arrival(
    wall: Watched, camera: Any, image_HW3: np.ndarray
) -> None:
    count, before = len(wall.poses), time.time()
    sent(camera, image_HW3, 0.0)
    wait_until(lambda: len(wall.poses) > count, "a pose")
    assert before - 0.01 <= seconds_of(wall.poses[-1]) <= time.time()


@pytest.mark.parametrize(("offset", "reason"), [(10.0, "future_stamp"), (-10.0, "stale")])
def test_n15_a_stamp_ten_seconds_off_is_dropped_by_name(
    wall: Watched, camera: Any, image_HW3: np.ndarray, offset: float, reason: str
) -> None:
    wall.pose_at(sent(camera, image_HW3, time.time()))
    before, published = wall.count(reason), len(wall.poses)
    sent(camera, image_HW3, time.time() + offset)
    wall.wait_for_count(reason, before + 1)
    assert len(wall.poses) == published
    wall.pose_at(sent(camera, image_HW3, time.time()))
    (line,) = [line for line in wall.process.log.splitlines() if f"frame dropped, {reason}" in line]
    assert "/image" in line and ("'future_tolerance'" in line or "'max_age'" in line)


def test_n17_each_stamp_is_published_once_and_none_after_a_newer_one(
    wall: Watched, camera: Any, image_HW3: np.ndarray
) -> None:
    now = time.time()
    before = [wall.count(reason) for reason in ("duplicate_stamp", "out_of_order")]
    wall.pose_at(sent(camera, image_HW3, now))
    for _ in range(2):
        sent(camera, image_HW3, now)
    sent(camera, image_HW3, now - 0.2)
    wall.pose_at(sent(camera, image_HW3, now + 0.2))
    wall.wait_for_count("duplicate_stamp", before[0] + 2)
    wall.wait_for_count("out_of_order", before[1] + 1)
    stamps = [seconds_of(pose) for pose in wall.poses]
    assert stamps == sorted(set(stamps))


def test_n18_a_frame_that_changes_is_logged_once_and_resets_the_sign(
    wall: Watched, camera: Any, opposite_images: tuple[np.ndarray, np.ndarray]
) -> None:
    first_HW3, second_HW3 = opposite_images

    def sign(image_HW3: np.ndarray, frame_id: str) -> float:
        pose = wall.pose_at(sent(camera, image_HW3, time.time(), frame_id=frame_id))
        return float(np.sign(pose.pose.orientation.w))

    image_HW3 = first_HW3
    if sign(image_HW3, "camera") > 0:
        image_HW3 = second_HW3
        assert sign(image_HW3, "camera") < 0, "continuous"
    assert sign(image_HW3, "/right") > 0, "reset"
    assert sign(image_HW3, "right") > 0
    lines = [line for line in wall.process.log.splitlines() if "the camera's frame is now 'right'" in line]
    assert len(lines) == 1 and "[INFO]" in lines[0] and "it was 'camera'" in lines[0]


def test_n16_a_looped_recording_on_wall_time_goes_on_at_once(
    wall: Watched, camera: Any, opposite_images: tuple[np.ndarray, np.ndarray]
) -> None:
    """Stamps of years ago, first beside those of a live camera: they are taken from the fourth frame on."""
    first_HW3, second_HW3 = opposite_images
    sent(camera, first_HW3, time.time())
    for k in range(4):
        sent(camera, first_HW3, 1000 + k / 30)
        time.sleep(0.05)
    wall.pose_at(1000 + 3 / 30)
    assert wall.pose_at(sent(camera, second_HW3, 1020)).pose.orientation.w < 0, "the same time segment"
    assert wall.pose_at(sent(camera, second_HW3, 1000)).pose.orientation.w > 0, "the first frame of the loop"
    text = wall.wait_for_level(DiagnosticStatus.WARN, "localizing, but the stamps are")
    assert "behind the node's clock" in text and float(wall.values()["stamps_behind_s"]) > 1e9
    lines = [line for line in wall.process.log.splitlines() if "s behind the node's clock, as in a recording" in line]
    assert len(lines) == 1


@pytest.fixture(scope="module")
def simulated(scene_model_folder: Path) -> Iterator[Watched]:
    with watched(scene_model_folder, use_sim_time="true", no_frames_timeout=0.5) as node:
        yield node


def test_n16_no_clock_is_a_warning_and_no_reason_to_stop(simulated: Watched, image_HW3: np.ndarray) -> None:
    text = simulated.wait_for_level(DiagnosticStatus.WARN, "/clock has")
    assert text.startswith("use_sim_time is true and /clock has had no publisher for 0.5 s")
    assert simulated.process.log.count(text) == 1
    simulated.pose_at(sent(simulated.camera(), image_HW3, 777.0))


@pytest.mark.parametrize("jump", [-100.0, -2.0, 3600.0])
def test_n16_a_clock_that_jumps_starts_everything_anew_within_one_frame(
    simulated: Watched, opposite_images: tuple[np.ndarray, np.ndarray], jump: float
) -> None:
    first_HW3, second_HW3 = opposite_images
    camera, begin = simulated.camera(), 50_000.0
    with SimTime(simulated, begin, rate=0.1) as clock:
        simulated.pose_at(sent(camera, first_HW3, begin - 0.1))
        assert simulated.pose_at(sent(camera, second_HW3, begin)).pose.orientation.w < 0
        clock.set(begin + jump)
        resumed = time.monotonic()
        assert simulated.pose_at(sent(camera, second_HW3, begin + jump)).pose.orientation.w > 0, "a new time segment"
        assert time.monotonic() - resumed < 1
        assert re.search(r"the clock jumped by -100\.\d+ s: a new time segment starts", simulated.process.log)
        simulated.wait_for_level(DiagnosticStatus.OK, "localizing")
    simulated.client.node.destroy_publisher(camera)


def test_n16_a_clock_that_stands_still_is_reported_with_its_publisher(simulated: Watched) -> None:
    with SimTime(simulated, 60_000.0):
        text = simulated.wait_for_level(DiagnosticStatus.WARN, "has stood still")
        assert "/clock of /test_client has stood still for 0.5 s" in text
