"""Cambridge Landmarks' labels: a camera worked out by hand, both conventions told apart, and every wrong row named."""

import csv
from pathlib import Path

import numpy as np
import pytest
from small_cambridge import write_labels, write_small_cambridge
from small_scene import write_small_scene

from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, load_scene
from transposenet_core.formats.cambridge import read_pose

GOOD = "seq1/frame00001.png 1 2 3 1 0 0 0"


@pytest.fixture
def cambridge(tmp_path: Path) -> Path:
    return write_small_cambridge(tmp_path / "Yard", frames=6)


def with_train_rows(root: Path, *rows: str) -> Path:
    """A scene whose train labels are `rows`, with one good test row. Pictures are empty: only training reads them."""
    write_labels(root / "dataset_train.txt", *rows)
    write_labels(root / "dataset_test.txt", "seq2/frame00001.png 0 0 0 1 0 0 0")
    for name in ("seq1/frame00001.png", "seq1/frame00002.png", "seq2/frame00001.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    return root


def test_a_camera_worked_out_by_hand(tmp_path: Path) -> None:
    """In a map with z up, an upright camera that looks along x: its right is -y and its down is -z.

    R_map_camera has the columns (0, -1, 0), (0, 0, -1), (1, 0, 0), which is the quaternion (1, -1, 1, -1) / 2; the file
    holds its inverse, (1, 1, -1, 1) / 2.
    """
    root = with_train_rows(tmp_path / "Yard", "seq1/frame00001.png 10 2 1.5 0.5 0.5 -0.5 0.5")
    (image,) = load_scene(f"cambridge:{root}").select("train")
    np.testing.assert_allclose(image.pose.position, [10, 2, 1.5])
    np.testing.assert_allclose(image.pose.rotation_33, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-12)
    assert (image.name, image.sequence, image.stamp) == ("seq1/frame00001.png", "seq1", 0.5)


def test_the_same_scene_in_both_layouts_is_the_same_scene(cambridge: Path, tmp_path: Path) -> None:
    other = load_scene(f"7scenes:{write_small_scene(tmp_path / 'other', frames=6)}")
    scene = load_scene(cambridge)  # recognised without its format
    assert (scene.name, len(scene.images)) == ("Yard", 12)
    for ours, theirs in zip(scene.images, other.images, strict=True):
        assert ours.split == theirs.split
        np.testing.assert_allclose(ours.pose.matrix_44, theirs.pose.matrix_44, atol=2e-6)


def test_real_cameras_stand_upright_only_with_the_quaternion_inverted(data_folder: Path) -> None:
    """A person carried the camera: its down axis hardly varies in the map, wherever the map's axes point."""
    labels = data_folder / "labels" / "CambridgeLandmarks"
    files = sorted(labels.glob("abs_cambridge_pose_sorted.csv_*_test.csv"))
    assert len(files) == 6
    steadier = []
    for file in files:
        rows = list(csv.reader(file.open()))[1:]
        rotations_N33 = np.stack([read_pose(row[4:], file.name).rotation_33 for row in rows])
        inverted = np.linalg.norm(rotations_N33[:, :, 1].mean(axis=0))
        as_it_stands = np.linalg.norm(rotations_N33[:, 1, :].mean(axis=0))
        assert inverted > 0.9, file.name
        steadier.append(inverted > as_it_stands)
    assert sum(steadier) >= 4  # in the other two maps y points down, where both readings agree


def test_quaternions_off_unit_length_are_normalised(tmp_path: Path) -> None:
    rows = ["seq1/frame00001.png 0 0 0 0.945 0 0 0", "seq1/frame00002.png 0 0 0 0 0 2.013 0"]
    first, second = load_scene(with_train_rows(tmp_path, *rows)).select("train")
    np.testing.assert_allclose(first.pose.orientation, [1, 0, 0, 0])
    np.testing.assert_allclose(abs(second.pose.orientation), [0, 0, 1, 0])


def test_the_published_rows_off_unit_length_are_all_taken(data_folder: Path) -> None:
    file = data_folder / "labels" / "CambridgeLandmarks" / "abs_cambridge_pose_sorted.csv_Street_test.csv"
    rows = list(csv.reader(file.open()))[1:]
    lengths = [np.linalg.norm([float(number) for number in row[7:]]) for row in rows]
    assert max(lengths) > 2 and len([read_pose(row[4:], file.name) for row in rows]) == 2923


def test_the_published_camera_at_three_million_kilometres_is_refused(data_folder: Path) -> None:
    file = data_folder / "labels" / "CambridgeLandmarks" / "abs_cambridge_pose_sorted.csv_GreatCourt_train.csv"
    (far,) = [row for row in csv.reader(file.open()) if row[3] == "GreatCourt/seq5/frame00297.png"]
    with pytest.raises(UserError, match=r"dataset_train.txt line 300: a camera at \d\.\d+e\+09 m, at most 1e\+06"):
        read_pose(far[4:], "dataset_train.txt line 300")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("seq1/frame00001.png 1 2 3 1 0 0", r"dataset_train.txt line 5: 7 columns, a row is PICTURE X Y Z W P Q R"),
        ("seq1/frame 00001.png 1 2 3 1 0 0 0", "line 5: 9 columns"),
        ("seq1/frame00001.png 1 2 three 1 0 0 0", "line 5: could not convert string to float: 'three'"),
        ("seq1/frame00001.png nan 2 3 1 0 0 0", "line 5: a number that is not finite"),
        ("seq1/frame00001.png 1 2 3 1 inf 0 0", "line 5: a number that is not finite"),
        ("seq1/frame00001.png 0 2e6 0 1 0 0 0", r"line 5: a camera at 2e\+06 m, at most 1e\+06 m is taken"),
        ("seq1/frame00001.png 1 2 3 0.5 0 0 0", "line 5: a quaternion of length 0.5, allowed is 0.9 to 2.1"),
        ("seq1/frame00001.png 1 2 3 0 0 0 0", "line 5: a quaternion of length 0, "),
        ("/seq1/frame00001.png 1 2 3 1 0 0 0", "line 5: the picture /seq1/frame00001.png is not below the folder"),
        ("../secret.png 1 2 3 1 0 0 0", "line 5: the picture ../secret.png is not below"),
        ("seq1/frame00002.png 1 2 3 1 0 0 0", r"line 5: .*frame00002.png stands in .*train.txt line 4 already"),
        ("seq2/frame00001.png 1 2 3 1 0 0 0", r"test.txt line 4: .* stands in .*train.txt line 5 already"),
        ("seq1/frame00009.png 1 2 3 1 0 0 0", "seq1/frame00009.png: the picture is missing, but .*line 5 has it"),
    ],
)
def test_a_wrong_row_is_one_sentence(tmp_path: Path, row: str, sentence: str) -> None:
    root = with_train_rows(tmp_path, "seq1/frame00002.png 1 2 3 1 0 0 0", row)
    with pytest.raises(UserError, match=sentence) as caught:
        load_scene(f"cambridge:{root}")
    assert "\n" not in str(caught.value)


def test_missing_labels_and_a_missing_header_are_named(tmp_path: Path) -> None:
    root = with_train_rows(tmp_path, GOOD)
    (root / "dataset_train.txt").write_text(f"{GOOD}\n" * 5)
    with pytest.raises(UserError, match="dataset_train.txt: no labels of Cambridge Landmarks, which are three header"):
        load_scene(root)
    (root / "dataset_train.txt").unlink()
    with pytest.raises(UserError, match="dataset_train.txt: the labels cannot be read"):
        load_scene(root)


def test_pictures_are_in_the_order_they_were_taken_and_may_be_jpeg(tmp_path: Path) -> None:
    names = ["seq10/frame00001", "seq2/frame00010", "seq2/frame00009"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.jpg").touch()
    scene = load_scene(with_train_rows(tmp_path, *(f"{name}.png 0 0 0 1 0 0 0" for name in names)))
    assert [image.path.stem for image in scene.select("train")] == ["frame00009", "frame00010", "frame00001"]
    assert scene.select("train")[0].path.suffix == ".jpg"


def test_a_split_file_names_pictures_below_the_scene_or_its_parent(cambridge: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    for before in ("", "Yard/"):
        split.write_text(f"split,image\ntest,{before}seq1/frame00002.png\ntrain,{before}seq2/frame00003.png\n")
        scene = load_scene(f"cambridge:{cambridge}", split)
        assert [(i.split, i.name) for i in scene.images] == [
            ("test", "seq1/frame00002.png"),
            ("train", "seq2/frame00003.png"),
        ]
    split.write_text("split,image\ntrain,seq7/frame00001.png\n")
    with pytest.raises(UserError, match=r"names seq7/frame00001.png, which has no row in dataset_train.txt or"):
        load_scene(f"cambridge:{cambridge}", split)


def test_a_split_file_may_leave_a_wrong_row_out(tmp_path: Path) -> None:
    root = with_train_rows(tmp_path, GOOD, "seq1/frame00297.png 3e9 0 0 1 0 0 0")
    split = tmp_path / "split.csv"
    split.write_text("split,image\ntrain,seq1/frame00001.png\n")
    assert len(load_scene(root, split).images) == 1


def test_help_states_the_convention() -> None:
    (line,) = [line for line in describe_formats().splitlines() if line.startswith("  cambridge:")]
    assert "map-to-camera" in line and "w first" in line and "metres" in line
