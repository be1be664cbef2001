"""Reading scenes: the layout, both picture formats, split files, and one clear sentence for each fault."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from small_scene import write_small_scene

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.pose import Pose
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.holdout import GUARD, hold_out_validation


def test_official_layout_is_read(small_scene: Path) -> None:
    scene = load_scene(f"7scenes:{small_scene}")
    assert (len(scene.select("train")), len(scene.select("test")), scene.name) == (24, 24, "desk")
    truth = np.loadtxt(small_scene / "seq-02" / "frame-000003.pose.txt")
    image = scene.select("test")[3]
    np.testing.assert_allclose(image.pose.matrix_44, truth, atol=1e-9)
    assert (image.name, image.sequence, image.stamp) == ("seq-02/frame-000003.color.png", "seq-02", pytest.approx(0.1))


def test_a_folder_is_recognised_without_its_format(small_scene: Path) -> None:
    assert len(load_scene(small_scene).images) == 48


def test_a_known_camera_is_taken_from_the_scene(small_scene: Path) -> None:
    assert load_scene(small_scene).intrinsics.fx == pytest.approx(525 * 80 / 640)
    np.savetxt(small_scene / "color-intrinsics.txt", [[70, 0, 39.5], [0, 71, 29.5], [0, 0, 1]])
    camera = load_scene(small_scene).intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.source) == (70, 71, 39.5, "color-intrinsics.txt")


def test_a_split_file_chooses_and_finds_jpg_where_it_says_png(small_scene: Path) -> None:
    picture = small_scene / "seq-01" / "frame-000002.color.png"
    cv2.imwrite(str(picture.with_suffix(".jpg")), cv2.imread(str(picture)))
    picture.unlink()
    split = small_scene / "split.csv"
    lines = ["split,image", "train,desk/seq-01/frame-000002.color.png", "val,desk/seq-01/frame-000005.color.png"]
    split.write_text("\n".join(lines) + "\n")
    for root in (small_scene, small_scene.parent):
        scene = load_scene(f"7scenes:{root}", split)
        assert [image.split for image in scene.images] == ["train", "val"]
        assert scene.images[0].path.suffix == ".jpg"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("8scenes:/nowhere", "the format '8scenes' is unknown; known formats: 7scenes"),
        ("7scenes:/nowhere", "there is no /nowhere; 7scenes reads"),
        (".", "no known layout"),
    ],
)
def test_a_wrong_place_is_named(data: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        load_scene(data)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\n1,2\n", "columns .* found"),
        ("split,image\nholdout,x.png\n", "line 2: split 'holdout'"),
        ("split,image\ntrain,x.png\ntest,x.png\n", "line 3: x.png stands in both"),
        ("split,image\n", "names no picture"),
        ("split,image\ntrain,desk/seq-01/frame-999999.color.png\n", "neither below that folder"),
    ],
)
def test_a_wrong_split_file_is_named(small_scene: Path, text: str, sentence: str) -> None:
    split = small_scene / "split.csv"
    split.write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_scene(small_scene, split)


def test_missing_pose_and_missing_sequence_are_named(small_scene: Path) -> None:
    (small_scene / "seq-01" / "frame-000004.pose.txt").write_text("1 0 0\n")
    with pytest.raises(UserError, match=r"frame-000004.pose.txt: no 4x4"):
        load_scene(small_scene)
    (small_scene / "TrainSplit.txt").write_text("sequence7\n")
    with pytest.raises(UserError, match="seq-07: no frame"):
        load_scene(small_scene)


def test_t01_an_unreadable_picture_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(UserError, match="10 bytes that are no picture"):
        read_image(broken)
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path / "absent.png")


def test_a_split_without_frames_is_named(small_scene: Path) -> None:
    with pytest.raises(UserError, match="no pictures in the split 'val': found 24 train, 24 test"):
        load_scene(small_scene).select("val")


def scene_of_short_sequences(sequences: int, frames: int) -> Scene:
    here = Pose([0, 0, 0], [1, 0, 0, 0])
    places = [(f"seq-{s:02d}", f) for s in range(sequences) for f in range(frames)]
    return Scene("short", [PosedImage(f"{s}/{f}", Path(s), here, "train", s, f / 30) for s, f in places])


def test_t04_held_out_blocks_keep_a_guard(tmp_path: Path) -> None:
    scene = load_scene(write_small_scene(tmp_path / "long", frames=520))
    held = hold_out_validation(scene)
    frames = {split: {int(image.name[-16:-10]) for image in held.select(split)} for split in ("train", "val")}
    assert 40 <= len(frames["val"]) <= 60
    assert len(held.select("test")) == 520
    assert min(abs(v - t) for v in frames["val"] for t in frames["train"]) > GUARD
    many = scene_of_short_sequences(10, 60)
    assert 40 <= len(hold_out_validation(many).select("val")) <= 80
    assert hold_out_validation(scene_of_short_sequences(1, 149)).images[0].split == "train"
    assert len(hold_out_validation(scene_of_short_sequences(1, 150)).select("val")) == 25
    short = load_scene(write_small_scene(tmp_path / "short", frames=12))
    assert hold_out_validation(short) is short
