"""The parts of depth from motion: homographies, planes, likeness, smoothing, votes and files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from textured_planes import CAMERA, camera_at, rectangle, render

from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.dense.consistency import DepthView, proposed, votes, without_edges, without_speckles
from transposenet_core.mapping.dense.depth_files import DepthFiles, metres_per_unit
from transposenet_core.mapping.dense.depth_range import DepthPlanes
from transposenet_core.mapping.dense.plane_sweep import View, plane_homographies, sweep
from transposenet_core.mapping.dense.semi_global import aggregate, least_index

small = st.floats(-0.3, 0.3)


@settings(max_examples=50, deadline=None)
@given(st.tuples(small, small, small), st.tuples(small, small, small), st.floats(0.5, 50), st.tuples(small, small))
def test_a_homography_takes_a_pixel_to_where_its_point_is(
    position: tuple, rotation: tuple, depth: float, direction: tuple
) -> None:
    source = Pose(np.array(position), Rotation.from_rotvec(rotation).as_quat(scalar_first=True))
    frame = camera_at((0.1, -0.2, 0.05), 3, -2)
    H_D33, _ = plane_homographies(frame, source, CAMERA, np.array([depth]))
    p_frame_3 = depth * np.array([*direction, 1.0])
    p_source_3 = (frame.rotation_33 @ p_frame_3 + frame.position - source.position) @ source.rotation_33
    here_3, there_3 = CAMERA.matrix_33 @ p_frame_3, CAMERA.matrix_33 @ p_source_3
    mapped_3 = H_D33[0] @ (here_3 / here_3[2])
    # Projectively the same, also behind the source, where the third coordinate is negative in both.
    assert mapped_3 * depth == pytest.approx(there_3, rel=1e-6, abs=1e-6)


@given(st.floats(1e-3, 1e3), st.floats(1.01, 2000))
def test_planes_run_from_near_to_far_in_even_steps(near: float, width: float) -> None:
    planes = DepthPlanes.between(near, near * width, 96, 160)
    assert planes.depth_D[[0, -1]] == pytest.approx([near, near * width], rel=1e-6)
    assert (np.diff(planes.depth_D) > 0).all() and 96 <= len(planes.depth_D) <= 160
    assert planes.at(np.arange(len(planes.depth_D))) == pytest.approx(planes.depth_D, rel=1e-6)


def test_the_true_plane_looks_most_alike_whatever_the_exposure() -> None:
    wall = [rectangle((-4, -3, 2.5), (8, 0, 0.8), (0, 6, 0), 7)]
    poses = [camera_at((0.15 * k, 0.05 * k, 0), yaw_deg=-2 * k) for k in (0, -1, 1, 2)]
    images = [render(wall, pose) for pose in poses]
    views = [
        View((gain * image_HW3.mean(axis=2) + offset - 128).astype(np.float32), pose)
        for (image_HW3, _), pose, gain, offset in zip(images, poses, (1, 0.6, 1, 0.8), (0, 0, 20, 40), strict=True)
    ]
    planes = DepthPlanes.between(1.5, 5.0, 64, 64)
    likeness_DHW = sweep(views[0], views[1:], CAMERA, planes.depth_D, 5)
    found_HW = planes.depth_D[likeness_DHW.argmax(axis=0)]
    error_HW = np.abs(found_HW / images[0][1] - 1)
    assert likeness_DHW.min() >= 0 and likeness_DHW.max() <= 1 + 1e-4
    assert np.mean(error_HW < 0.03) > 0.95


def test_smoothing_fills_a_gap_and_a_parabola_finds_the_depth_between_planes() -> None:
    index_HW = np.full((12, 16), 7.3)
    index_HW[:, 8:] = 15.6
    cost_HWD = (0.02 * (np.arange(24) - index_HW[..., None]) ** 2).clip(0, 1).astype(np.float32)
    cost_HWD[4:7, 3:5] = 0.5  # no texture, no preference
    smooth_HWD = aggregate(cost_HWD, np.zeros((12, 16), np.float32))
    rough_HW, fine_HW = least_index(smooth_HWD)
    assert (rough_HW == np.rint(index_HW)).all()
    assert np.abs(fine_HW - index_HW).max() < 0.35 and np.median(np.abs(fine_HW - index_HW)) < 0.15


def test_partners_agree_contradict_and_do_not_see() -> None:
    depth_HW = np.full((CAMERA.height, CAMERA.width), 2.0, np.float32)
    sure_HW = np.ones_like(depth_HW)
    frame = DepthView(depth_HW, sure_HW, camera_at((0, 0, 0)))

    def partner(factor: float) -> DepthView:
        return DepthView(factor * depth_HW, sure_HW, camera_at((0.1, 0, 0)))

    voted = votes(frame, [partner(1.02), partner(1.0), partner(3.0), partner(0.5)], CAMERA, 0.05)
    row, column = 60, 80
    assert voted.agree_HW[row, column] == 2
    assert voted.contradict_HW[row, column] == 1 and voted.hidden_HW[row, column] == 1
    assert voted.depth_HW[row, column] == pytest.approx(2.0134, abs=1e-3)  # of inverse depths, with its own
    assert voted.confidence(2)[row, column] == pytest.approx(2 / 3.5) and voted.confidence(3)[row, column] == 0
    assert voted.agree_HW[row, 2] == 0  # outside of the partners' images


def test_a_partners_depth_is_proposed_where_it_belongs() -> None:
    depth_HW = np.zeros((CAMERA.height, CAMERA.width), np.float32)
    depth_HW[60, 80] = 2.0
    there = proposed([DepthView(depth_HW, depth_HW, camera_at((0.2, 0, 0)))], camera_at((0, 0, 0)), CAMERA)
    assert np.argwhere(there).tolist() == [[60, 94]] and there[60, 94] == pytest.approx(2.0)


def test_edges_lose_their_near_side_and_specks_go() -> None:
    depth_HW = np.full((40, 40), 4.0, np.float32)
    depth_HW[:, 20:] = 2.0
    kept_HW = without_edges(depth_HW)
    assert (kept_HW[:, 20:22] == 0).all() and (kept_HW[:, :20] == 4).all() and (kept_HW[:, 22:] == 2).all()
    depth_HW[5:7, 5:7] = 0.7
    assert (without_speckles(depth_HW)[5:7, 5:7] == 0).all() and (without_speckles(depth_HW)[:, 20:] == 2).all()


@given(st.floats(1e-2, 10), st.floats(1, 600))
def test_m06_depth_files_hold_near_and_far(near: float, width: float) -> None:
    unit = metres_per_unit(near, near * width)
    assert near * width / unit <= 65535 * (1 + 1e-9) and near / unit >= 30 * 0.4


def test_m06_files_keep_depths_from_a_third_of_a_metre_to_200_metres(tmp_path: Path) -> None:
    import cv2

    unit, files = metres_per_unit(0.3, 200.0), DepthFiles(tmp_path, tmp_path / "work")
    depth_HW = np.geomspace(0.3, 200, 48 * 64).reshape(48, 64).astype(np.float32)
    depth_HW[0, 0] = 0
    files.write_depth("a/x.jpg", "key", depth_HW, np.ones_like(depth_HW), unit, {"name": "a/x.jpg"})
    read_HW = cv2.imread(str(tmp_path / "a" / "x.depth.png"), cv2.IMREAD_UNCHANGED)
    assert read_HW.dtype == np.uint16 and read_HW[0, 0] == 0
    assert (read_HW * unit).ravel()[1:] == pytest.approx(depth_HW.ravel()[1:], abs=unit / 2 + 1e-5)
    assert files.record("a/x.jpg", "key") == {"name": "a/x.jpg"} and files.record("a/x.jpg", "other") is None
