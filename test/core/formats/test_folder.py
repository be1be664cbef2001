"""The plain folder: what is written is read again without loss, a folder by hand is read, and each fault is named."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_camera import POSITION, Q_CAMERA_MAP, Q_MAP_CAMERA, is_known, write_image

from transposenet_core.errors import UserError
from transposenet_core.formats import inspect_scene, load_scene
from transposenet_core.formats.folder_writing import folder_dataset, write_folder_dataset
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import DepthCamera

HEADER = "image,stamp,x,y,z,qw,qx,qy,qz"
HERE = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
PLACE = ",".join(str(value) for value in (*POSITION, *Q_MAP_CAMERA))
CAMERA = Intrinsics(8, 6, 7.1, 7.2, 3.9, 2.9, "calibrated", False, "plumb_bob", (0.1, -0.2, 0.001, 0.002, 0.03))
PLAIN = {"width": 8, "height": 6, "fx": 7.1, "fy": 7.2, "cx": 3.9, "cy": 2.9}


def by_hand(root: Path, *rows: str, header: str = HEADER) -> Path:
    root.mkdir(exist_ok=True)
    (root / "poses.csv").write_text("\n".join([header, *rows]) + "\n")
    for name in ("a.png", "b.png"):
        write_image(root / name)
    return root


def test_a_folder_made_by_hand_is_read(tmp_path: Path) -> None:
    swapped = ",".join(str(value) for value in (*POSITION, *Q_CAMERA_MAP))
    root = by_hand(tmp_path / "den", f"a.png,12.5,{PLACE}", f"b.png,13,{swapped}")
    scene = load_scene(root)  # recognised without its format
    assert [is_known(image.pose) for image in scene.images] == [True, False]
    assert [(image.split, image.stamp) for image in scene.images] == [("train", 12.5), ("train", 13)]
    assert (scene.name, scene.map_frame, scene.intrinsics, scene.depth_camera) == ("den", "map", None, None)


def test_splits_sequences_and_a_split_file(tmp_path: Path) -> None:
    header = "image,stamp,x,y,z,qw,qx,qy,qz,split,sequence"
    root = by_hand(tmp_path / "den", f"a.png,1,{PLACE},test,monday", f"b.png,2,{PLACE},,tuesday", header=header)
    assert [(i.name, i.split, i.sequence) for i in load_scene(root).images] == [("a.png", "test", "monday")]
    split = tmp_path / "split.csv"
    split.write_text("split,image\ntrain,den/b.jpg\nval,a.png\n")
    assert {i.name: i.split for i in load_scene(root, split).images} == {"b.png": "train", "a.png": "val"}
    split.write_text("split,image\ntrain,b.png\nval,c.png\n")
    with pytest.raises(UserError, match="split.csv: the split names c.png, which has no row in poses.csv"):
        load_scene(root, split)


finite = st.floats(-1e6, 1e6).filter(lambda value: abs(value) < 5e5)
poses = st.builds(
    lambda p, q: Pose(np.array(p), np.array(q)),
    st.lists(finite, min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 1e-3),
)
frames = st.lists(
    st.tuples(poses, st.integers(0, 2 * 10**18), st.sampled_from(["train", "val", "test"]), st.booleans()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames, st.sampled_from([None, CAMERA]), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_again(tmp_path: Path, frames, camera: Intrinsics | None, seed: int) -> None:
    """Poses to rounding of the last digit, stamps to the nanosecond, images and depth to the bit."""
    random = np.random.default_rng(seed)
    arrays = [random.integers(0, 256, (6, 8, 3), np.uint8) for _ in frames]
    depth_HW = random.integers(0, 2**16, (3, 4), np.uint16)
    with folder_dataset(tmp_path / "out", "den", overwrite=True) as writer:
        writer.map_frame, writer.intrinsics, writer.about = "odom", camera, {"bag": "drive, 1"}
        for index, (array, (pose, stamp_ns, _, deep)) in enumerate(zip(arrays, frames, strict=True)):
            writer.add(f"s/{index}.png", array, pose, stamp_ns, "s, 1", depth_HW if deep else None)
        if any(deep for *_, deep in frames):
            writer.depth_camera = DepthCamera(Intrinsics(4, 3, 3, 3, 2, 1.5), 0.001, frames[0][0])
        splits = [split for _, _, split, _ in frames]
        writer.set_splits([replace(image, split=split) for image, split in zip(writer.images, splits, strict=True)])
    scene = load_scene(f"folder:{tmp_path / 'out'}")
    assert (scene.name, scene.map_frame, scene.intrinsics) == ("den", "odom", camera)
    for image, array, (pose, stamp_ns, split, deep) in zip(scene.images, arrays, frames, strict=True):
        np.testing.assert_array_equal(image.pose.position, pose.position)
        np.testing.assert_allclose(image.pose.orientation, pose.orientation, rtol=0, atol=3e-16)
        assert (image.stamp, image.split, image.sequence) == (stamp_ns / 10**9, split, "s, 1")
        np.testing.assert_array_equal(read_image(image.path), array)
        assert (image.depth_path is not None) == deep
        if deep:
            np.testing.assert_array_equal(cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED), depth_HW)
            np.testing.assert_allclose(scene.depth_camera.T_camera_depth.position, frames[0][0].position)
            assert scene.depth_camera.intrinsics.width == 4 and scene.depth_camera.metres_per_unit == 0.001
    assert json.loads((tmp_path / "out/dataset.json").read_text())["bag"] == "drive, 1"


def test_units_and_time_offset_are_kept(small_scene: Path, tmp_path: Path) -> None:
    source = replace(load_scene(small_scene), units="arbitrary")
    write_folder_dataset(tmp_path / "copy", source)
    copy = load_scene(tmp_path / "copy")
    assert copy.units == "arbitrary" and load_scene(small_scene).units == "metres"
    # The layout has a column for stamps: those of images without time must not pass as times in a copy.
    assert (source.assumed_rate_hz, copy.assumed_rate_hz, copy.time_unit) == (30, 30, ("frames", 30))
    assert load_scene(f"7scenes:{small_scene},rate=15").time_unit == ("s", 1.0)
    path = tmp_path / "copy" / "dataset.json"
    about = json.loads(path.read_text())
    for offsets, median in (({"a": 0.03, "b": -0.01, "c": 0.02}, 0.02), ({}, 0.0)):
        path.write_text(json.dumps(about | {"time_offset_s": offsets}))
        assert load_scene(tmp_path / "copy").time_offset_s == median
    faults = (
        ({"units": "feet"}, "units is 'feet', allowed are metres"),
        ({"time_offset_s": 3}, "not an object"),
        ({"assumed_rate_hz": -1}, "assumed_rate_hz is -1"),
        ({"T_pose_camera": {"position": [0, 0]}}, "T_pose_camera is .*, it must be position"),
        ({"T_pose_camera": 3}, "T_pose_camera is '3', it must be position"),
    )
    for wrong, sentence in faults:
        path.write_text(json.dumps(about | wrong))
        with pytest.raises(UserError, match=f"dataset.json: .*{sentence}"):
            load_scene(tmp_path / "copy")


def test_the_camera_on_the_body_that_the_poses_are_of_is_kept(small_scene: Path, tmp_path: Path) -> None:
    mount = Pose(np.array([0.1, -0.2, 0.3]), np.array([0.5, 0.5, -0.5, 0.5]))
    source = replace(load_scene(small_scene), T_pose_camera=mount)
    write_folder_dataset(tmp_path / "copy", source)
    copy = load_scene(tmp_path / "copy")
    assert copy.T_pose_camera is not None
    np.testing.assert_array_equal(copy.T_pose_camera.matrix_44, mount.matrix_44)
    for ours, theirs in zip(copy.of_the_camera().images, source.of_the_camera().images, strict=True):
        np.testing.assert_allclose(ours.pose.matrix_44, theirs.pose.matrix_44, atol=1e-12)


def test_a_scene_of_another_format_becomes_a_folder(small_scene: Path, tmp_path: Path) -> None:
    source = load_scene(small_scene)
    write_folder_dataset(tmp_path / "copy", source)
    copy = load_scene(tmp_path / "copy")
    assert (copy.name, copy.intrinsics) == (source.name, source.intrinsics)
    for ours, theirs in zip(copy.images, source.images, strict=True):
        assert (ours.name, ours.split, ours.sequence) == (theirs.name, theirs.split, theirs.sequence)
        assert ours.stamp == pytest.approx(theirs.stamp, abs=1e-9)
        np.testing.assert_allclose(ours.pose.matrix_44, theirs.pose.matrix_44, atol=1e-14)
        assert ours.path.read_bytes() == theirs.path.read_bytes()


def test_images_are_taken_one_at_a_time_and_given_stamps_are_kept(small_scene: Path, tmp_path: Path) -> None:
    source = load_scene(small_scene)
    written = []

    def arrays():
        for image in source.images:
            (partial,) = tmp_path.glob(".copy.*.partial")
            written.append(len(list(partial.glob("*/*.png"))))
            yield read_image(image.path)

    stamps = [1_700_000_000_000_000_001 + 3 * index for index in range(len(source.images))]
    write_folder_dataset(tmp_path / "copy", source, arrays(), stamps)
    assert written == list(range(len(source.images)))
    lines = (tmp_path / "copy/poses.csv").read_text().splitlines()[1:]
    assert [int(line.split(",")[1]) for line in lines] == stamps


def test_frames_without_a_split_stay_in_the_folder_and_are_not_used(tmp_path: Path) -> None:
    with folder_dataset(tmp_path / "out") as writer:
        for index in range(3):
            writer.add(f"{index}.png", np.zeros((6, 8, 3), np.uint8), HERE, index)
        writer.set_splits(writer.images[:1])
    assert [image.name for image in load_scene(tmp_path / "out").images] == ["0.png"]
    assert (tmp_path / "out/2.png").is_file()


def test_t06_an_interrupted_writer_leaves_nothing_and_nothing_of_others_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), folder_dataset(tmp_path / "out") as writer:
        writer.add("0.png", np.zeros((6, 8, 3), np.uint8), HERE, 0)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with folder_dataset(tmp_path / "out") as writer:  # an empty folder is nobody's
        writer.add("0.png", np.zeros((6, 8, 3), np.uint8), HERE, 0)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.txt").write_text("x")
    for folder, overwrite, sentence in (
        ("out", False, "--overwrite"),
        ("thesis", True, "thesis: already exists"),
    ):
        with pytest.raises(UserError, match=sentence), folder_dataset(tmp_path / folder, overwrite=overwrite):
            pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written"), folder_dataset(tmp_path / "file" / "out"):
        pass


def test_names_and_images_that_cannot_be_written_are_a_programmers_error(tmp_path: Path) -> None:
    array = np.zeros((6, 8, 3), np.uint8)
    with folder_dataset(tmp_path / "out") as writer:
        writer.add("0.png", array, HERE, 0)
        for name in ("0.png", "/0.png", "../1.png"):
            with pytest.raises(ValueError, match="a new path below the folder"):
                writer.add(name, array, HERE, 0)
        with pytest.raises(ValueError, match="cannot be written as"):
            writer.add("1.bmp", array, HERE, 0)
        with pytest.raises(ValueError, match="cannot be written as"):
            writer.add("2.png", array.astype(float), HERE, 0)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (f"b.png,2,{PLACE},4", "line 3: more columns than the header"),
        ("b.png,2,1,2,3", "line 3: could not convert string to float: ''"),
        ("b.png,2,1,2,inf,1,0,0,0", "line 3: a number that is not finite"),
        ("b.png,2,1,2,3,1,1,0,0", "line 3: a quaternion of length 1.41421"),
        (f"b.png,soon,{PLACE}", "line 3: stamp 'soon' is not a stamp, seconds are allowed"),
        (f"b.png,nan,{PLACE}", "line 3: a stamp that is not finite"),
        (f"a.png,2,{PLACE}", "line 3: a.png is already in .* line 2"),
        (f"../b.png,2,{PLACE}", "line 3: the image ../b.png is not below"),
        (f"c.png,2,{PLACE}", "c.png: the image is missing, but .*line 3 names it"),
    ],
)
def test_t02_a_wrong_row_is_named_and_left_out(tmp_path: Path, row: str, sentence: str) -> None:
    root = by_hand(tmp_path / "den", f"a.png,1,{PLACE}", row)
    with pytest.raises(UserError, match=sentence):
        load_scene(root)
    assert [image.name for image in inspect_scene(root)[0].images] == ["a.png"]


def test_wrong_splits_and_depth_names_are_reported(tmp_path: Path) -> None:
    header = f"{HEADER},split,depth"
    rows = (f"a.png,1,{PLACE},exam,", f"b.png,2,{PLACE},train,../../x.png")
    scene, faults = inspect_scene(by_hand(tmp_path / "den", *rows, header=header))
    assert not scene.images
    assert "split 'exam', allowed are train, val, test" in str(faults.refused[0])
    assert "the depth image ../../x.png is not below the folder" in str(faults.refused[1])


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("poses.csv", "image,x,y\n", "poses.csv: columns image,x,y and 0 rows found; folder reads"),
        ("poses.csv", f"{HEADER}\n", "and 0 rows found"),
        ("camera.json", "{", "camera.json: not valid JSON"),
        ("camera.json", "[1]", "a list, it must be a JSON object"),
        ("camera.json", '{"width": 8, "focal": 3}', "keys focal unknown, height, fx, fy, cx, cy missing"),
        ("camera.json", json.dumps(CAMERA.to_dict() | {"fx": -1}), "is not a camera; sizes and focal lengths are > 0"),
        ("camera.json", json.dumps(CAMERA.to_dict() | {"fx": "wide"}), "fx, fy, cx, cy are numbers"),
        ("camera.json", json.dumps(CAMERA.to_dict() | {"width": 8.5}), "is not a camera"),
        ("camera.json", json.dumps(CAMERA.to_dict() | {"distortion": 3}), "distortion a list"),
        (
            "camera.json",
            json.dumps(CAMERA.to_dict() | {"distortion_model": "fish"}),
            "distortion_model 'fish', allowed",
        ),
        # fault matrix, T21: coefficients of no lens, of too few, and a text that Python takes for true
        ("camera.json", json.dumps(PLAIN | {"distortion": [0.1, 0, 0, 0]}), "of the model 'none'; known are plumb_bob"),
        ("camera.json", json.dumps(PLAIN | {"distortion_model": "equidistant"}), "of the model 'equidistant'; known"),
        (
            "camera.json",
            json.dumps(PLAIN | {"distortion_model": "plumb_bob", "distortion": [0.1]}),
            r"the distortion \[0.1\] of the model 'plumb_bob'",
        ),
        ("camera.json", json.dumps(PLAIN | {"rectified": "false"}), "rectified is 'false', allowed are true, false"),
        ("camera.json", "[" * 5000, "not valid JSON .nested too deep"),
        ("camera.json", json.dumps(CAMERA.to_dict() | {"fx": 10**400}), "int too large"),
        ("dataset.json", json.dumps({"time_offset_s": {"a": 10**400}}), "time_offset_s is not an object of seconds"),
        (
            "poses.csv",
            f"{HEADER.replace('stamp', 'stamp_ns')}\na.png,{10**400},{PLACE}\n",
            "whole nanoseconds are allowed",
        ),
        ("depth_camera.json", json.dumps(CAMERA.to_dict() | {"metres_per_unit": 10**400}), "not a depth camera"),
        ("depth_camera.json", json.dumps(CAMERA.to_dict()), "not a depth camera .* it has metres_per_unit"),
        ("depth_camera.json", json.dumps(CAMERA.to_dict() | {"metres_per_unit": 0}), "it must be a number above 0"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, file: str, text: str, sentence: str) -> None:
    root = by_hand(tmp_path / "den", f"a.png,1,{PLACE}")
    (root / file).write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_scene(f"folder:{root}")


def test_covariances_of_poses_come_back_and_wrong_ones_are_named(tmp_path: Path) -> None:
    half_66 = np.random.default_rng(0).normal(size=(6, 6))
    covariance_66 = half_66 @ half_66.T
    with folder_dataset(tmp_path / "data") as writer:
        for index, each in enumerate((covariance_66, None)):
            pose = Pose([float(index), 0, 0], [1, 0, 0, 0])
            writer.add(f"{index}.png", np.zeros((6, 8, 3), np.uint8), pose, index, covariance_66=each)
    first, second = load_scene(f"folder:{tmp_path / 'data'}").images
    np.testing.assert_array_equal(first.covariance_66, np.triu(covariance_66) + np.triu(covariance_66, 1).T)
    assert second.covariance_66 is None
    table = tmp_path / "data" / "poses.csv"
    table.write_text(table.read_text().replace(repr(float(covariance_66[5, 5])), "-1.0"))
    with pytest.raises(UserError, match="covariance is not the 21 numbers of a covariance's upper triangle"):
        load_scene(f"folder:{tmp_path / 'data'}")
