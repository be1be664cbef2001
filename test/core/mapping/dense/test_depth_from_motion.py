"""Depth from motion of rectangles whose depth is known exactly."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from textured_planes import ARC, CAMERA, ROOM, Rectangle, camera_at, record, rectangle

from transposenet_core.errors import UserError
from transposenet_core.mapping.dense.depth_files import DepthFiles
from transposenet_core.mapping.dense.depth_from_motion import depth_from_motion
from transposenet_core.mapping.dense.options import DenseOptions
from transposenet_core.mapping.dense.result import DenseResult
from transposenet_core.mapping.sparse_map import SparseMap

SMALL = DenseOptions(working_pixels=80 * 60)


def estimated(result: DenseResult) -> list[np.ndarray]:
    """Depth of each frame in the units of the map; frames without depth have zeros."""
    assert result.depth_camera is not None
    unit = result.depth_camera.metres_per_unit
    empty_HW = np.zeros((CAMERA.height, CAMERA.width))
    read = (cv2.imread(str(f.depth_path), cv2.IMREAD_UNCHANGED) if f.depth_path else empty_HW for f in result.frames)
    return [depth_HW * unit for depth_HW in read]


def errors(result: DenseResult, depths: list[np.ndarray]) -> np.ndarray:
    """Relative errors of all kept pixels that have a true depth."""
    found_N, true_N = (
        np.concatenate([d.ravel() for d in estimated(result)]),
        np.concatenate([d.ravel() for d in depths]),
    )
    both_N = (found_N > 0) & (true_N > 0)
    return found_N[both_N] / true_N[both_N] - 1


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[SparseMap, list[np.ndarray]]:
    return record(tmp_path_factory.mktemp("room"), ARC, lambda number: ROOM)


def test_depth_is_right_and_dense(room: tuple[SparseMap, list[np.ndarray]], tmp_path: Path) -> None:
    sparse, depths = room
    result = depth_from_motion(sparse, tmp_path, progress=False)
    error_N = errors(result, depths)
    assert len(result.with_depth) == len(ARC) and result.warnings == []
    assert len(error_N) > 0.75 * sum(np.count_nonzero(d) for d in depths)
    assert np.median(np.abs(error_N)) < 0.01 and abs(np.median(error_N)) < 0.004
    assert np.mean(np.abs(error_N) > 0.2) < 0.02
    assert result.agreement > 0.85
    confidence_HW = cv2.imread(str(result.frames[5].confidence_path), cv2.IMREAD_UNCHANGED)
    assert confidence_HW.dtype == np.uint8 and confidence_HW.shape == depths[5].shape
    assert ((confidence_HW > 0) == (estimated(result)[5] > 0)).all()


def test_m03_a_camera_that_only_rotates_has_no_depth(tmp_path: Path) -> None:
    rotating = [camera_at((0.4, 0.0, 0.0), yaw_deg=3.0 * k - 8) for k in range(6)]
    moves, _ = record(tmp_path / "moves", ARC[:8], lambda number: ROOM)
    rotates, _ = record(tmp_path / "rotates", rotating, lambda number: ROOM)
    # Points of their own: from one place there is no parallax, however many frames see a point.
    after = [replace(f, point_K=f.point_K + len(moves.point_P3)) for f in rotates.frames]
    frames = [replace(f, image=replace(f.image, name=f"{n:04d}.png")) for n, f in enumerate([*moves.frames, *after])]
    points = np.concatenate((moves.point_P3, rotates.point_P3))
    sparse = replace(moves, frames=frames, point_P3=points, reprojection_px_P=np.zeros(len(points)))
    result = depth_from_motion(sparse, tmp_path / "out", SMALL, progress=False)
    assert [frame.depth_path is not None for frame in result.frames] == [True] * 8 + [False] * 6
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("0008.png to 0013.png (6 frames): no depth, because ")
    assert all(np.isfinite([f.share, f.agreement, f.near, f.far, f.parallax_deg]).all() for f in result.frames)


@pytest.mark.parametrize("poses", [ARC[:1], [ARC[3]] * 5])
def test_m03_one_frame_and_a_camera_that_stands_have_no_depth(poses: list, tmp_path: Path) -> None:
    sparse, _ = record(tmp_path / "images", poses, lambda number: ROOM)
    result = depth_from_motion(sparse, tmp_path / "out", progress=False)
    assert result.depth_camera is None and result.with_depth == []
    assert len(result.warnings) == 1 and "no depth, because" in result.warnings[0]


def test_m04_blank_walls_exposure_and_a_moving_person_leave_holes_not_wrong_depth(tmp_path: Path) -> None:
    blank = rectangle((-5, -3, 3.8), (4.2, 0, 0), (0, 5, 0), -1)
    person = rectangle((0.3, -0.6, 2.6), (0.4, 0, 0), (0, 1.4, 0), 9)

    def at(number: int) -> list[Rectangle]:
        return [*ROOM, blank, person.moved((0.11 * number - 0.9, 0, 0.02 * number))]

    gains = np.random.default_rng(4).choice([0.55, 0.8, 1.0, 1.15], 12)
    sparse, depths = record(tmp_path / "images", ARC, at, gain=lambda number: gains[number])
    result = depth_from_motion(sparse, tmp_path / "out", progress=False)
    error_N = errors(result, depths)
    assert len(error_N) > 0.4 * sum(np.count_nonzero(d) for d in depths)
    assert np.mean(np.abs(error_N) > 0.2) <= 0.02


def test_m06_near_and_far_in_one_image_are_both_kept(tmp_path: Path) -> None:
    railing = rectangle((-0.3, 0.03, 0.3), (0.6, 0, 0.02), (0, 0.3, 0), 5)
    street = rectangle((-200, 1.5, 1.0), (400, 0, 0), (0, 0, 220), 8)
    city = rectangle((-200, -150, 190), (400, 0, 20), (0, 200, 0), 6)
    # Steps of 2 cm for the railing, of metres for the city: a wide range needs near and far neighbours.
    places = [0.02 * k for k in range(-4, 5)] + [s * 2.5**k for k in range(2, 4) for s in (-1, 1)]
    sparse, depths = record(
        tmp_path / "images", [camera_at((x, 0, 0)) for x in places], lambda number: [railing, street, city]
    )
    result = depth_from_motion(sparse, tmp_path / "out", progress=False)
    found_HW, true_HW = estimated(result)[4], depths[4]
    for nearest, farthest in ((0.2, 0.5), (100, 250)):
        there_HW = (true_HW > nearest) & (true_HW < farthest)
        both_HW = there_HW & (found_HW > 0)
        assert both_HW.sum() > 0.4 * there_HW.sum()
        assert np.median(np.abs(found_HW[both_HW] / true_HW[both_HW] - 1)) < 0.05


def test_an_interrupted_run_goes_on_with_the_same_result(
    room: tuple[SparseMap, list[np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = replace(room[0], frames=room[0].frames[:6])
    depth_from_motion(sparse, tmp_path / "whole", SMALL, progress=False)
    for method, call in (("write_raw", 3), ("write_depth", 2)):
        written = getattr(DepthFiles, method)
        calls = []

        def full(*arguments: object, written=written, calls=calls, call=call) -> None:
            calls.append(1)
            if len(calls) > call:
                raise OSError(28, "No space left on device")
            written(*arguments)

        monkeypatch.setattr(DepthFiles, method, full)
        with pytest.raises(OSError, match="No space"):
            depth_from_motion(sparse, tmp_path / "parts", SMALL, progress=False)
        monkeypatch.setattr(DepthFiles, method, written)
    first = next((tmp_path / "parts").glob("*.depth.png"))
    before = first.stat().st_mtime_ns
    depth_from_motion(sparse, tmp_path / "parts", replace(SMALL, threads=2), progress=False)
    assert first.stat().st_mtime_ns == before
    images = sorted(path.name for path in (tmp_path / "whole").glob("*.png"))
    assert len(images) == 12 and images == sorted(path.name for path in (tmp_path / "parts").glob("*.png"))
    assert all((tmp_path / "whole" / n).read_bytes() == (tmp_path / "parts" / n).read_bytes() for n in images)


def test_frames_whose_inputs_changed_are_computed_again(
    room: tuple[SparseMap, list[np.ndarray]], tmp_path: Path
) -> None:
    sparse = replace(room[0], frames=room[0].frames[:6])
    result = depth_from_motion(sparse, tmp_path, SMALL, progress=False)
    before = [frame.depth_path.read_bytes() for frame in result.with_depth if frame.depth_path]
    moved = replace(sparse.frames[2], T_map_camera=camera_at((0.1, 0.1, 0), yaw_deg=4))
    frames = [moved if number == 2 else frame for number, frame in enumerate(sparse.frames)]
    again = depth_from_motion(replace(sparse, frames=frames), tmp_path, SMALL, progress=False)
    assert before != [frame.depth_path.read_bytes() for frame in again.with_depth if frame.depth_path]


def test_m07_files_that_a_power_cut_left_empty_or_damaged_are_made_again(
    room: tuple[SparseMap, list[np.ndarray]], tmp_path: Path
) -> None:
    sparse = replace(room[0], frames=room[0].frames[:5])
    depth_from_motion(sparse, tmp_path, SMALL, progress=False)
    images = sorted(tmp_path.glob("*.png"))
    before = [path.read_bytes() for path in images]
    raw = sorted((tmp_path / ".dense").glob("*.raw.npz"))
    raw[0].write_bytes(b"")
    damaged = bytearray(raw[1].read_bytes())
    damaged[2000:3000] = bytes(1000)
    raw[1].write_bytes(damaged)
    images[0].write_bytes(b"")
    images[3].unlink()
    assert len(depth_from_motion(sparse, tmp_path, SMALL, progress=False).with_depth) == 5
    assert [path.read_bytes() for path in images] == before


def test_m03_neighbours_from_too_far_beside_are_a_reason_not_a_crash(tmp_path: Path) -> None:
    around = [camera_at((4 * np.sin(a), 0, -4 * np.cos(a)), yaw_deg=float(np.degrees(-a))) for a in (0, 1.4)]
    sparse, _ = record(tmp_path / "images", around, lambda number: ROOM)
    point_P3 = np.random.default_rng(0).uniform(-0.3, 0.3, (40, 3))
    frames = [replace(f, point_K=np.arange(40), pixel_K2=np.zeros((40, 2))) for f in sparse.frames]
    sparse = replace(sparse, frames=frames, point_P3=point_P3, reprojection_px_P=np.zeros(40))
    result = depth_from_motion(sparse, tmp_path / "out", SMALL, progress=False)
    assert result.depth_camera is None and all("from too far beside" in frame.reason for frame in result.frames)


def test_two_frames_are_compared_but_cannot_agree_and_same_names_are_refused(
    room: tuple[SparseMap, list[np.ndarray]], tmp_path: Path
) -> None:
    two = room[0].frames[4:6]
    result = depth_from_motion(replace(room[0], frames=two), tmp_path, SMALL, progress=False)
    assert result.with_depth == [] and all("only 1 of the 2 frames" in frame.reason for frame in result.frames)
    names = [replace(f, image=replace(f.image, name=name)) for f, name in zip(two, ("a.png", "a.jpg"), strict=True)]
    with pytest.raises(UserError, match="there is a frame a.png, too"):
        depth_from_motion(replace(room[0], frames=names), tmp_path, SMALL, progress=False)
