"""A sensor's depth beside that from motion."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from textured_planes import CAMERA, camera_at, rectangle, render

from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.dense import depth_errors
from transposenet_core.mapping.dense.result import FrameDepth
from transposenet_core.mapping.dense.sensor import completed, read_sensor, registered
from transposenet_core.mapping.dense.sensor_comparison import _motion, compare_with_sensor
from transposenet_core.scene import DepthCamera, PosedImage

ROOM = [
    rectangle((-5, -3, 3), (10, 0, 0), (0, 6, 0), 1),
    rectangle((-0.6, -0.3, 1.2), (0.5, 0, 0.1), (0, 0.8, 0), 2),
    rectangle((0.3, -0.5, 1.6), (0.5, 0, 0), (0, 0.6, 0), 3),
]
NO_LENS = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))


def path_at(seconds: float) -> Pose:
    """A camera that goes to the side at 0.8 m/s and turns at 24 deg/s, to and fro every second."""
    along = 1 - abs(seconds % 2 - 1)
    return camera_at((0.8 * along, 0, 0), yaw_deg=-24 * along)


def recorded(folder: Path, mount: Pose, delay: float = 0.0) -> tuple[list[FrameDepth], list[PosedImage]]:
    """Exact depth of the colour camera as if from motion, and that of a depth camera on the mount, in millimetres, so
    many seconds later."""
    frames, images = [], []
    for number in range(8):
        stamp = number / 4 + 0.125
        pose = path_at(stamp)
        for name, its_pose in (
            (f"{number}.motion.png", pose),
            (f"{number}.sensor.png", path_at(stamp + delay) @ mount),
        ):
            _, depth_HW = render(ROOM, its_pose)
            cv2.imwrite(str(folder / name), np.rint(1000 * depth_HW).astype(np.uint16))
        frames.append(FrameDepth(f"{number}.png", folder / f"{number}.motion.png"))
        images.append(PosedImage(f"{number}.png", folder, pose, "train", "a", stamp, folder / f"{number}.sensor.png"))
    return frames, images


@pytest.mark.parametrize("offset", [(-0.025, 0.0), (0.015, -0.02)])
def test_the_place_of_the_depth_camera_is_found(offset: tuple[float, float], tmp_path: Path) -> None:
    frames, images = recorded(tmp_path, Pose(np.array([*offset, 0]), NO_LENS.orientation))
    camera = DepthCamera(CAMERA, 1e-3, NO_LENS)
    found = compare_with_sensor(frames, camera, images, camera)
    assert found is not None and found.offset_xy == pytest.approx(offset, abs=0.0051)
    side = "left" if offset[0] < 0 else "right"
    assert any(s.startswith("the depth camera sits") and f"to the {side} of" in s for s in found.sentences())


@pytest.mark.parametrize(("delay", "x"), [(0.02, 0.0), (-0.032, 0.015)])
def test_the_time_of_the_depth_images_is_found(delay: float, x: float, tmp_path: Path) -> None:
    frames, images = recorded(tmp_path, Pose(np.array([x, 0, 0]), NO_LENS.orientation), delay)
    camera = DepthCamera(CAMERA, 1e-3, NO_LENS)
    found = compare_with_sensor(frames, camera, images, camera)
    assert found is not None and found.delay == pytest.approx(delay, abs=0.0041)
    assert found.offset_xy == pytest.approx((x, 0.0), abs=0.0051)
    word = "after" if delay > 0 else "before"
    assert any(s.startswith("depth images are taken") and f" ms {word}" in s for s in found.sentences())
    untimed = compare_with_sensor(frames, camera, images, camera, timed=False)
    assert untimed is not None and untimed.delay is None


def test_the_motion_of_a_frame_is_along_its_own_axes() -> None:
    """Forward at 1 m/s and turning at 60 deg/s to the right: the camera looks along what it drives."""
    images = [
        PosedImage(f"{k}", Path(), camera_at((1 - np.cos(a), 0, np.sin(a)), np.degrees(a)), "train", "a", k / 4)
        for k, a in enumerate(np.radians(60) * np.arange(3) / 4)
    ]
    motion = _motion(images, 1)
    assert motion.linear_3 == pytest.approx([0, 0, np.radians(60)], abs=0.02)
    assert motion.angular_3 == pytest.approx([0, np.radians(60), 0], abs=1e-6)
    assert (_motion([replace(image, stamp=9.0 * k) for k, image in enumerate(images)], 1).linear_3 == 0).all()


def test_equal_depths_agree_and_sit_where_they_are_described(tmp_path: Path) -> None:
    mount = Pose(np.array([-0.025, 0, 0]), NO_LENS.orientation)
    frames, images = recorded(tmp_path, mount)
    camera = DepthCamera(CAMERA, 1e-3, NO_LENS)
    found = compare_with_sensor(frames, camera, images, replace(camera, T_camera_depth=mount))
    assert found is not None and found.offset_xy == (0.0, 0.0) and found.delay == 0.0
    assert found.frames == 8
    assert found.errors.within_5 > 0.97 and found.errors.median < 0.002 and abs(found.errors.bias) < 0.001


def test_registered_depth_is_what_the_colour_camera_sees(tmp_path: Path) -> None:
    mount = Pose(np.array([0.03, 0.01, 0]), NO_LENS.orientation)
    _, images = recorded(tmp_path, mount)
    depth_HW, pinhole = read_sensor(images[1].depth_path, DepthCamera(CAMERA, 1e-3, mount))
    _, true_HW = render(ROOM, images[1].pose)
    found_HW = registered(depth_HW, pinhole, mount, CAMERA)
    both_HW = (found_HW > 0) & (true_HW > 0)
    assert both_HW.mean() > 0.9 and np.mean(np.abs(found_HW[both_HW] / true_HW[both_HW] - 1) < 0.01) > 0.97


def test_saturated_pixels_are_holes_and_millimetres_need_metres(tmp_path: Path) -> None:
    """7-Scenes has 65535 where its sensor saw nothing."""
    frames, images = recorded(tmp_path, Pose(np.array([-0.025, 0, 0]), NO_LENS.orientation))
    for image in images:
        stored_HW = cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED)
        stored_HW[:, :40] = 65535
        cv2.imwrite(str(image.depth_path), stored_HW)
    camera = DepthCamera(CAMERA, 1e-3, NO_LENS)
    assert (read_sensor(images[0].depth_path, camera)[0][:, :40] == 0).all()
    found = compare_with_sensor(frames, camera, images, camera, metric=False)
    assert found is not None and found.errors.beyond_20 < 0.05 and found.offset_xy is None
    assert len(found.sentences()) == 1


def test_errors_of_many_frames_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, counter, every = np.random.default_rng(2), depth_errors.DepthErrorCounter(), []
    monkeypatch.setattr(depth_errors, "MOST_OF_ALL", 20_000)
    for _ in range(60):
        every.append(counter.add(1 + rng.normal(0.01, 0.05, (30, 40)), np.ones((30, 40))))
        assert sum(map(len, counter._samples)) <= 20_000
    found, error_N = counter.result(), np.concatenate(every)
    assert found is not None and found.pixels == len(error_N)
    assert found.bias == pytest.approx(np.median(error_N), abs=2e-3)
    assert found.within_5 == pytest.approx(np.mean(np.abs(error_N) < 0.05), abs=0.02)


def test_holes_are_filled_at_the_sensors_level() -> None:
    true_HW = np.tile(np.linspace(1, 3, 40, dtype=np.float32), (30, 1))
    sensor_HW, motion_HW = true_HW.copy(), (0.98 * true_HW).astype(np.float32)
    sensor_HW[10:20], motion_HW[15:] = 0, 0
    filled_HW = completed(sensor_HW, motion_HW)
    assert (filled_HW[15:20] == 0).all()
    assert filled_HW[:15] == pytest.approx(true_HW[:15], rel=1e-4) and (filled_HW[20:] == true_HW[20:]).all()
