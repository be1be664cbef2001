"""Cambridge Landmarks' labels: a camera worked out by hand, both conventions distinguished, wrong rows named."""

from pathlib import Path

import numpy as np
import pytest
from known_camera import POSITION, Q_CAMERA_MAP, Q_MAP_CAMERA, is_known, words, write_image
from small_cambridge import HEADER, write_labels, write_small_cambridge
from small_scene import write_small_scene

from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, inspect_scene, load_scene

GOOD = "seq1/frame00001.png 1 2 3 1 0 0 0"


@pytest.fixture
def cambridge(tmp_path: Path) -> Path:
    return write_small_cambridge(tmp_path / "Yard", frames=6)


def with_train_rows(root: Path, *rows: str) -> Path:
    """A scene whose train labels are `rows`, with one good test row."""
    write_labels(root / "dataset_train.txt", *rows)
    write_labels(root / "dataset_test.txt", "seq2/frame00001.png 0 0 0 1 0 0 0")
    for name in ("seq1/frame00001.png", "seq1/frame00002.png", "seq2/frame00001.png"):
        write_image(root / name)
    return root


def test_a_camera_worked_out_by_hand(tmp_path: Path) -> None:
    row = f"seq1/frame00001.png {words(POSITION, Q_CAMERA_MAP)}"
    (image,) = load_scene(f"cambridge:{with_train_rows(tmp_path / 'Yard', row)}").select("train")
    assert is_known(image.pose)
    assert (image.name, image.sequence, image.stamp) == ("seq1/frame00001.png", "seq1", 0.5)
    row = f"seq1/frame00001.png {words(POSITION, Q_MAP_CAMERA)}"
    (image,) = load_scene(f"cambridge:{with_train_rows(tmp_path / 'Other', row)}").select("train")
    assert not is_known(image.pose)


def test_the_same_scene_in_both_layouts_is_the_same_scene(cambridge: Path, tmp_path: Path) -> None:
    other = load_scene(f"7scenes:{write_small_scene(tmp_path / 'other', frames=6)}")
    scene = load_scene(cambridge)  # recognised without its format
    assert (scene.name, len(scene.images)) == ("Yard", 12)
    for ours, theirs in zip(scene.images, other.images, strict=True):
        assert ours.split == theirs.split
        np.testing.assert_allclose(ours.pose.matrix_44, theirs.pose.matrix_44, atol=2e-6)


def test_t02_every_wrong_row_is_reported_and_few_are_left_out(tmp_path: Path) -> None:
    good = [f"seq1/frame{number:05d}.png {number} 0 0 1 0 0 0" for number in range(1, 100)]
    root = with_train_rows(
        tmp_path, *good, "seq1/frame00100.png 1 2 3 0.945 0 0 0", "seq1/frame00101.png 1 2 nan 1 0 0 0"
    )
    for number in range(1, 102):
        write_image(root / f"seq1/frame{number:05d}.png")
    scene, faults = inspect_scene(root)
    assert len(scene.select("train")) == 99
    assert [fault.where.rpartition(" ")[2] for fault in faults.refused] == ["103", "104"]
    with pytest.raises(UserError, match=r"2 faults and 100 good .* line 103: a quaternion .* line 104: .*--skip-bad"):
        load_scene(root)
    assert len(load_scene(root, skip_bad=True).images) == 100
    (root / "dataset_train.txt").write_text(f"{HEADER}{good[0]}\nseq1/frame00002.png 1 2 3 2 0 0 0\n")
    with pytest.raises(UserError, match="more than 5% of them, too many to leave out"):
        load_scene(root, skip_bad=True)


def test_the_labels_alone_are_checked_without_images(tmp_path: Path) -> None:
    root = with_train_rows(tmp_path, GOOD, "seq1/frame00009.png 1 2 3 1 0 0 0")
    assert len(inspect_scene(root)[1].refused) == 1
    scene, faults = inspect_scene(f"cambridge:{root}", labels_only=True)
    assert len(scene.images) == 3 and not faults.all
    (root / "dataset_train.txt").write_text("no file of this layout")
    with pytest.raises(UserError, match="labels without images can only be checked"):
        load_scene(f"cambridge:{root},labels_only=yes")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("seq1/frame00001.png 1 2 3 1 0 0", r"dataset_train.txt line 5: 6 numbers, there must be 7"),
        ("seq1/frame 00001.png 1 2 3 1 0 0 0", "line 5: 8 numbers"),
        ("seq1/frame00001.png 1 2 three 1 0 0 0", "line 5: could not convert string to float: 'three'"),
        ("seq1/frame00001.png nan 2 3 1 0 0 0", "line 5: a number that is not finite"),
        ("seq1/frame00001.png 1 2 3 1 inf 0 0", "line 5: a number that is not finite"),
        ("seq1/frame00001.png 0 2e6 0 1 0 0 0", r"line 5: a camera at 2e\+06 m, at most 1e\+06 m is allowed"),
        ("seq1/frame00001.png 1 2 3 0.5 0 0 0", "line 5: a quaternion of length 0.5, allowed is 1 .- 0.001"),
        ("seq1/frame00001.png 1 2 3 0 0 0 0", "line 5: a quaternion of length 0, "),
        ("/seq1/frame00001.png 1 2 3 1 0 0 0", "line 5: the image /seq1/frame00001.png is not below the folder"),
        ("../secret.png 1 2 3 1 0 0 0", "line 5: the image ../secret.png is not below"),
        ("seq1/frame00002.png 1 2 4 1 0 0 0", r"line 5: .*frame00002.png is already in .*train.txt line 4"),
        ("seq2/frame00001.png 1 2 3 1 0 0 0", r"test.txt line 4: .* is already in .*train.txt line 5"),
        ("seq1/frame00001.png 1 2 3 1.0011 0 0 0", "line 5: a quaternion of length 1.0011"),
        ("seq1/frame00009.png 1 2 3 1 0 0 0", "seq1/frame00009.png: the image is missing, but .*line 5 names it"),
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
    with pytest.raises(UserError, match="dataset_train.txt: not labels of Cambridge Landmarks, which are three header"):
        load_scene(root)
    (root / "dataset_train.txt").unlink()
    with pytest.raises(UserError, match="dataset_train.txt: it cannot be read"):
        load_scene(root)


def test_images_are_in_the_order_they_were_taken_and_may_be_jpeg(tmp_path: Path) -> None:
    names = ["seq10/frame00001", "seq2/frame00010", "seq2/frame00009"]
    for name in names:
        write_image(tmp_path / f"{name}.jpg")
    scene = load_scene(with_train_rows(tmp_path, *(f"{name}.png 0 0 0 1 0 0 0" for name in names)))
    assert [image.path.stem for image in scene.select("train")] == ["frame00009", "frame00010", "frame00001"]
    assert scene.select("train")[0].path.suffix == ".jpg"


def test_a_split_file_names_images_below_the_scene_or_its_parent(cambridge: Path, tmp_path: Path) -> None:
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
