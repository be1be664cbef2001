"""Poses that cannot be right are found at their row, and no right track is refused: generated and published ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tracks import made_track, walk

from transposenet_core.dataset_check.pose_check import check_poses
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.formats import inspect_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.scene import Scene


def faults_of(scene: Scene) -> Faults:
    faults = Faults()
    check_poses(Tracks(scene), faults)
    return faults


def frame(index: int) -> str:
    return f"seq-01/frame-{index:06d}.png"


def test_t02_poses_that_are_all_equal_are_refused_every_one() -> None:
    refused = faults_of(made_track(np.ones((30, 3)))).refused
    assert [fault.where for fault in refused] == [frame(index) for index in range(30)]
    assert "its pose is that of all 30 images" in refused[0].what


def test_t02_duplicate_stamps_name_the_second_frame() -> None:
    stamps = np.arange(40) / 30
    stamps[17] = stamps[16]
    refused = faults_of(made_track(walk(40), stamps_N=stamps)).refused
    assert [str(fault) for fault in refused] == [f"{frame(17)}: duplicate stamp 0.533333 s, also of {frame(16)}"]


def test_t02_a_frame_off_the_track_is_named_and_its_neighbours_are_not() -> None:
    positions = walk(300)
    positions[[120, 121, 200]] += [0, 9, 0]
    refused = faults_of(made_track(positions)).refused
    assert [fault.where for fault in refused] == [frame(120), frame(121), frame(200)]
    assert refused[1].what == f"lies 8.99 m off {frame(122)}"


def test_t02_a_track_that_jumps_and_goes_on_is_named_where_it_goes_on() -> None:
    positions = walk(300)
    positions[150:] += [0, 8, 0]
    refused = faults_of(made_track(positions)).refused
    assert [fault.where for fault in refused] == [frame(150)]
    assert f"leaps 8.01 m from {frame(149)}" in refused[0].what


@settings(max_examples=60, deadline=None)
@given(
    st.integers(12, 200),
    st.sampled_from([0.5, 2.0, 30.0, 120.0]),
    st.floats(0.01, 30.0),
    st.floats(0.0, 1.0),
)
def test_a_steady_camera_of_any_speed_and_rate_is_never_refused(
    count: int, rate: float, speed: float, changes: float
) -> None:
    """A walker at 2 Hz, a car, a drone at 120 Hz: steps vary by up to half, and no step is a leap."""
    factors = 1 + 0.5 * changes * np.sin(np.arange(count))
    positions = np.column_stack([np.cumsum(factors) * speed / rate, np.zeros(count), np.zeros(count)])
    assert not faults_of(made_track(positions, rate)).refused


@settings(max_examples=60, deadline=None)
@given(st.integers(30, 200), st.floats(0, 1), st.floats(6, 1e5))
def test_one_wrong_row_anywhere_is_found_alone(count: int, place: float, metres: float) -> None:
    positions, index = walk(count), round(place * (count - 1))
    positions[index, 2] += metres
    assert [fault.where for fault in faults_of(made_track(positions)).refused] == [frame(index)]


def test_frames_left_out_of_a_split_are_no_leap() -> None:
    scene = made_track(walk(2000))
    scene.images[500:1500] = []
    assert not faults_of(scene).refused


def test_two_recordings_in_one_folder_do_not_share_stamps() -> None:
    """Street's folder img holds image1_000001.png and image2_000001.png."""
    first, second = made_track(walk(50), sequence="img"), made_track(walk(50) + [0, 40, 0], sequence="img")
    for number, scene in ((1, first), (2, second)):
        for image in scene.images:
            object.__setattr__(image, "name", image.name.replace("frame-", f"image{number}_"))
    both = Scene("street", [image for pair in zip(first.images, second.images, strict=True) for image in pair])
    assert [len(run) for run in Tracks(both).runs] == [50, 50]
    assert not faults_of(both).refused


def test_poses_that_stick_and_units_that_cannot_be_are_remarked_on() -> None:
    positions = walk(300)
    positions[100:160] = positions[100]
    stuck = faults_of(made_track(positions))
    assert [str(fault) for fault in stuck.all] == [
        f"{frame(100)}: the pose stays the same to the last digit for 2.0 s (60 frames)"
    ]
    assert "check units" in str(faults_of(made_track(walk(300) * 1000)).remarks[0])
    assert "move the origin" in str(faults_of(made_track(walk(300) + [5e5, 5e6, 0])).remarks[0])


@pytest.mark.parametrize(("factor", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")])
def test_t26_stamps_from_0_in_a_smaller_unit_do_not_pass_as_seconds(factor: float, unit: str) -> None:
    scene = made_track(walk(60), stamps_N=np.round(factor * np.arange(60) / 30))
    (remark,) = faults_of(scene).remarks
    assert f"are the stamps in {unit}?" in str(remark)
    assert not faults_of(made_track(walk(60), stamps_N=5.0 * np.arange(60))).all  # a photograph every 5 s
    faster = made_track(walk(60), stamps_N=np.arange(60) / 30 / factor)
    assert unit == "milliseconds" or "are the stamps in a larger unit?" in str(faults_of(faster).remarks[0])


def test_t25_a_leap_in_arbitrary_units_is_one_by_the_size_of_the_scene() -> None:
    """The same wrong row in a scene of millimetres and in one whose unit is 20 m: 5 units are no measure."""
    for scale in (1000.0, 0.05):
        positions = walk(300) * scale
        positions[150] += [0, 10 * scale, 0]
        scene = replace(made_track(positions), units="arbitrary")
        assert [fault.where for fault in faults_of(scene).refused] == [frame(150)]
        assert " units off " in faults_of(scene).refused[0].what
        assert not faults_of(replace(made_track(walk(300) * scale), units="arbitrary")).all


def labels(data_folder: Path, name: str) -> tuple[Scene, Faults]:
    path = data_folder / "labels" / "CambridgeLandmarks" / f"abs_cambridge_pose_sorted.csv_{name}_train.csv"
    return inspect_scene(f"labels_csv:{path}", labels_only=True)


@pytest.mark.parametrize(
    ("name", "words", "count"),
    [
        ("GreatCourt", "a camera at 3.36e+09 m", 1),
        ("StMarysChurch", "a quaternion of length", 7),
        ("Street", "a quaternion of length", 41),
    ],
)
def test_t02_the_published_labels_faulty_rows_are_found(data_folder: Path, name: str, words: str, count: int) -> None:
    _, faults = labels(data_folder, name)
    found = [fault for fault in faults.refused if words in fault.what]
    assert len(found) == count
    assert all(f"csv_{name}_t" in fault.where and " line " in fault.where for fault in found)


def test_t02_wrong_rows_that_look_right_are_found_in_the_published_labels(data_folder: Path) -> None:
    """ShopFacade's frames 36 and 43 stand 15 m and 12 m off; each row alone is a fine pose."""
    scene, faults = labels(data_folder, "ShopFacade")
    assert not faults.refused
    names = [Path(fault.where).name for fault in faults_of(scene).refused]
    assert names == ["frame00036.png", "frame00043.png"]


@pytest.mark.parametrize("name", ["KingsCollege", "OldHospital", "GreatCourt", "StMarysChurch"])
def test_the_other_published_tracks_have_no_leap(data_folder: Path, name: str) -> None:
    assert not faults_of(labels(data_folder, name)[0]).refused
