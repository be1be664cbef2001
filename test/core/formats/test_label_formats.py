"""PoseNet's text files, label tables and matrix rows: a known camera, every option, and each wrong file named."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_camera import (
    POSITION,
    Q_CAMERA_MAP,
    Q_MAP_CAMERA,
    T_CAMERA_MAP,
    T_MAP_CAMERA,
    is_known,
    words,
    write_image,
)
from small_cambridge import write_labels

from transposenet_core.errors import UserError
from transposenet_core.formats import inspect_scene, load_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.label_csv import COLUMNS
from transposenet_core.formats.labels import Row, by_name, natural_order
from transposenet_core.formats.numbers import frame_stamps
from transposenet_core.formats.rows import PoseReader
from transposenet_core.geometry.pose import rotation_angle_deg, stack

PLACE = ",".join(str(value) for value in POSITION)


def write_text_labels(folder: Path, quaternion: tuple[float, ...]) -> Path:
    for split, number in (("train", 1), ("val", 3), ("test", 4)):
        image = f"seq-0{number}/frame-00000{number}.color.png"
        write_labels(folder / f"yard_{split}.txt", f"/{image} {words(POSITION, quaternion)}")
        write_image(folder / image)
    return folder / "yard_train.txt"


def test_the_convention_of_text_labels_is_the_given_one(tmp_path: Path) -> None:
    for convention, quaternion in (("camera_to_map", Q_MAP_CAMERA), ("map_to_camera", Q_CAMERA_MAP)):
        file = write_text_labels(tmp_path / convention, quaternion)
        scene = load_scene(f"{file},convention={convention}")  # recognised without its format
        assert [is_known(image.pose) for image in scene.images] == [True] * 3
        assert [image.split for image in scene.images] == ["train", "val", "test"] and scene.name == "yard"
        first = scene.images[0]
        assert (first.name, first.sequence, first.stamp) == ("seq-01/frame-000001.color.png", "seq-01", 1 / 30)
        other = "map_to_camera" if convention == "camera_to_map" else "camera_to_map"
        assert not is_known(load_scene(f"posenet-txt:{file},convention={other}").images[0].pose)


def test_text_labels_without_a_convention_are_refused_with_advice(tmp_path: Path) -> None:
    file = write_text_labels(tmp_path, Q_MAP_CAMERA)
    with pytest.raises(UserError, match=r"no fixed convention: write .*camera_to_map .*Cambridge.*transposenet check"):
        load_scene(f"posenet_txt:{file}")
    with pytest.raises(UserError, match="convention=inverse is unknown; allowed are camera_to_map and map_to_camera"):
        load_scene(f"{file},convention=inverse")
    with pytest.raises(UserError, match="give the file"):
        load_scene(f"posenet_txt:{tmp_path},convention=camera_to_map")


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    file = write_text_labels(tmp_path / "scene", Q_MAP_CAMERA)
    alone = tmp_path / "labels_train.txt"
    alone.write_text(file.read_text())
    with pytest.raises(UserError, match="the image is missing"):
        load_scene(f"{alone},convention=camera_to_map")
    scene = load_scene(f"{alone},convention=camera_to_map,images={tmp_path / 'scene'}")
    assert scene.images[0].path == tmp_path / "scene/seq-01/frame-000001.color.png"


def test_both_text_readers_read_the_same_files(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_image(tmp_path / f"{split}/frame00001.png")
        write_labels(tmp_path / f"dataset_{split}.txt", f"{split}/frame00001.png {words(POSITION, Q_CAMERA_MAP)}")
    one = load_scene(f"cambridge:{tmp_path}").select("train")
    other = load_scene(f"posenet_txt:{tmp_path / 'dataset_train.txt'},convention=map_to_camera").select("train")
    np.testing.assert_array_equal(one[0].pose.matrix_44, other[0].pose.matrix_44)


def write_table(file: Path, *rows: str, header: str = ",".join(COLUMNS)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def table_row(scene: str, quaternion: tuple[float, ...], image: str = "a.png", split: str = "train") -> str:
    return f"{scene},{split},s,{scene}/s/{image},{PLACE},{','.join(map(str, quaternion))}"


@pytest.mark.parametrize(
    ("scene", "right", "wrong"), [("heads", Q_MAP_CAMERA, Q_CAMERA_MAP), ("Street", Q_CAMERA_MAP, Q_MAP_CAMERA)]
)
def test_a_label_table_has_the_convention_of_its_data_set(tmp_path: Path, scene: str, right, wrong) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / scene / "s" / name)
    file = write_table(tmp_path / "table.csv", table_row(scene, right), table_row(scene, wrong, "b.png"))
    found = load_scene(file)
    assert [is_known(image.pose) for image in found.images] == [True, False]
    assert (found.name, found.images[0].name, found.images[0].split) == (scene, f"{scene}/s/a.png", "train")
    there = load_scene(f"labels-csv:{file},images={tmp_path / scene}")  # the scene's own folder is as good
    assert there.images[0].path.resolve() == (tmp_path / scene / "s/a.png").resolve()


def test_a_scene_of_another_name_needs_its_convention(tmp_path: Path) -> None:
    write_image(tmp_path / "attic/s/a.png")
    file = write_table(tmp_path / "table.csv", table_row("attic", Q_CAMERA_MAP))
    with pytest.raises(UserError, match="the format labels_csv has no fixed convention"):
        load_scene(file)
    assert is_known(load_scene(f"{file},convention=map_to_camera").images[0].pose)


def test_one_of_several_scenes_is_chosen(tmp_path: Path) -> None:
    file = write_table(tmp_path / "all.csv", table_row("heads", Q_MAP_CAMERA), table_row("Street", Q_CAMERA_MAP))
    with pytest.raises(UserError, match="several scenes there; its scenes: Street, heads; write labels_csv:"):
        load_scene(file)
    with pytest.raises(UserError, match="no scene 'attic' there"):
        load_scene(f"{file},scene=attic")
    scene, _ = inspect_scene(f"{file},scene=Street", labels_only=True)
    assert [image.name for image in scene.images] == ["Street/s/a.png"] and is_known(scene.images[0].pose)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("heads,train,s,heads/s/b.png,1,2", "table.csv line 3: 6 columns, there must be 11"),
        ("heads,dev,s,heads/s/b.png,1,2,3,1,0,0,0", "line 3: split 'dev', allowed are train, val, test"),
        ("heads,train,s,heads/s/b.png,1,2,x,1,0,0,0", "line 3: could not convert string to float: 'x'"),
        ("heads,train,s,heads/s/b.png,1,2,nan,1,0,0,0", "line 3: a number that is not finite"),
        ("heads,train,s,heads/s/a.png,1,2,4,1,0,0,0", "line 3: heads/s/a.png is already in .* line 2"),
        ("heads,train,s,../../b.png,1,2,3,1,0,0,0", "line 3: the image ../../b.png is not below"),
        ("heads,train,s,heads/s/b.png,1,2,3,1,0,0,0", "b.png: the image is missing, but .*line 3 names it"),
    ],
)
def test_t02_a_wrong_row_of_a_table_is_named_and_left_out(tmp_path: Path, row: str, sentence: str) -> None:
    write_image(tmp_path / "heads/s/a.png")
    file = write_table(tmp_path / "table.csv", table_row("heads", Q_MAP_CAMERA), row)
    with pytest.raises(UserError, match=sentence):
        load_scene(file)
    assert len(inspect_scene(file)[0].images) == 1


def test_a_wrong_table_is_named(tmp_path: Path) -> None:
    for text in ("", "scene,split\nheads,train\n", ",".join(COLUMNS) + "\n"):
        (tmp_path / "table.csv").write_text(text)
        with pytest.raises(UserError, match="table.csv: .* found; a label table starts with scene,split,seq,img_path"):
            load_scene(f"labels_csv:{tmp_path / 'table.csv'}")


@pytest.mark.parametrize(
    ("scene", "count", "sentence"),
    [
        ("StMarysChurch", 7, "a quaternion of length"),
        ("Street", 41, "a quaternion of length"),
        ("GreatCourt", 1, "train.csv line 298: a camera at 3.36e+09 m"),
        ("ShopFacade", 0, ""),
    ],
)
def test_t02_the_faults_of_the_published_labels_are_found(
    data_folder: Path, scene: str, count: int, sentence: str
) -> None:
    file = data_folder / f"labels/CambridgeLandmarks/abs_cambridge_pose_sorted.csv_{scene}_train.csv"
    found, faults = inspect_scene(f"labels-csv:{file}", labels_only=True)
    assert len(faults.refused) == count and all(sentence in str(fault) for fault in faults.refused)
    assert {image.split for image in found.images} == {"train", "test"}
    rows = sum(len(list(csv.reader(f.open()))) - 1 for f in (file, file.with_name(file.name.replace("train", "test"))))
    assert len(found.images) == rows - count


def test_clips_of_one_folder_that_count_anew_are_sequences_of_their_own(data_folder: Path) -> None:
    file = data_folder / "labels/CambridgeLandmarks/abs_cambridge_pose_sorted.csv_Street_train.csv"
    scene, _ = inspect_scene(file, labels_only=True)
    stamps: dict[str, list[float]] = {}
    for image in scene.images:
        stamps.setdefault(image.sequence, []).append(image.stamp)
    assert {"img/image1", "img/image2", "img_north/image_north_1", "img_north/image_north_2", "img_east"} <= set(stamps)
    assert all(np.all(np.diff(of_one) > 0) for of_one in stamps.values())


def test_published_cameras_stand_upright_only_in_their_convention(data_folder: Path) -> None:
    """A person carried the camera: its down axis hardly varies in the map, wherever the map's axes point."""
    steadier = []
    for file in sorted((data_folder / "labels/CambridgeLandmarks").glob("abs_*_train.csv")):
        scene, _ = inspect_scene(file, labels_only=True)
        rotations_N33 = np.stack([image.pose.rotation_33 for image in scene.select("test")])
        as_read = np.linalg.norm(rotations_N33[:, :, 1].mean(axis=0))
        inverted = np.linalg.norm(rotations_N33[:, 1, :].mean(axis=0))
        assert as_read > 0.9, file.name
        steadier.append(as_read > inverted)
    assert len(steadier) == 6 and sum(steadier) >= 4  # in the other two y points down, where both conventions agree


def test_all_three_formats_of_redkitchen_have_the_same_poses(data_folder: Path) -> None:
    labels, images = data_folder / "labels", data_folder / "7scenes" / "redkitchen"
    split = data_folder / "splits" / "redkitchen_b50_fold3.csv"
    ground_truth = load_scene(f"7scenes:{images}", split)
    sources = (
        f"labels_csv:{labels / '7Scenes/abs_7scenes_pose.csv_redkitchen_train.csv'},images={images}",
        f"posenet_txt:{labels / 'posenet_txt/redkitchen_train.txt'},convention=camera_to_map,images={images}",
    )
    by_path = {image.path.resolve(): image for image in ground_truth.images}
    for source in sources:
        scene = load_scene(source, split)
        assert len(scene.images) == len(ground_truth.images)
        pairs = [(image, by_path[image.path.resolve()]) for image in scene.images]
        assert all(image.split == other.split for image, other in pairs)
        ours, theirs = stack([image.pose for image, _ in pairs]), stack([other.pose for _, other in pairs])
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
        assert rotation_angle_deg(ours[1], theirs[1]).max() < 0.05


def write_rows(root: Path, *lines: str, images: int | None = None, K: str = "8 0 4\n0 8 3\n0 0 1\n") -> Path:
    root.mkdir(exist_ok=True)
    (root / "poses.txt").write_text("\n".join(lines) + "\n")
    (root / "K.txt").write_text(K)
    for number in range(len(lines) if images is None else images):
        write_image(root / "images" / f"{number + 9}.jpg")  # 9, 10: as numbers, not as text
    return root


def test_matrix_rows_have_the_given_direction(tmp_path: Path) -> None:
    root = write_rows(tmp_path, words(T_MAP_CAMERA), words(T_CAMERA_MAP))
    scene = load_scene(root)
    assert [is_known(image.pose) for image in scene.images] == [True, False]
    assert [image.name for image in scene.images] == ["images/9.jpg", "images/10.jpg"]
    assert (scene.intrinsics.fx, scene.intrinsics.width, scene.intrinsics.source) == (8, 8, "K.txt")
    rotated = load_scene(f"matrix_rows:{root},convention=map_to_camera,rate=2")
    assert [is_known(image.pose) for image in rotated.images] == [False, True]
    assert [image.stamp for image in rotated.images] == [0, 0.5]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 2 3", "poses.txt line 2: 3 numbers, there must be 16"),
        (words(T_MAP_CAMERA).replace("1.5", "nan"), "line 2: a number that is not finite"),
        (words(np.diag([1, 1, -1, 1])), "line 2: the rotation block has determinant -1"),
        (words(T_MAP_CAMERA.T), r"line 2: the last row of the matrix is \[10.0, 2.0, 1.5, 1.0\], it must be 0 0 0 1"),
    ],
)
def test_t02_a_wrong_matrix_row_is_named_and_left_out(tmp_path: Path, line: str, sentence: str) -> None:
    root = write_rows(tmp_path, words(T_MAP_CAMERA), line)
    with pytest.raises(UserError, match=sentence):
        load_scene(root)
    assert [image.name for image in inspect_scene(root)[0].images] == ["images/9.jpg"]


def test_rows_without_images_and_wrong_options_are_named(tmp_path: Path) -> None:
    root = write_rows(tmp_path, words(T_MAP_CAMERA), words(T_MAP_CAMERA), images=1)
    with pytest.raises(UserError, match="2 rows in poses.txt and 1 images in images/"):
        load_scene(root)
    write_image(root / "images/10.jpg")
    with pytest.raises(UserError, match="the option rate=0 must be above 0"):
        load_scene(f"{root},rate=0")
    (root / "K.txt").write_text("0 0 0\n" * 3)
    with pytest.raises(UserError, match=r"K.txt: .* is not a camera matrix; write fx 0 cx, 0 fy cy, 0 0 1"):
        load_scene(root)


def test_the_office_is_read_with_its_camera(data_folder: Path) -> None:
    scene = load_scene(data_folder / "office")
    assert len(scene.select("train")) == 373 and scene.intrinsics.fx == pytest.approx(495.5677)
    assert (scene.intrinsics.width, scene.intrinsics.height) == (540, 360)
    np.testing.assert_allclose(scene.images[0].pose.position, [-1.94312, 0.112344, 4.67999])


@given(
    st.lists(st.floats(-1e5, 1e5), min_size=3, max_size=3),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1),
)
def test_a_pose_and_its_inverse_are_read_as_one(position: list[float], quaternion: list[float]) -> None:
    reader = PoseReader(Faults())
    q = np.array(quaternion) / np.linalg.norm(quaternion)
    one = reader.from_quaternion("row", [repr(float(v)) for v in (*position, *q)])
    other = reader.from_quaternion(
        "row", [repr(float(v)) for v in (*position, *(q * (1, -1, -1, -1)))], "map_to_camera"
    )
    third = reader.from_matrix("row", np.linalg.inv(one.matrix_44), "map_to_camera")
    for pose in (other, third):
        np.testing.assert_allclose(pose.position, one.position, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(pose.rotation_33, one.rotation_33, atol=1e-9)
    assert not reader.faults.all


def test_t01_a_row_that_is_there_twice_is_harmless_and_a_contradicting_one_is_not() -> None:
    faults = Faults()
    rows = [Row("a.png", "train", "line 1", ["1", "2"]), Row("a.png", "train", "line 2", ["1", "2"])]
    assert list(by_name(rows, faults)) == ["a.png"] and not faults.refused
    assert str(faults.remarks[0]) == "line 2: 1 rows repeat another row exactly and are used once, this is the first"
    for other in (Row("a.png", "test", "line 3", ["1", "2"]), Row("a.png", "train", "line 3", ["1", "3"])):
        faults = Faults()
        assert by_name([*rows, other], faults)["a.png"].where == "line 1"
        assert [str(fault) for fault in faults.refused] == ["line 3: a.png is already in line 1"]


@pytest.mark.parametrize("name", ["7" * 400, "7" * 5000])
def test_t19_a_name_of_any_number_has_its_place_and_time(name: str) -> None:
    """A float ends at 308 digits, Python's numbers at 4300."""
    names = [f"{name}.png", "3.png"]
    assert min(names, key=natural_order) == "3.png"
    assert all(np.isfinite(list(frame_stamps(names, 30.0).values())))


def test_a_digit_that_is_none_of_a_number_is_text() -> None:
    assert natural_order("\N{SUPERSCRIPT TWO}") == [(-1, "\N{SUPERSCRIPT TWO}")]
