"""nerfstudio's transforms.json: a camera worked out by hand, its own conversion of a COLMAP model, wrong files."""

import json
import re
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_camera import T_MAP_CAMERA, is_known, write_image
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, inspect_scene, load_scene
from transposenet_core.formats.camera_files import read_json

CAMERA = {"camera_model": "OPENCV", "w": 8, "h": 6, "fl_x": 7.0, "fl_y": 7.1, "cx": 4.0, "cy": 3.0}
# The known camera looks along the map's x with z up. OpenGL's y is up and its z back: columns -y, z, -x.
KNOWN = [[0, 0, -1, 10], [-1, 0, 0, 2], [0, 1, 0, 1.5], [0, 0, 0, 1]]


def frame(name: str, matrix: object = KNOWN, **more: object) -> dict:
    return {"file_path": name, "transform_matrix": matrix, **more}


def write(root: Path, *frames: dict, **content: object) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    frames = frames or (frame("images/frame_00001.png"), frame("./images/frame_00002.png"))
    for entry in frames:
        if isinstance(entry.get("file_path"), str) and ".." not in entry["file_path"]:
            write_image((root / entry["file_path"]).with_suffix(".png"))
    (root / "transforms.json").write_text(json.dumps({**CAMERA, **content, "frames": list(frames)}))
    return root


def test_a_camera_worked_out_by_hand(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path / "yard"))  # recognised without its format
    first, second = scene.images
    assert is_known(first.pose) and is_known(second.pose)
    assert (second.name, second.split, second.sequence) == ("images/frame_00002.png", "train", "images")
    assert second.stamp == pytest.approx(2 / 30)
    camera = scene.intrinsics
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (8, 6, 7, 7.1, 3.5, 2.5)
    assert camera.rectified and camera.source == "transforms.json (OPENCV)"


def test_what_nerfstudio_makes_of_a_colmap_model_is_the_model(tmp_path: Path) -> None:
    """Its conversion, as its documentation has it: invert, negate y and z, swap the world's axes, note that."""
    made = pycolmap.Reconstruction()
    made.add_camera_with_trivial_rig(
        pycolmap.Camera(model="OPENCV", width=8, height=6, params=[7, 7.1, 4, 3, 0.1, 0.02, 0.001, 0.002], camera_id=1)
    )
    applied, frames = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0.0]]), []
    for number in range(1, 4):
        T = pycolmap.Rigid3d(
            pycolmap.Rotation3d(Rotation.random(random_state=number).as_quat()), np.array([1.0, -2.0, number])
        )
        made.add_image_with_trivial_frame(pycolmap.Image(name=f"f{number}.png", camera_id=1, image_id=number), T)
        c2w = np.linalg.inv(np.vstack([T.matrix(), [0, 0, 0, 1]]))
        c2w[0:3, 1:3] *= -1
        c2w = c2w[np.array([0, 2, 1, 3]), :]
        c2w[2, :] *= -1
        frames.append(frame(f"images/f{number}.png", c2w.tolist()))
    root = write(tmp_path, *frames, applied_transform=applied.tolist(), k1=0.1, k2=0.02, p1=0.001, p2=0.002)
    (root / "colmap/sparse/0").mkdir(parents=True)
    made.write_binary(str(root / "colmap/sparse/0"))
    ours, colmaps = load_scene(f"nerfstudio:{root}"), load_scene(f"colmap:{root}")
    for one, other in zip(ours.images, colmaps.images, strict=True):
        np.testing.assert_allclose(one.pose.matrix_44, other.pose.matrix_44, atol=1e-12)
    a, b = ours.intrinsics, colmaps.intrinsics
    assert (a.fx, a.fy, a.cx, a.cy) == (b.fx, b.fy, b.cx, b.cy)
    assert (a.distortion_model, a.distortion, a.rectified) == (b.distortion_model, b.distortion, b.rectified)


def test_applied_scale_is_undone_and_scale_is_applied(tmp_path: Path) -> None:
    """The file's position is applied_scale times the rotated one: shrunk first, then rotated back, then metres."""
    A = np.eye(4)
    A[:3, :3], A[:3, 3] = Rotation.from_euler("xyz", [0.3, -0.2, 0.9]).as_matrix(), (0.5, 1, -2)
    in_file = A @ KNOWN
    in_file[:3, 3] *= 0.25
    root = write(tmp_path, frame("a.png", in_file.tolist()), applied_transform=A[:3].tolist(), applied_scale=0.25)
    scene, faults = inspect_scene(f"nerfstudio:{root}")
    assert is_known(scene.images[0].pose)
    assert "the file has no unit" in str(faults.remarks[0])
    scaled, faults = inspect_scene(f"nerfstudio:{root},scale=3")
    np.testing.assert_allclose(scaled.images[0].pose.position, 3 * T_MAP_CAMERA[:3, 3])
    assert not faults.remarks and (scene.units, scaled.units) == ("arbitrary", "metres")


@pytest.mark.parametrize(
    ("content", "lens", "distortion"),
    [
        ({"k1": 0.1, "k2": 0.2, "p1": 0.01, "p2": 0.02}, "plumb_bob", (0.1, 0.2, 0.01, 0.02, 0)),
        ({"k1": 0.1, "k2": 0, "k3": 0.3, "k4": 0, "p1": 0, "p2": 0}, "plumb_bob", (0.1, 0, 0, 0, 0.3)),
        ({"camera_model": "OPENCV_FISHEYE", "k1": 1, "k2": 2, "k3": 3, "k4": 4}, "equidistant", (1, 2, 3, 4)),
        # instant-ngp's: its converter writes is_fisheye, and no camera_model
        ({"camera_model": None, "is_fisheye": True, "k1": 1, "k2": 2, "k3": 3, "k4": 4}, "equidistant", (1, 2, 3, 4)),
        ({"camera_model": None, "is_fisheye": True, "k1": 0.1}, "equidistant", (0.1, 0, 0, 0)),
        ({"camera_model": None, "is_fisheye": True}, "equidistant", (0, 0, 0, 0)),
        ({"camera_model": None, "is_fisheye": False, "k1": 0.1, "k2": 0.2}, "plumb_bob", (0.1, 0.2, 0, 0, 0)),
        ({"camera_model": "OPENCV_FISHEYE", "is_fisheye": True, "k1": 0.1}, "equidistant", (0.1, 0, 0, 0)),
        ({"is_fisheye": False, "k1": 0.1}, "plumb_bob", (0.1, 0, 0, 0, 0)),
        ({"camera_model": "OPENCV_FISHEYE"}, "equidistant", (0, 0, 0, 0)),
        ({"camera_model": "SIMPLE_RADIAL", "k1": 0.1}, "plumb_bob", (0.1, 0, 0, 0, 0)),
        ({"distortion_params": [0.1, 0.2, 0.3, 0, 0.01, 0.02]}, "plumb_bob", (0.1, 0.2, 0.01, 0.02, 0.3)),
        ({"camera_model": None, "is_fisheye": 1, "distortion_params": [1, 2, 3, 4]}, "equidistant", (1, 2, 3, 4)),
        ({"camera_model": "PINHOLE"}, "none", ()),
        ({"k1": 0, "k2": 0, "p1": 0, "p2": 0}, "none", ()),
    ],
)
def test_t21_lenses(tmp_path: Path, content: dict, lens: str, distortion: tuple[float, ...]) -> None:
    camera = load_scene(write(tmp_path, **content)).intrinsics
    assert (camera.distortion_model, camera.distortion, camera.rectified) == (lens, distortion, lens == "none")


def test_t21_the_lens_may_be_in_every_frame(tmp_path: Path) -> None:
    """As colmap2nerf.py writes several cameras: nothing above the frames, and the lens in each."""
    own = {"w": 8, "h": 6, "fl_x": 7, "fl_y": 7, "cx": 4, "cy": 3, "is_fisheye": True, "k1": 0.1, "k2": 0.2}
    root = write(tmp_path, frame("0.png", **own), frame("1.png", **own), **dict.fromkeys(CAMERA))
    camera = load_scene(root).intrinsics
    assert (camera.distortion_model, camera.distortion, camera.fx) == ("equidistant", (0.1, 0.2, 0, 0), 7)
    root = write(
        tmp_path, frame("0.png", **own), frame("1.png", **own | {"is_fisheye": False}), **dict.fromkeys(CAMERA)
    )
    with pytest.raises(
        UserError, match="transforms.json: frames of different lenses: OPENCV and OPENCV_FISHEYE; a scene"
    ):
        load_scene(root)


def test_t21_keys_that_are_not_known_are_named(tmp_path: Path) -> None:
    scene, faults = inspect_scene(write(tmp_path, **{f"exporter_{k}": 1 for k in range(9)}, sk_x=0.0, latlong=False))
    (remark,) = [str(remark) for remark in faults.remarks if "not known" in str(remark)]
    assert "keys that are not known and not used: exporter_0, exporter_1" in remark and ", ..." in remark
    assert scene.intrinsics.rectified
    _, faults = inspect_scene(write(tmp_path / "usual", aabb_scale=4, frames_per=None))
    assert not any("aabb_scale" in str(remark) for remark in faults.remarks)


def test_cameras_of_frames_are_one_where_they_hardly_differ(tmp_path: Path) -> None:
    frames = [frame(f"{k}.png", w=8, h=6, fl_x=700 + k, fl_y=700, cx=4, cy=3) for k in range(5)]
    scene, faults = inspect_scene(f"nerfstudio:{write(tmp_path, *frames)}")
    assert scene.intrinsics.fx == 702
    assert any("differ by up to 2 px; the median one is used" in str(remark) for remark in faults.remarks)
    frames[0]["fl_x"] = 600
    with pytest.raises(
        UserError, match="frames of 5 different cameras; a scene has one: .*camera=1.png, which uses 4 of"
    ):
        load_scene(f"nerfstudio:{write(tmp_path, *frames)}")


def test_t16_frames_of_other_cameras_are_left_out_by_the_file_path_of_one(tmp_path: Path) -> None:
    frames = [frame(f"{k}.png", w=8, h=6, fl_x=7 if k < 3 else 8, fl_y=7, cx=4, cy=3) for k in range(5)]
    root = write(tmp_path, *frames)
    with pytest.raises(UserError, match="choose the frames of one by the file_path of any of them, .* ,camera=0.png"):
        load_scene(f"nerfstudio:{root}")
    scene, faults = inspect_scene(f"nerfstudio:{root},camera=1.png")
    assert [image.name for image in scene.images] == ["0.png", "1.png", "2.png"] and scene.intrinsics.fx == 7
    assert any("2 frames of other cameras are left out (camera=1.png)" in str(remark) for remark in faults.remarks)
    frames[3] |= {"camera_model": "EQUIRECTANGULAR"}  # one that is left out may be of any model
    frames[4] |= {"exporter": 1}
    scene, faults = inspect_scene(f"nerfstudio:{write(tmp_path, *frames)},camera=1.png")
    assert len(scene.images) == 3
    assert sum("not known and not used: exporter" in str(remark) for remark in faults.remarks) == 1
    with pytest.raises(UserError, match="camera=9.png is not a frame's file_path; name one, such as 0.png"):
        load_scene(f"nerfstudio:{root},camera=9.png")


def test_a_file_for_each_split_as_the_blender_scenes_have_it(tmp_path: Path) -> None:
    """Their cameras and applied transforms are each file's own; a val file may be absent."""
    for split, numbers in (("train", (0, 1)), ("test", (0,))):
        frames = [frame(f"./{split}/r_{number}") for number in numbers]
        root = write(tmp_path / "lego", *frames, **({"applied_scale": 2.0} if split == "test" else {}))
        (root / "transforms.json").rename(root / f"transforms_{split}.json")
    scene = load_scene(root)  # recognised without its format
    found = [(image.name, image.split) for image in scene.images]
    assert found == [("test/r_0.png", "test"), ("train/r_0.png", "train"), ("train/r_1.png", "train")]
    assert is_known(scene.images[1].pose) and scene.intrinsics.fx == 7
    np.testing.assert_allclose(scene.images[0].pose.position, T_MAP_CAMERA[:3, 3] / 2)
    (root / "transforms_train.json").unlink()
    (root / "transforms_test.json").unlink()
    with pytest.raises(UserError, match="neither transforms.json nor transforms_train.json .* is there; nerfstudio"):
        load_scene(f"nerfstudio:{root}")


def test_frames_that_were_refused_are_not_reported_as_a_missing_camera(tmp_path: Path) -> None:
    root = write(tmp_path, frame("../a.png"), camera_model="OPENCV")
    for option in ("", ",camera=a.png"):
        scene, faults = inspect_scene(f"nerfstudio:{root}{option}")
        assert not scene.images and "is not below the folder" in str(faults.refused[0])
    assert not any("neither fl_x nor camera_angle_x" in str(remark) for remark in faults.remarks)


def test_instant_ngp_gives_the_angle_and_leaves_out_size_and_suffix(tmp_path: Path) -> None:
    root = write(tmp_path, frame("train/r_0"), frame("train/r_1"))
    content = json.loads((root / "transforms.json").read_text())
    angle = 2 * np.arctan(0.5)
    (root / "transforms.json").write_text(json.dumps({"camera_angle_x": angle, "frames": content["frames"]}))
    scene = load_scene(root)
    assert [image.name for image in scene.images] == ["train/r_0.png", "train/r_1.png"]
    assert (scene.intrinsics.width, scene.intrinsics.height) == (8, 6)
    assert scene.intrinsics.fx == pytest.approx(8) and scene.intrinsics.fy == pytest.approx(8)
    degrees = {"x_fov": float(np.degrees(angle)), "y_fov": float(np.degrees(angle))}
    (root / "transforms.json").write_text(json.dumps(degrees | {"frames": content["frames"]}))
    camera = load_scene(root).intrinsics
    assert (camera.fx, camera.fy) == (pytest.approx(8), pytest.approx(6))
    (root / "transforms.json").write_text(json.dumps({"frames": content["frames"]}))
    scene, faults = inspect_scene(root)
    assert scene.intrinsics is None and any("no camera: it has neither fl_x" in str(r) for r in faults.remarks)


def test_the_files_own_lists_are_the_split(tmp_path: Path) -> None:
    frames = [frame(f"images/{k}.png") for k in range(5)]
    lists = {
        "train_filenames": ["images/0.png", "./images/1.png"],
        "val_filenames": ["images/2.png"],
        "test_filenames": ["images/3.png"],
    }
    root = write(tmp_path / "yard", *frames, **lists)
    scene, faults = inspect_scene(root)
    assert [image.split for image in scene.images] == ["train", "train", "val", "test"]
    assert any("1 frames are in none of its lists and are not used" in str(remark) for remark in faults.remarks)
    split = tmp_path / "split.csv"
    split.write_text("split,image\ntest,images/4.png\n")
    assert [image.name for image in load_scene(root, split).images] == ["images/4.png"]
    lists["test_filenames"] = ["images/0.png", "images/9.png"]
    with pytest.raises(UserError) as caught:
        load_scene(write(tmp_path / "yard", *frames, **lists))
    assert "test_filenames names images/0.png, which is already in train_filenames" in str(caught.value)
    assert "test_filenames names images/9.png, which is not a frame" in str(caught.value)


def test_t02_wrong_frames_are_left_out_and_named(tmp_path: Path) -> None:
    mirrored = (np.array(KNOWN) * [-1, 1, 1, 1]).tolist()
    wrong = [
        (frame("a.png", mirrored), r"frames\[0\]: the rotation block has determinant -1"),
        (frame("b.png", [[1, 2], [3, 4]]), r"frames\[1\]: transform_matrix is not a 4x4 matrix \(shape \(2, 2\)\)"),
        (frame("c.png", [[float("nan")] * 4] * 4), r"frames\[2\]: a number that is not finite"),
        (frame("d.png", None), r"frames\[3\]: transform_matrix is not a 4x4 matrix"),
        ({"transform_matrix": KNOWN}, r"frames\[4\]: not a frame: a frame has file_path and transform_matrix"),
        (frame("../e.png"), r"frames\[5\]: the image ../e.png is not below the folder"),
        (frame("good.png", np.eye(4).tolist()), r"frames\[7\]: good.png is already in .*frames\[6\]"),
    ]
    root = write(tmp_path, *(entry for entry, _ in wrong), frame("good.png"))
    scene, faults = inspect_scene(f"nerfstudio:{root}")
    assert len(scene.images) == 1 and len(faults.refused) == len(wrong)
    for fault, (_, sentence) in zip(sorted(map(str, faults.refused)), wrong, strict=True):
        assert re.search(sentence, fault)


@pytest.mark.parametrize("name", ["n" * 5000, "n" * 5000 + ".png", "a\0b.png"])
def test_t01_a_name_that_no_file_can_have_is_a_missing_image(tmp_path: Path, name: str) -> None:
    root = write(tmp_path)
    content = {**CAMERA, "frames": [frame("images/frame_00001.png"), frame(name)]}
    (root / "transforms.json").write_text(json.dumps(content))
    scene, faults = inspect_scene(f"nerfstudio:{root}")
    assert len(scene.images) == 1 and "the image is missing" in str(faults.refused[0])


def test_t01_missing_images_are_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "images/frame_00001.png").unlink()
    with pytest.raises(UserError, match="images/frame_00001.png: the image is missing"):
        load_scene(root)
    assert len(inspect_scene(root, labels_only=True)[0].images) == 2


def test_t15_missing_images_are_left_out_where_the_user_has_asked_for_it(tmp_path: Path) -> None:
    root = write(tmp_path, *(frame(f"{k}.png") for k in range(9)))
    for k in range(7):
        (root / f"{k}.png").unlink()
    for skip_bad in (False, True):
        with pytest.raises(UserError, match="to leave out the 7 missing images, write ,missing=skip after the path"):
            load_scene(f"nerfstudio:{root}", skip_bad=skip_bad)
    scene, faults = inspect_scene(f"nerfstudio:{root},missing=skip")
    assert [image.name for image in scene.images] == ["7.png", "8.png"] and not faults.refused
    (remark,) = [str(remark) for remark in faults.remarks if "left out" in str(remark)]
    assert "7 of 9 images are missing and left out (missing=skip)" in remark and "2 more" in remark
    (root / "7.png").write_bytes(b"")  # an empty file is not a missing one
    with pytest.raises(UserError, match="7.png: the image is empty"):
        load_scene(f"nerfstudio:{root},missing=skip")
    for name in ("7.png", "8.png"):
        (root / name).unlink()
    with pytest.raises(UserError, match="all 9 images that it names are missing, first .*0.png; copy them"):
        load_scene(f"nerfstudio:{root},missing=skip")
    with pytest.raises(UserError, match="missing=ignore, allowed is missing=skip"):
        load_scene(f"nerfstudio:{root},missing=ignore")


def test_t15_the_fox_of_instant_ngp_names_images_that_it_does_not_have(data_folder: Path) -> None:
    fox = data_folder / "fox"
    with pytest.raises(UserError, match="to leave out the 17 missing images, write ,missing=skip"):
        load_scene(f"nerfstudio:{fox}")
    assert len(load_scene(f"nerfstudio:{fox},missing=skip").images) == 50
    scene = load_scene(f"nerfstudio:{fox},missing=skip", data_folder / "splits" / "fox_every5.csv")
    assert (len(scene.select("train")), len(scene.select("test"))) == (40, 10)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model 'EQUIRECTANGULAR', known are OPENCV, OPENCV_FISHEYE"),
        ({"camera_model": ["OPENCV"]}, "camera_model .'OPENCV'., known are OPENCV"),
        ({"is_fisheye": "yes"}, "is_fisheye is 'yes', allowed are true and false"),
        ({"is_fisheye": True}, "camera_model OPENCV and is_fisheye true contradict each other"),
        ({"camera_model": "OPENCV_FISHEYE", "is_fisheye": False}, "OPENCV_FISHEYE and is_fisheye false contradict"),
        ({"ftheta_p0": 0.5}, "the key ftheta_p0 .0.5. may be of a lens that is not known; known are camera_model"),
        ({"latlong": True}, "the key latlong .True. may be of a lens"),
        ({"k5": 0.1}, "the key k5 .0.1. may be of a lens"),
        ({"lens_params": [0, 0.1]}, "the key lens_params"),
        ({"distortion_params": [0.1] * 12}, "distortion_params .*; it must be a list of k1, k2, k3, k4, p1, p2, or"),
        ({"k4": 0.1}, "k4 of the camera_model OPENCV are not supported, only k1, k2, p1, p2, k3"),
        ({"camera_model": "PINHOLE", "k1": 0.1}, "k1 of the camera_model PINHOLE are not supported, only none"),
        ({"fl_x": -7}, "is not a camera; w, h and fl_x must be above 0"),
        ({"fl_x": "long"}, "could not convert string to float: 'long'"),
        ({"cx": float("inf")}, "a number that is not finite"),
        ({"applied_transform": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}, "applied_transform .* is not a rigid"),
        ({"applied_transform": "z up"}, "applied_transform is not a 3x4 or 4x4 matrix"),
        ({"applied_scale": 0}, "applied_scale is 0, it must be a number above 0"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, content: dict, what: str) -> None:
    with pytest.raises(UserError, match=f"transforms.json: .*{what}|transforms.json: {what}") as caught:
        load_scene(write(tmp_path, **content))
    assert "\n" not in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
KEYS = [
    *CAMERA,
    "k1",
    "p1",
    "is_fisheye",
    "distortion_params",
    "lens",
    "camera_angle_x",
    "applied_transform",
    "applied_scale",
    "train_filenames",
    "frames",
]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*KEYS, "file_path", "transform_matrix", "fl_x of a frame"]), anything)
def test_whatever_a_value_is_the_scene_is_read_or_refused_in_a_sentence(
    tmp_path: Path, key: str, value: object
) -> None:
    root = tmp_path if (tmp_path / "images").is_dir() else write(tmp_path)
    content = {**CAMERA, "frames": [frame(f"images/frame_0000{k}.png") for k in (1, 2)]}
    (content if key in KEYS else content["frames"][1])[key.split()[0]] = value
    (root / "transforms.json").write_text(json.dumps(content))
    try:
        scene, _ = inspect_scene(f"nerfstudio:{root}")
    except UserError as error:
        assert "transforms.json" in str(error)
    else:
        # What nerfstudio applied to the poses is taken back: they are others then, and as finite.
        known = key.startswith("applied_") or all(is_known(image.pose) for image in scene.images[:1])
        assert len(scene.images) <= 2 and known


def test_no_frames_and_no_json(tmp_path: Path) -> None:
    root = write(tmp_path)
    for text, what in (
        ('{"frames": []}', "it has no frames"),
        ("{", "not valid JSON"),
        ("[1]", "a list, it must be a JSON"),
    ):
        (root / "transforms.json").write_text(text)
        with pytest.raises(UserError, match=f"transforms.json: {what}"):
            load_scene(root)
    (root / "transforms.json").unlink()
    with pytest.raises(UserError, match="transforms.json: it cannot be read \\(No such file or directory\\); copy it"):
        read_json(root / "transforms.json")


def test_help_states_the_convention() -> None:
    (line,) = [line for line in describe_formats().splitlines() if line.startswith("  nerfstudio:")]
    assert "camera-to-world" in line and "OpenGL" in line and "undone" in line
