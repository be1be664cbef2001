"""Reading scenes: the layout, both image formats, split files, and one clear sentence for each fault."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from known_camera import T_CAMERA_MAP, T_MAP_CAMERA, is_known, write_image
from small_scene import write_small_scene

from transposenet_core.errors import UserError
from transposenet_core.formats import ADAPTERS, describe_formats, inspect_scene, load_scene, parse_source
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.data.holdout import GUARD, hold_out_validation


def test_official_layout_is_read(small_scene: Path) -> None:
    scene = load_scene(f"7scenes:{small_scene}")
    assert (len(scene.select("train")), len(scene.select("test")), scene.name) == (24, 24, "desk")
    ground_truth = np.loadtxt(small_scene / "seq-02" / "frame-000003.pose.txt")
    image = scene.select("test")[3]
    np.testing.assert_allclose(image.pose.matrix_44, ground_truth, atol=1e-9)
    assert (image.name, image.sequence, image.stamp) == ("seq-02/frame-000003.color.png", "seq-02", pytest.approx(0.1))


def test_a_folder_is_recognised_without_its_format(small_scene: Path) -> None:
    assert len(load_scene(small_scene).images) == 48


def test_a_known_camera_is_taken_from_the_scene(small_scene: Path) -> None:
    assert load_scene(small_scene).intrinsics.fx == pytest.approx(525 * 80 / 640)
    np.savetxt(small_scene / "color-intrinsics.txt", [[70, 0, 39.5], [0, 71, 29.5], [0, 0, 1]])
    camera = load_scene(small_scene).intrinsics
    assert (camera.fx, camera.fy, camera.cx, camera.source) == (70, 71, 39.5, "color-intrinsics.txt")


def test_a_split_file_chooses_and_finds_jpg_where_it_has_png(small_scene: Path) -> None:
    image = small_scene / "seq-01" / "frame-000002.color.png"
    cv2.imwrite(str(image.with_suffix(".jpg")), cv2.imread(str(image)))
    image.unlink()
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
        ("7scenes:/nowhere", "/nowhere does not exist; 7scenes reads"),
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
        ("split,image\ntrain,x.png\ntest,x.png\n", "line 3: x.png is in both"),
        ("\ufeffsplit,image\n", "names no image"),  # as spreadsheets write it
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
    (small_scene / "seq-01" / "frame-000005.pose.txt").unlink()
    with pytest.raises(
        UserError, match=r"2 faults .*frame-000004.pose.txt: not a 4x4.*frame-000005.pose.txt: the pose cannot"
    ):
        load_scene(small_scene)
    (small_scene / "TrainSplit.txt").write_text("sequence7\n")
    with pytest.raises(UserError, match="seq-07: no frame"):
        load_scene(small_scene)


def test_a_camera_worked_out_by_hand(tmp_path: Path) -> None:
    for number, T_44 in ((1, T_MAP_CAMERA), (2, T_CAMERA_MAP)):
        write_image(tmp_path / f"seq-01/frame-{number:06d}.color.png")
        np.savetxt(tmp_path / f"seq-01/frame-{number:06d}.pose.txt", T_44)
    scene, faults = inspect_scene(tmp_path)
    assert [is_known(image.pose) for image in scene.images] == [True, False]
    assert "all is train without --split" in str(faults.remarks[0]) and not faults.refused


def test_t01_missing_and_empty_images_are_all_named(small_scene: Path) -> None:
    (small_scene / "seq-01/frame-000003.color.png").write_bytes(b"")
    split = small_scene / "split.csv"
    split.write_text("split,image\n" + "".join(f"train,seq-01/frame-{n:06d}.color.png\n" for n in range(26)))
    with pytest.raises(
        UserError, match=r"3 faults and 23 .*000003.color.png: .*empty.*000024.*missing, but .*split.csv"
    ):
        load_scene(small_scene, split)


def test_t02_wrong_matrices_are_named_and_the_rest_is_kept(small_scene: Path) -> None:
    wrong = {
        "not finite": np.full((4, 4), np.nan),
        "determinant -1: a reflection": np.diag([1, 1, -1.0, 1]),
        "off orthonormal": np.diag([1.1, 1, 1, 1]),
        r"a camera at 3e\+09 m": np.eye(4) + [[0, 0, 0, 3e9], *np.zeros((3, 4))],
        "last row of the matrix": np.ones((4, 4)),
    }
    for number, T_44 in enumerate(wrong.values()):
        np.savetxt(small_scene / f"seq-01/frame-{number:06d}.pose.txt", T_44)
    scene, faults = inspect_scene(small_scene)
    assert len(scene.select("train")) == 24 - len(wrong)
    for number, (sentence, fault) in enumerate(zip(wrong, faults.refused, strict=True)):
        assert re.search(rf"frame-{number:06d}.pose.txt: .*{sentence}", str(fault))


def test_rotations_off_orthonormal_are_one_remark(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = data_folder / "splits" / "redkitchen_b50_fold3.csv"
    scene = load_scene(f"7scenes:{data_folder / '7scenes'}", split)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{len(scene.images)} rotation blocks were not orthonormal" in line and "at most 0.00038 off" in line
    R = scene.images[0].pose.rotation_33
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-12)


def test_depth_lies_beside_the_colour_and_its_camera_is_its_own(small_scene: Path) -> None:
    assert load_scene(small_scene).depth_camera is None
    for number in range(3):
        depth_HW = np.full((240, 320), 1500, np.uint16)
        cv2.imwrite(str(small_scene / f"seq-01/frame-{number:06d}.depth.png"), depth_HW)
    usual = load_scene(small_scene).depth_camera
    assert usual.intrinsics.source.endswith("usual figure") and usual.intrinsics.fx == 292.5
    np.testing.assert_array_equal(usual.T_camera_depth.position, [-0.025, 0, 0])
    (small_scene / "color-intrinsics.txt").write_text("70 0 40\n0 70 30\n0 0 1\n")
    own = load_scene(small_scene)
    assert own.T_pose_camera is None and not own.depth_camera.T_camera_depth.position.any()
    (small_scene / "color-intrinsics.txt").unlink()
    np.savetxt(small_scene / "depth-intrinsics.txt", [[580, 0, 316], [0, 570, 236], [0, 0, 1]])
    T_colour_depth = np.eye(4)
    T_colour_depth[0, 3] = -0.03
    np.savetxt(small_scene / "depth-to-colour.txt", T_colour_depth)
    scene = load_scene(small_scene)
    assert [image.depth_path is not None for image in scene.select("train")] == [True] * 3 + [False] * 21
    camera = scene.depth_camera.intrinsics
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (320, 240, 290, 285, 158, 118)
    assert (camera.source, scene.depth_camera.metres_per_unit) == ("depth-intrinsics.txt", 0.001)
    np.testing.assert_allclose(scene.depth_camera.T_camera_depth.matrix_44, T_colour_depth, atol=1e-12)
    assert scene.intrinsics.fx == pytest.approx(525 * 80 / 640)  # the depth camera's is never taken for colour
    for labelled, seen in zip(scene.images, scene.of_the_camera().images, strict=True):
        # The labels are the depth camera's: the colour camera is 3 cm along its x axis.
        np.testing.assert_allclose(
            labelled.pose.inverse().matrix_44 @ seen.pose.matrix_44, np.linalg.inv(T_colour_depth), atol=1e-9
        )


def test_depth_that_is_none_is_named_and_empty_files_count_as_absent(small_scene: Path) -> None:
    (small_scene / "seq-01/frame-000000.depth.png").write_bytes(b"")
    assert load_scene(small_scene).depth_camera is None
    cv2.imwrite(str(small_scene / "seq-01/frame-000001.depth.png"), np.zeros((6, 8), np.uint8))
    with pytest.raises(UserError, match="frame-000001.depth.png: not a depth image, which is a PNG of one 16-bit"):
        load_scene(small_scene)


def test_the_real_depth_is_found_at_half_resolution(data_folder: Path) -> None:
    scene = load_scene(data_folder / "7scenes", data_folder / "splits" / "redkitchen_b50_fold3.csv")
    camera = scene.depth_camera.intrinsics
    assert (camera.width, camera.height, camera.fx, camera.cx) == (320, 240, 292.5, 160)
    assert all(image.depth_path.name.startswith(image.path.name[:12]) for image in scene.images)
    np.testing.assert_array_equal(scene.depth_camera.T_camera_depth.position, [-0.025, 0, 0])
    assert (scene.intrinsics.fx, scene.intrinsics.width) == (525, 640)


def test_a_list_of_sequences_that_is_no_text_or_names_none_is_refused(small_scene: Path) -> None:
    (small_scene / "TrainSplit.txt").write_bytes(b"sequence\xff1")
    with pytest.raises(UserError, match="TrainSplit.txt: it cannot be read .*; it should be lines like 'sequence1'"):
        load_scene(small_scene)
    (small_scene / "TrainSplit.txt").write_text("sequence" + "9" * 400)
    with pytest.raises(UserError, match="seq-999999999: no frame-NNNNNN"):
        load_scene(small_scene)


def test_a_sequence_in_both_splits_is_refused(small_scene: Path) -> None:
    (small_scene / "TestSplit.txt").write_text("sequence1\n")
    with pytest.raises(UserError, match="TestSplit.txt: sequence1 is also in the other split"):
        load_scene(small_scene)


def test_options_and_ways_to_write_them(small_scene: Path) -> None:
    with pytest.raises(UserError, match="7scenes has no option 'convention'; its options: "):
        load_scene(f"7scenes:{small_scene},convention=camera_to_map")
    with pytest.raises(
        UserError, match="finds its rows by the images; formats without: cambridge, posenet_txt, labels_csv"
    ):
        inspect_scene(small_scene, labels_only=True)
    assert parse_source(f"matrix-rows:{small_scene}").adapter is parse_source(f"matrix_rows:{small_scene}").adapter


def test_every_format_is_listed_with_its_options() -> None:
    text = describe_formats()
    for name, adapter in ADAPTERS.items():
        assert f"  {name}: {adapter.LAYOUT}; {adapter.CONVENTION}" in text
        assert all(f"    ,{option}=  {meaning}" in text for option, meaning in adapter.OPTIONS.items())


def test_every_format_has_its_row_in_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    for name, adapter in ADAPTERS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
        assert all(f"`{option}=`" in row for option in adapter.OPTIONS)


def test_t01_an_unreadable_image_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(UserError, match="8 bytes that are neither JPEG nor PNG"):
        read_image(broken)
    with pytest.raises(UserError, match="cannot be read"):
        read_image(tmp_path / "absent.png")


def test_a_split_without_frames_is_named(small_scene: Path) -> None:
    with pytest.raises(UserError, match="no images in the split 'val': found 24 train, 24 test"):
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
    assert len(hold_out_validation(scene_of_short_sequences(1, 150)).select("val")) == 15
    short = load_scene(write_small_scene(tmp_path / "short", frames=12))
    assert hold_out_validation(short) is short
