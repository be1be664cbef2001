"""Every text format as other systems and programs write it: marks, line ends, separators, and names of images."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from known_camera import POSITION, Q_CAMERA_MAP, Q_MAP_CAMERA, T_CAMERA_MAP, T_MAP_CAMERA, is_known, words, write_image

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.formats.label_csv import COLUMNS
from transposenet_core.formats.numbers import frame_stamps
from transposenet_core.text_files import read_rows, read_text

NAMES = ("a.png", "b.png")
STAMPS = (1_000_000_000, 1_050_000_000)
PINHOLE = {"width": 8, "height": 6, "fx": 7, "fy": 7, "cx": 4, "cy": 3}
W, X, Y, Z = Q_MAP_CAMERA


def seven_scenes(root: Path) -> str:
    rows = "\n".join(words(row) for row in T_MAP_CAMERA)
    for number in (1, 2):
        write_image(root / f"seq-0{number}/frame-000000.color.png")
        (root / f"seq-0{number}/frame-000000.pose.txt").write_text(rows + "\n")
    (root / "TrainSplit.txt").write_text("sequence1\n")
    (root / "TestSplit.txt").write_text("sequence2\n")
    (root / "color-intrinsics.txt").write_text("7 0 4\n0 7 3\n0 0 1\n")
    return f"7scenes:{root}"


def cambridge(root: Path) -> str:
    for split, name in zip(("train", "test"), NAMES, strict=True):
        head = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
        (root / f"dataset_{split}.txt").write_text(f"{head}seq1/{name} {words(POSITION, Q_CAMERA_MAP)}\n")
        write_image(root / "seq1" / name)
    return f"cambridge:{root}"


def label_table(root: Path) -> str:
    rows = [",".join(["heads", "train", "s", f"s/{n}", *map(str, (*POSITION, *Q_MAP_CAMERA))]) for n in NAMES]
    (root / "table.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    for name in NAMES:
        write_image(root / "s" / name)
    return str(root / "table.csv")  # recognised by its header


def matrix_rows(root: Path) -> str:
    (root / "poses.txt").write_text(f"{words(T_MAP_CAMERA.ravel())}\n" * 2)
    (root / "K.txt").write_text("7 0 4\n0 7 3\n0 0 1\n")
    for name in NAMES:
        write_image(root / "images" / name)
    return f"matrix_rows:{root}"


def tum(root: Path) -> str:
    frames = zip(STAMPS, NAMES, strict=True)
    (root / "rgb.txt").write_text("# timestamp filename\n" + "".join(f"{t / 1e9} rgb/{n}\n" for t, n in frames))
    poses = (f"{t / 1e9} {words(POSITION)} {X} {Y} {Z} {W}\n" for t in STAMPS)
    (root / "groundtruth.txt").write_text("# timestamp tx ty tz qx qy qz qw\n" + "".join(poses))
    (root / "camera.json").write_text(json.dumps(PINHOLE))
    for name in NAMES:
        write_image(root / "rgb" / name)
    return f"tum:{root}"


def euroc(root: Path) -> str:
    camera, body = root / "mav0/cam0", root / "mav0/state_groundtruth_estimate0"
    for folder in (camera / "data", body):
        folder.mkdir(parents=True)
    rows = "".join(f"{t},{n}\n" for t, n in zip(STAMPS, NAMES, strict=True))
    (camera / "data.csv").write_text("#timestamp [ns],filename\n" + rows)
    (camera / "sensor.yaml").write_text(
        "resolution: [8, 6]\nintrinsics: [7, 7, 4, 3]\ndistortion_model: none\ndistortion_coefficients: []\n"
        "T_BS:\n  data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]\n"
    )
    poses = (",".join(map(str, (t, *POSITION, *Q_MAP_CAMERA))) + "\n" for t in STAMPS)
    (body / "data.csv").write_text("#timestamp,p,q\n" + "".join(poses))
    for name in NAMES:
        write_image(camera / "data" / name)
    return f"euroc:{root}"


def nerfstudio(root: Path) -> str:
    T_44 = (T_MAP_CAMERA * [1, -1, -1, 1]).tolist()
    frames = [{"file_path": f"images/{name}", "transform_matrix": T_44} for name in NAMES]
    (root / "transforms.json").write_text(json.dumps({"w": 8, "h": 6, "fl_x": 7, "frames": frames}, indent=1))
    for name in NAMES:
        write_image(root / "images" / name)
    return f"nerfstudio:{root}"


def colmap(root: Path) -> str:
    (root / "sparse/0").mkdir(parents=True)
    (root / "sparse/0/cameras.txt").write_text("# Camera list\n1 PINHOLE 8 6 7 7 4 3\n")
    pose = f"{words(Q_CAMERA_MAP)} {words(T_CAMERA_MAP[:3, 3])}"
    lines = "".join(f"{k} {pose} 1 {name}\n1.5 2.5 -1\n" for k, name in enumerate(NAMES, start=1))
    (root / "sparse/0/images.txt").write_text("# Image list\n" + lines)
    (root / "sparse/0/points3D.txt").write_text("# 3D point list\n")
    for name in NAMES:
        write_image(root / "images" / name)
    return f"colmap:{root}"


def folder(root: Path) -> str:
    rows = [f"{n},{t}," + ",".join(map(str, (*POSITION, *Q_MAP_CAMERA))) for n, t in zip(NAMES, STAMPS, strict=True)]
    (root / "poses.csv").write_text("\n".join(["image,stamp_ns,x,y,z,qw,qx,qy,qz", *rows]) + "\n")
    (root / "camera.json").write_text(json.dumps(PINHOLE))
    for name in NAMES:
        write_image(root / name)
    return f"folder:{root}"


def separated(by: str) -> Callable[[str, str], bytes]:
    """Columns of tables separated otherwise; JSON and YAML have none."""

    def rewritten(text: str, suffix: str) -> bytes:
        if suffix in (".json", ".yaml"):
            return text.encode()
        lines = (
            line if line[:1] in ("#", "I") else line.replace("," if suffix == ".csv" else " ", by)
            for line in text.split("\n")
        )
        return "\n".join(lines).encode()

    return rewritten


SYSTEMS: dict[str, Callable[[str, str], bytes]] = {
    "byte order mark": lambda text, suffix: text.encode("utf-8-sig"),
    "CR LF and a mark": lambda text, suffix: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "UTF-16": lambda text, suffix: text.encode("utf-16"),
    "tabs": separated("\t"),
    "commas": separated(","),
    "commas and spaces": separated(", "),
}
FORMATS = (seven_scenes, cambridge, label_table, matrix_rows, tum, euroc, nerfstudio, colmap, folder)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_t18_texts_of_other_systems_are_read_as_the_same_scene(
    tmp_path: Path, write: Callable[[Path], str], system: str
) -> None:
    data = write(tmp_path)
    expected = load_scene(data)
    assert len(expected.images) == 2 and all(is_known(image.pose) for image in expected.images)
    for path in [p for p in tmp_path.rglob("*") if p.suffix in (".txt", ".csv", ".json", ".yaml")]:
        path.write_bytes(SYSTEMS[system](path.read_text(), path.suffix))
    found = load_scene(data)
    assert [(i.name, i.split, i.stamp) for i in found.images] == [(i.name, i.split, i.stamp) for i in expected.images]
    assert all(is_known(image.pose) for image in found.images) and found.intrinsics == expected.intrinsics


def test_t18_tables_and_split_files_of_spreadsheets(tmp_path: Path) -> None:
    data = folder(tmp_path)
    split = tmp_path / "split.csv"
    for text in ("split;image\r\ntrain;a.png\r\n\r\ntest; b.png\r\n", "split\timage\ntrain\ta.png\ntest\tb.png"):
        split.write_bytes(text.encode("utf-16"))
        assert [image.split for image in load_scene(data, split).images] == ["train", "test"]
    assert read_rows(split) == [(1, ["split", "image"]), (2, ["train", "a.png"]), (3, ["test", "b.png"])]
    split.write_bytes(b"\xef\xbb\xbfone\rtwo\r\nthree")
    assert read_text(split) == "one\ntwo\nthree"


def test_a_text_is_opened_once() -> None:
    """A pipe, such as --split <(...), gives its bytes once."""
    for encoding in ("utf-8-sig", "utf-16", "utf-8"):
        there, here = os.pipe()
        os.write(here, "split,image\n".encode(encoding))
        os.close(here)
        assert read_text(Path(f"/dev/fd/{there}")) == "split,image\n"
        os.close(there)


def test_t18_names_with_spaces_in_a_colmap_text(tmp_path: Path) -> None:
    """pycolmap reads a name up to its first space, so that all of these are one image."""
    data = colmap(tmp_path)
    images = tmp_path / "sparse/0/images.txt"
    for name in NAMES:
        (tmp_path / "images" / name).rename(tmp_path / "images" / f"my 100% {name}")
        images.write_text(images.read_text().replace(name, f"my 100% {name}"))
    assert [image.name for image in load_scene(data).images] == ["my 100% a.png", "my 100% b.png"]


NAMED = (cambridge, label_table, tum, euroc, nerfstudio, colmap, folder)  # those whose files name their images
RENAMED = {  # the name in the text, and the file's
    "other case": ("a.png", "a.PNG"),
    "jpeg for jpg": ("a.jpg", "a.jpeg"),
    "converted": ("a.JPG", "a.png"),
    "no suffix": ("a", "a.jpg"),
    "dots in the stem": ("1305031102.175304.png", "1305031102.175304.jpg"),
    "dots and no suffix": ("frame.000007", "frame.000007.JPEG"),
}


def rename(root: Path, text: str, file: str) -> None:
    """The image a.png becomes `file`, and `text` in every text."""
    for path in list(root.rglob("*")):
        if path.name == "a.png":
            path.rename(path.with_name(file))
        elif path.suffix in (".txt", ".csv", ".json"):
            path.write_text(path.read_text().replace("a.png", text))


@pytest.mark.parametrize("kind", RENAMED)
@pytest.mark.parametrize("write", NAMED, ids=lambda write: write.__name__)
def test_t18_images_are_found_under_another_suffix(tmp_path: Path, write: Callable[[Path], str], kind: str) -> None:
    text, file = RENAMED[kind]
    data = write(tmp_path)
    rename(tmp_path, text, file)
    images = {image.path.name: image for image in load_scene(data).images}
    assert set(images) == {file, "b.png"} and is_known(images[file].pose)
    split = tmp_path / "split.csv"
    split.write_text(f"split,image\ntest,{images[file].name}\ntrain,{images['b.png'].name}\n")
    assert len(load_scene(data, split).images) == 2


@pytest.mark.parametrize("write", NAMED, ids=lambda write: write.__name__)
def test_t18_names_with_backslashes_are_found_and_quoted(tmp_path: Path, write: Callable[[Path], str]) -> None:
    data = write(tmp_path)
    images = load_scene(data).images
    (tmp_path / "split.csv").write_text("split,image\n" + "".join(f"train,{image.name}\n" for image in images))
    for image in images:
        image.path.parent.joinpath("left").mkdir(exist_ok=True)
        image.path.rename(image.path.parent / "left" / image.path.name)
    for path in [p for p in tmp_path.rglob("*") if p.suffix in (".txt", ".csv", ".json")]:
        slash = r"\\" if path.suffix == ".json" else "\\"
        named = re.sub(r"((?:\w+/)?)([ab]\.png)", r"\1left/\2", path.read_text())
        path.write_text(re.sub(r"(\w+)/(?=[\w/]*\.png)", lambda part: f"{part[1]}{slash}", named))  # noqa: B023
    assert [image.path.parent.name for image in load_scene(data, tmp_path / "split.csv").images] == ["left", "left"]
    missing = next(iter(load_scene(data).images))
    missing.path.unlink()
    with pytest.raises(UserError, match=r"left/a.png: the image is missing, but .* names it as '.*left\\a.png'"):
        load_scene(data)


def test_t18_names_that_lead_elsewhere_do_so_with_backslashes_as_well(tmp_path: Path) -> None:
    (tmp_path / "den").mkdir()
    data = folder(tmp_path / "den")
    write_image(tmp_path / "secret.png")
    rename(tmp_path / "den", "..\\secret.png", "a.png")
    with pytest.raises(UserError, match=r"line 2: the image ..\\secret.png is not below the folder"):
        load_scene(data)


def test_t18_a_missing_image_is_named_as_the_file_has_it(tmp_path: Path) -> None:
    """Not under a suffix that was only tried."""
    for write in NAMED:
        root = tmp_path / write.__name__
        root.mkdir()
        data = write(root)
        rename(root, "frame.000007", "elsewhere.png")
        with pytest.raises(UserError, match=r"/frame.000007: the image is missing, but .* names it;"):
            load_scene(data)


@pytest.mark.parametrize("suffix", [".PNG", ".JPG", ".jpeg"])
def test_t18_recordings_of_7_scenes_under_another_suffix(tmp_path: Path, suffix: str) -> None:
    data = seven_scenes(tmp_path)
    for path in tmp_path.rglob("*.png"):
        path.rename(path.with_suffix(suffix))
    assert [image.path.suffix for image in load_scene(data).images] == [suffix] * 2
    split = tmp_path / "split.csv"
    split.write_text("split,image\ntrain,seq-01\\frame-000000.color.png\ntest,seq-02/frame-000000.color.jpg\n")
    assert [image.split for image in load_scene(data, split).images] == ["train", "test"]


def test_t18_copies_of_names_with_dots_stay_apart(tmp_path: Path) -> None:
    data = tum(tmp_path)
    for old, new in (("a.png", "5.1"), ("b.png", "5.2")):
        (tmp_path / "rgb" / old).rename(tmp_path / "rgb" / f"{new}.jpg")
        (tmp_path / "rgb.txt").write_text((tmp_path / "rgb.txt").read_text().replace(old, new))
    write_folder_dataset(tmp_path / "copy", load_scene(data))
    assert [image.name for image in load_scene(tmp_path / "copy").images] == ["rgb/5.1.jpg", "rgb/5.2.jpg"]
    assert frame_stamps(["frame.000007", "frame.000008.png"], 2.0) == {"frame.000007": 3.5, "frame.000008.png": 4}
