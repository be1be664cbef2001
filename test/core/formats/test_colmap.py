"""COLMAP models: a camera worked out by hand, models written by pycolmap, its camera models against OpenCV's."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
from known_camera import Q_CAMERA_MAP, T_CAMERA_MAP, is_known, words, write_image
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.formats import colmap_model, describe_formats, inspect_scene, load_scene
from transposenet_core.formats.colmap import LENSES

PARAMETERS = {
    "SIMPLE_PINHOLE": [70, 41, 29],
    "PINHOLE": [70, 71, 41, 29],
    "SIMPLE_RADIAL": [70, 41, 29, -0.12],
    "RADIAL": [70, 41, 29, -0.12, 0.03],
    "OPENCV": [70, 71, 41, 29, -0.12, 0.03, 0.002, -0.003],
    "FULL_OPENCV": [70, 71, 41, 29, -0.12, 0.03, 0.002, -0.003, 0.01, 0.2, -0.02, 0.005],
    "SIMPLE_RADIAL_FISHEYE": [70, 41, 29, -0.02],
    "RADIAL_FISHEYE": [70, 41, 29, -0.02, 0.01],
    "OPENCV_FISHEYE": [70, 71, 41, 29, -0.02, 0.01, -0.005, 0.001],
}
KNOWN = f"{words(Q_CAMERA_MAP)} {words(T_CAMERA_MAP[:3, 3])}"


def write_text_model(root: Path, cameras: list[str], images: list[str], folder: str = "sparse/0") -> Path:
    """By hand, as COLMAP wrote models before it knew rigs; an image for each image."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "cameras.txt").write_text("# Camera list\n" + "".join(f"{line}\n" for line in cameras))
    (root / folder / "images.txt").write_text("# Image list\n" + "".join(f"{line}\n\n" for line in images))
    (root / folder / "points3D.txt").write_text("# 3D point list\n")
    for line in images:
        write_image(root / "images" / line.split()[-1], 80, 60)
    return root


def reconstruction(model: str = "OPENCV", images: int = 4, cameras: int = 1) -> pycolmap.Reconstruction:
    rng = np.random.default_rng(2)
    made = pycolmap.Reconstruction()
    for number in range(1, cameras + 1):
        camera = pycolmap.Camera(model=model, width=80, height=60, params=PARAMETERS[model], camera_id=number)
        made.add_camera_with_trivial_rig(camera)
    for number in range(1, images + 1):
        rotation = pycolmap.Rotation3d(Rotation.random(random_state=number).as_quat())  # x y z w
        image = pycolmap.Image(name=f"walk/frame{number:03d}.png", camera_id=1 + number % cameras, image_id=number)
        made.add_image_with_trivial_frame(image, pycolmap.Rigid3d(rotation, rng.normal(size=3)))
    return made


def write(made: pycolmap.Reconstruction, root: Path, binary: bool) -> Path:
    folder = root / "sparse" / "0"
    folder.mkdir(parents=True)
    (made.write_binary if binary else made.write_text)(str(folder))
    for image in made.images.values():
        write_image(root / "images" / image.name, 80, 60)
    return root


def test_a_camera_worked_out_by_hand(tmp_path: Path) -> None:
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 70 71 40.5 30"], [f"1 {KNOWN} 1 frame010.png"])
    (image,) = load_scene(root).images  # recognised without its format
    assert is_known(image.pose)
    assert (image.name, image.split, image.stamp) == ("frame010.png", "train", pytest.approx(10 / 30))
    assert image.path == root / "images" / "frame010.png"


@pytest.mark.parametrize("binary", [True, False])
def test_models_that_pycolmap_wrote(tmp_path: Path, binary: bool) -> None:
    made = reconstruction()
    scene = load_scene(write(made, tmp_path / "yard", binary))
    assert [image.sequence for image in scene.images] == ["walk"] * 4
    for number, image in enumerate(scene.images, start=1):
        theirs = made.images[number]
        assert image.name == theirs.name
        np.testing.assert_allclose(image.pose.position, theirs.projection_center(), atol=1e-12)
        np.testing.assert_allclose(image.pose.rotation_33[:, 2], theirs.viewing_direction(), atol=1e-12)
        point = np.array([0.3, -0.2, 2.0])  # of the camera's frame, to the map and back by pycolmap
        np.testing.assert_allclose(
            theirs.cam_from_world() * (image.pose.rotation_33 @ point + image.pose.position), point, atol=1e-12
        )


@pytest.mark.parametrize("model", LENSES)
def test_each_camera_model_sees_points_where_colmap_sees_them(tmp_path: Path, model: str) -> None:
    made = reconstruction(model, images=1)
    camera = load_scene(write(made, tmp_path, True)).intrinsics
    points_N3 = np.array([[0.1, -0.2, 1.0], [0.5, 0.4, 1.0], [-0.6, 0.1, 2.0]])
    theirs_N2 = made.cameras[1].img_from_cam(points_N3)
    project = cv2.fisheye.projectPoints if camera.distortion_model == "equidistant" else cv2.projectPoints
    distortion, zero = np.array(camera.distortion or [0.0] * 4), np.zeros(3)
    ours_N12, _ = project(points_N3.reshape(-1, 1, 3), zero, zero, camera.matrix_33, distortion)
    np.testing.assert_allclose(ours_N12[:, 0] + 0.5, theirs_N2, atol=1e-9)
    assert camera.source == f"COLMAP {model} camera 1" and camera.rectified is model.endswith("PINHOLE")


def test_t21_a_fisheye_without_coefficients_is_one_still(tmp_path: Path) -> None:
    made = reconstruction("OPENCV_FISHEYE", images=1)
    made.cameras[1].params = [*PARAMETERS["OPENCV_FISHEYE"][:4], 0, 0, 0, 0]
    camera = load_scene(write(made, tmp_path, True)).intrinsics
    assert (camera.distortion_model, camera.distortion, camera.rectified) == ("equidistant", (0, 0, 0, 0), False)


def test_the_scale_is_unknown_unless_it_is_given(tmp_path: Path) -> None:
    root = write(reconstruction(), tmp_path, True)
    scene, faults = inspect_scene(f"colmap:{root}")
    assert "COLMAP models have no metric scale unless geo-registered" in str(faults.remarks[0])
    scaled, faults = inspect_scene(f"colmap:{root},scale=2.5")
    assert not faults.remarks and (scene.units, scaled.units) == ("arbitrary", "metres")
    for one, other in zip(scene.images, scaled.images, strict=True):
        np.testing.assert_allclose(2.5 * one.pose.position, other.pose.position)
        np.testing.assert_allclose(one.pose.orientation, other.pose.orientation)
    with pytest.raises(UserError, match="the option scale=0 must be above 0"):
        load_scene(f"colmap:{root},scale=0")


def test_cameras_with_the_same_figures_are_one_and_others_are_chosen_by_id(tmp_path: Path) -> None:
    assert len(load_scene(write(reconstruction(cameras=2), tmp_path / "same", True)).images) == 4
    root = write_text_model(
        tmp_path / "two",
        ["1 PINHOLE 80 60 70 71 40 30", "2 PINHOLE 80 60 75 71 40 30"],
        [f"1 {KNOWN} 1 a.png", f"2 {KNOWN} 2 b.png", f"3 {KNOWN} 2 c.png"],
    )
    with pytest.raises(
        UserError, match=r"2 cameras that differ: 2 \(2 images\), 1 \(1 images\).*,camera=2 uses 2 of 3 images"
    ):
        load_scene(root)
    scene = load_scene(f"colmap:{root},camera=2")
    assert [image.name for image in scene.images] == ["b.png", "c.png"] and scene.intrinsics.fx == 75
    for wrong in ("3", "left"):
        with pytest.raises(UserError, match=f"camera={wrong} has no images in the model; its cameras: 2"):
            load_scene(f"colmap:{root},camera={wrong}")


def test_t16_a_camera_for_each_image_is_merged_or_chosen_with_those_like_it(tmp_path: Path) -> None:
    """As COLMAP makes it without single_camera: the focal length varies; what differs by up to 2 % is one camera."""
    focals = [70.0, 70.4, 70.8, 71.0, 71.2, 90.0]
    cameras = [f"{number} SIMPLE_RADIAL 80 60 {f} 40 30 0.01" for number, f in enumerate(focals, start=1)]
    images = [f"{number} {KNOWN} {number} {number}.png" for number in range(1, 7)]
    merged, faults = inspect_scene(f"colmap:{write_text_model(tmp_path / 'phone', cameras[:5], images[:5])}")
    assert len(merged.images) == 5 and merged.intrinsics.fx == 70.8
    assert any("5 cameras differ by up to 0.8 px; the median one is used" in str(remark) for remark in faults.remarks)
    root = write_text_model(tmp_path / "zoom", cameras, images)
    with pytest.raises(UserError, match=r"6 cameras that differ: .*\(,camera=1 uses 5 of 6 images\)"):
        load_scene(root)
    chosen, faults = inspect_scene(f"colmap:{root},camera=1")
    assert [image.name for image in chosen.images] == [f"{number}.png" for number in range(1, 6)]
    assert chosen.intrinsics.fx == 70
    assert any("1 images of 1 other cameras are left out (camera=1)" in str(remark) for remark in faults.remarks)


def test_names_with_spaces_in_a_text_model_are_whole(tmp_path: Path) -> None:
    """pycolmap ends each name at its first space: all three would be the image "IMG"."""
    root = write_text_model(tmp_path, ["1 PINHOLE 80 60 70 71 40 30"], [f"1 {KNOWN} 1 a.png"])
    path = root / "sparse/0/images.txt"
    path.write_text("# x\n" + "".join(f"{k} {KNOWN} 1 IMG {k}.png\n1.5 2.5 -1\n" for k in range(1, 4)))
    for k in range(1, 4):
        write_image(root / "images" / f"IMG {k}.png", 80, 60)
    assert [image.name for image in load_scene(root).images] == ["IMG 1.png", "IMG 2.png", "IMG 3.png"]


def test_a_folder_of_images_that_does_not_exist_is_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 70 71 40 30"], [f"1 {KNOWN} 1 a.png"])
    monkeypatch.chdir(tmp_path)
    assert len(load_scene(f"colmap:{root},images=yard/images").images) == 1
    with pytest.raises(
        UserError, match=rf"images=images: there is no folder {tmp_path}/images; a relative path starts"
    ):
        load_scene(f"colmap:{root},images=images")


def test_the_model_itself_and_another_folder_of_images(tmp_path: Path) -> None:
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 70 71 40 30"], [f"1 {KNOWN} 1 a.png"])
    (image,) = load_scene(f"colmap:{root / 'sparse/0'},images={root / 'images'}").images
    assert image.path == root / "images" / "a.png"
    with pytest.raises(UserError, match="sparse/0/images/a.png: the image is missing"):
        load_scene(f"colmap:{root / 'sparse/0'}")


def test_t01_images_that_are_missing_or_lead_elsewhere_are_named(tmp_path: Path) -> None:
    lines = [f"{number} {KNOWN} 1 {name}" for number, name in ((1, "a.png"), (2, "b.png"), (3, "../c.png"))]
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 70 71 40 30"], lines)
    (root / "images/b.png").unlink()
    scene, faults = inspect_scene(f"colmap:{root}")
    assert len(scene.images) == 1 and len(faults.refused) == 2
    assert any("images/b.png: the image is missing" in str(fault) for fault in faults.refused)
    assert any("image ../c.png: the image is not below the folder" in str(fault) for fault in faults.refused)
    assert len(inspect_scene(f"colmap:{root}", labels_only=True)[0].images) == 2


def test_t02_a_pose_that_is_not_finite_is_a_fault(tmp_path: Path) -> None:
    made = reconstruction()
    root = write(made, tmp_path, False)
    file = root / "sparse/0/frames.txt"
    center = f"{made.images[2].cam_from_world().translation[0]:.17g}"
    assert center in file.read_text()
    file.write_text(file.read_text().replace(center, "1e9"))
    scene, faults = inspect_scene(f"colmap:{root}")
    assert len(scene.images) == 3
    assert "image walk/frame002.png: a camera at 1e+09 m" in str(faults.refused[0])


@pytest.mark.parametrize(
    ("file", "change", "what"),
    [
        ("cameras.txt", ("PINHOLE", "WIDE_ANGLE"), "pycolmap cannot read the model"),
        ("images.txt", (" 1 a.png", ""), "pycolmap cannot read the model"),
        (
            "cameras.txt",
            ("PINHOLE 80 60 70 71 40 30", "FOV 80 60 70 71 40 30 0.9"),
            "has the model FOV; supported are SIMPLE",
        ),
    ],
)
def test_a_wrong_model_is_one_sentence(tmp_path: Path, file: str, change: tuple[str, str], what: str) -> None:
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 70 71 40 30"], [f"1 {KNOWN} 1 a.png"])
    path = root / "sparse/0" / file
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(UserError, match=f"sparse/0: .*{what}") as caught:
        load_scene(root)
    assert "\n" not in str(caught.value)


def test_a_truncated_binary_model_and_missing_files_are_named(tmp_path: Path) -> None:
    root = write(reconstruction(), tmp_path / "yard", True)
    images = root / "sparse/0/images.bin"
    images.write_bytes(images.read_bytes()[:60])
    with pytest.raises(UserError, match="pycolmap cannot read the model"):
        load_scene(root)
    images.unlink()
    with pytest.raises(UserError, match="no COLMAP model found there; colmap reads cameras, images and points3D"):
        load_scene(f"colmap:{root}")


@pytest.mark.parametrize(("file", "place"), [("frames.bin", 72), ("points3D.bin", 0)])
def test_t19_counts_that_hang_pycolmap_or_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, place: int
) -> None:
    root = write(reconstruction(), tmp_path / "yard", True)
    path = root / "sparse/0" / file
    data = bytearray(path.read_bytes())
    data[place : place + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    monkeypatch.setattr(colmap_model, "SECONDS", 1)
    with pytest.raises(UserError, match="pycolmap cannot read the model") as error:
        load_scene(root)
    assert "\n" not in str(error.value)


def test_a_camera_that_is_none_is_named(tmp_path: Path) -> None:
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 0 71 40 30"], [f"1 {KNOWN} 1 a.png"])
    with pytest.raises(UserError, match="COLMAP PINHOLE camera 1 is 80x60 .* sizes are above 0"):
        load_scene(root)


def test_a_model_without_a_registered_image_is_refused(tmp_path: Path) -> None:
    root = write_text_model(tmp_path / "yard", ["1 PINHOLE 80 60 70 71 40 30"], [])
    with pytest.raises(UserError, match="none of the model's 0 images is registered"):
        load_scene(root)


def test_without_pycolmap_the_sentence_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(reconstruction(), tmp_path, True)
    monkeypatch.setitem(sys.modules, "pycolmap", None)  # Python's own way to say that it cannot be imported
    with pytest.raises(UserError, match="COLMAP models need pycolmap .*; pip install pycolmap"):
        load_scene(root)


def test_a_split_file_chooses(tmp_path: Path) -> None:
    root = write(reconstruction(), tmp_path / "yard", True)
    split = tmp_path / "split.csv"
    split.write_text("split,image\ntest,walk/frame002.png\ntrain,walk/frame001.png\n")
    assert [image.split for image in load_scene(root, split).images] == ["train", "test"]


def test_help_states_the_convention() -> None:
    (line,) = [line for line in describe_formats().splitlines() if line.startswith("  colmap:")]
    assert "world-to-camera" in line and "no metric scale" in line
