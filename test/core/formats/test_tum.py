"""TUM RGB-D recordings: a known camera at known times, the published cameras, and what is wrong in a row."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from transposenet_core.commands.check import verdict
from transposenet_core.dataset_check.check import check_dataset
from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, inspect_scene, load_scene
from transposenet_core.scene_model import HeldOutError, MappedScene

EPOCH = 1305031102
# An upright camera that looks along the map's x, z up: columns are its right (-y), its down (-z) and its view (x).
LOOKS_ALONG_X = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0.0]])


def ground_truth_row(t: float, rotation_deg: float = 0.0) -> str:
    """The camera drives along x at 2 m/s and turns about its own down axis; w last, written by another library."""
    from transforms3d.quaternions import mat2quat

    R = LOOKS_ALONG_X @ Rotation.from_euler("y", rotation_deg, degrees=True).as_matrix()
    w, x, y, z = mat2quat(R)
    numbers = " ".join(f"{value:.9f}" for value in (2 * t, 0.5, 1.2, x, y, z, w))
    return f"{EPOCH + t:.6f} {numbers}"


def write_recording(
    root: Path,
    image_times: list[float],
    ground_truth: list[str] | None = None,
    depth_times: list[float] = (),
    size=(480, 640),
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for kind, times in (("rgb", image_times), ("depth", depth_times)):
        if times:
            (root / kind).mkdir(exist_ok=True)
            lines = ["# a comment", "# timestamp filename"]
            for t in times:
                name = f"{kind}/{EPOCH + t:.6f}.png"
                image = np.full((*size, 3), 90, np.uint8) if kind == "rgb" else np.full(size, 5000, np.uint16)
                cv2.imwrite(str(root / name), image)
                lines.append(f"{EPOCH + t:.6f} {name}")
            (root / f"{kind}.txt").write_text("\n".join(lines) + "\n")
    rows = [ground_truth_row(k / 100, rotation_deg=k) for k in range(101)] if ground_truth is None else ground_truth
    (root / "groundtruth.txt").write_text("# timestamp tx ty tz qx qy qz qw\n" + "\n".join(rows) + "\n")
    return root


def test_a_known_camera_between_two_poses(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "rgbd_dataset_freiburg1_room", [0.105, 0.5])
    scene = load_scene(root)  # recognised without its format
    first, second = scene.images
    np.testing.assert_allclose(first.pose.position, [0.21, 0.5, 1.2], atol=1e-6)
    rotated = LOOKS_ALONG_X @ Rotation.from_euler("y", 10.5, degrees=True).as_matrix()
    np.testing.assert_allclose(first.pose.rotation_33, rotated, atol=1e-6)
    np.testing.assert_allclose(second.pose.position, [1, 0.5, 1.2], atol=1e-6)
    assert (first.name, first.split) == (f"rgb/{EPOCH}.105000.png", "train")
    assert (first.sequence, first.stamp) == ("rgbd_dataset_freiburg1_room", EPOCH + 0.105)


@pytest.mark.parametrize(
    ("folder", "fx", "k1", "rectified"),
    [
        ("rgbd_dataset_freiburg1_xyz", 517.3, 0.2624, False),
        ("rgbd_dataset_freiburg2_desk", 520.9, 0.2312, False),
        ("fr3_office", 535.4, None, True),
    ],
)
def test_the_published_cameras_go_by_the_folders_name(tmp_path: Path, folder, fx, k1, rectified) -> None:
    camera = load_scene(write_recording(tmp_path / folder, [0.1])).intrinsics
    assert (camera.fx, camera.rectified, camera.width, camera.height) == (fx, rectified, 640, 480)
    assert camera.distortion[:1] == (() if k1 is None else (k1,))
    assert camera.source.startswith("TUM RGB-D, published for freiburg")


def test_other_cameras_come_from_options_or_a_file_and_are_else_unknown(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "kitchen", [0.1], size=(60, 80))
    scene, faults = inspect_scene(f"tum:{root}")
    assert scene.intrinsics is None
    assert "the camera is unknown: the name kitchen has no freiburg1" in str(faults.remarks[0])
    camera = load_scene(f"tum:{root},fx=70,fy=71,cx=40,cy=30,k1=-0.1").intrinsics
    assert (camera.width, camera.height, camera.fx, camera.cy, camera.source) == (80, 60, 70, 30, "options of --data")
    assert (camera.distortion_model, camera.distortion) == ("plumb_bob", (-0.1, 0, 0, 0, 0))
    (root / "camera.json").write_text('{"width": 80, "height": 60, "fx": 50, "fy": 50, "cx": 40, "cy": 30}')
    assert load_scene(f"tum:{root}").intrinsics.source == "camera.json"
    with pytest.raises(UserError, match="the options fx, k1 also need fy, cx, cy"):
        load_scene(f"tum:{root},fx=70,k1=0.1")
    with pytest.raises(UserError, match="the option fy=wide is not a number"):
        load_scene(f"tum:{root},fx=70,fy=wide,cx=1,cy=1")


def test_t22_the_published_camera_is_scaled_to_resized_images_alone(tmp_path: Path) -> None:
    scene, faults = inspect_scene(f"tum:{write_recording(tmp_path / 'freiburg1', [0.1], size=(240, 320))}")
    assert (scene.intrinsics.width, scene.intrinsics.fx, scene.intrinsics.cy) == (320, 517.3 / 2, 255.8 / 2 - 0.5)
    assert "for 640x480 pixels, the images have 320x240: scaled" in str(faults.remarks[0])
    scene, faults = inspect_scene(f"tum:{write_recording(tmp_path / 'wide/freiburg1', [0.1], size=(45, 80))}")
    assert scene.intrinsics is None and "images are 80x45" in str(faults.remarks[0])


def test_a_damaged_first_image_does_not_hide_the_camera(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "freiburg1", [0.1, 0.2])
    (root / f"rgb/{EPOCH}.100000.png").write_bytes(b"no image")
    scene, _ = inspect_scene(f"tum:{root}")
    assert scene.intrinsics.fx == 517.3 and len(scene.images) == 2  # who reads the images finds it


def test_depth_is_the_nearest_within_20_ms_in_5000_units_a_metre(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "freiburg2_x", [0.1, 0.2, 0.3], depth_times=[0.115, 0.19, 0.325])
    scene = load_scene(f"tum:{root}")
    depths = [image.depth_path.name if image.depth_path else None for image in scene.images]
    assert depths == [f"{EPOCH}.115000.png", f"{EPOCH}.190000.png", None]
    assert scene.depth_camera.metres_per_unit == 1 / 5000
    np.testing.assert_array_equal(scene.depth_camera.T_camera_depth.matrix_44, np.eye(4))
    assert scene.depth_camera.intrinsics == scene.intrinsics


def test_t03_another_clock_is_refused_and_can_be_corrected(tmp_path: Path) -> None:
    times = [3600 + k / 30 for k in range(20)]
    root = write_recording(tmp_path / "freiburg1", times)
    with pytest.raises(UserError, match=r"rgb.txt with .*groundtruth.txt: 0 of 20 images .* -3600.000 s added"):
        load_scene(f"tum:{root}")
    scene = load_scene(f"tum:{root},time_offset=-3599.95")
    np.testing.assert_allclose(scene.images[0].pose.position, [0.1, 0.5, 1.2], atol=1e-6)


def test_the_time_offset_is_kept_where_it_is_no_other_clock(tmp_path: Path) -> None:
    """The node looks odometry up at the time of an image by the robot's clock."""
    root = write_recording(tmp_path / "freiburg1", [0.105, 0.5])
    scene = load_scene(f"tum:{root},time_offset=0.05")
    held_out_error = HeldOutError((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), "nothing")
    assert MappedScene.of(scene, held_out_error, {}).time_offset_s == scene.time_offset_s == 0.05
    other_clock = replace(scene, time_offset_s=7200.0)
    assert MappedScene.of(other_clock, held_out_error, {}).time_offset_s == 0.0, "a model with it could not be loaded"


def test_t03_the_few_images_without_a_pose_are_left_out_and_reported(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "freiburg1", [-0.1, 0.0, 0.1, 0.2, 0.3, 1.0])
    scene, faults = inspect_scene(f"tum:{root}")
    assert len(scene.images) == 5 and not faults.refused
    assert "5 of 6 images (83.3%) have a pose at their time, 1 are before the first" in str(faults.remarks[0])
    with pytest.raises(UserError, match=r"1 of 6 images .* 4 lie between poses more than 0.001 s apart"):
        root = write_recording(tmp_path / "freiburg1", [-0.1, 0.0, 0.105, 0.205, 0.305, 0.405])
        load_scene(f"tum:{root},max_gap=0.001")


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (f"{EPOCH}.5 1 2 3 0 0 0", "line 7: 7 columns, a row is 'timestamp tx ty tz qx qy qz qw'"),
        (f"{EPOCH}.5 1 2 3 0 0 0 one", "line 7: could not convert string to float: 'one'"),
        (f"{EPOCH}.5 1 2 nan 0 0 0 1", "line 7: a number that is not finite"),
        (f"{EPOCH}.5 1 2 3 0 0 0 2", "line 7: a quaternion of length 2"),
        ("then 1 2 3 0 0 0 1", "line 7: 'then' is not a time stamp in seconds"),
        (ground_truth_row(0.03, 9), "line 7: the stamp is already in .*groundtruth.txt line 4, with another pose"),
    ],
)
def test_t02_a_wrong_row_is_left_out_and_named(tmp_path: Path, row: str, what: str) -> None:
    rows = [ground_truth_row(k / 100) for k in range(1, 6)] + [row] + [ground_truth_row(k / 100) for k in range(6, 20)]
    root = write_recording(tmp_path / "freiburg1", [0.05, 0.1], rows)
    scene, faults = inspect_scene(f"tum:{root}")
    assert len(scene.images) == 2 and len(faults.refused) == 1
    with pytest.raises(UserError, match=f"groundtruth.txt {what}"):
        load_scene(f"tum:{root}")


def test_t01_images_that_are_missing_or_lead_elsewhere_are_named(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "freiburg1", [0.1, 0.2])
    (root / f"rgb/{EPOCH}.200000.png").unlink()
    with open(root / "rgb.txt", "a") as file:
        file.write(f"{EPOCH}.3 ../secret.png\n{EPOCH}.4 rgb/a b.png\n")
    scene, faults = inspect_scene(f"tum:{root}")
    text = "; ".join(map(str, faults.refused))
    assert len(scene.images) == 1 and len(faults.refused) == 3
    assert ".200000.png: the image is missing" in text
    assert "rgb.txt line 5: the image ../secret.png is not below the folder" in text
    assert "rgb/a b.png: the image is missing" in text
    assert len(inspect_scene(f"tum:{root}", labels_only=True)[0].images) == 3


def test_files_that_are_missing_or_empty_are_named(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "freiburg1", [0.1])
    (root / "groundtruth.txt").write_text("# nothing\n")
    with pytest.raises(UserError, match="groundtruth.txt: it has no rows; it should be rows 'timestamp tx"):
        load_scene(f"tum:{root}")
    (root / "groundtruth.txt").unlink()
    with pytest.raises(UserError, match="groundtruth.txt: it cannot be read"):
        load_scene(f"tum:{root}")
    with pytest.raises(UserError, match=r"no rgb.txt found there or in a folder below; tum reads rgb.txt"):
        load_scene(f"tum:{root / 'rgb'}")


def test_several_sequences_are_one_scene_where_their_camera_is_the_same(tmp_path: Path) -> None:
    for name in ("freiburg1_desk", "freiburg1_desk2"):
        write_recording(tmp_path / name, [0.1, 0.2], depth_times=[0.1])
    scene = load_scene(tmp_path)
    assert [image.sequence for image in scene.images] == ["freiburg1_desk"] * 2 + ["freiburg1_desk2"] * 2
    assert scene.images[2].name == f"freiburg1_desk2/rgb/{EPOCH}.100000.png"
    assert scene.images[2].depth_path.parent.parent.name == "freiburg1_desk2"
    write_recording(tmp_path / "freiburg2_desk", [0.1])
    with pytest.raises(UserError, match=r"freiburg2_desk: another camera than in .*freiburg1_desk; a scene"):
        load_scene(tmp_path)


def test_a_split_file_chooses(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "freiburg1", [0.1, 0.2, 0.3])
    split = tmp_path / "split.csv"
    split.write_text(f"split,image\ntest,rgb/{EPOCH}.200000.png\ntrain,freiburg1/rgb/{EPOCH}.100000.png\n")
    assert [image.split for image in load_scene(root, split).images] == ["train", "test"]


def test_help_states_the_convention() -> None:
    (line,) = [line for line in describe_formats().splitlines() if line.startswith("  tum:")]
    assert "camera-to-map" in line and "w last" in line and "interpolated" in line


def fast_recording(root: Path, bad: int, repeated: int = 0) -> Path:
    """Ten images and two seconds of a tracker at 200 Hz, of which `bad` rows, far apart, have no numbers."""
    rows = [ground_truth_row(k / 200) for k in range(401)]
    for k in range(bad):
        rows[7 + 11 * k] = f"{EPOCH + (7 + 11 * k) / 200:.6f} nan nan nan nan nan nan nan"
    return write_recording(root / "freiburg1", [0.1 + 0.15 * k for k in range(10)], rows + rows[:repeated], size=(6, 8))


def test_t01_bad_rows_of_a_fast_tracker_are_compared_with_its_rows_not_with_the_images(tmp_path: Path) -> None:
    data = f"tum:{fast_recording(tmp_path, bad=9)}"
    with pytest.raises(UserError, match="9 faults and 10 good images"):
        load_scene(data)
    assert len(load_scene(data, skip_bad=True).images) == 10, "9 are more than 5 % of the images, and cost none of them"
    findings = check_dataset(data, motion=False, progress=False)
    findings.faults.all = [fault for fault in findings.faults.all if "groundtruth" in fault.where]
    assert verdict(findings, data, skip_bad=True).startswith("good: 10 usable images, 9 faults left out")
    data = f"tum:{fast_recording(tmp_path, bad=30)}"
    with pytest.raises(UserError, match=r"more than 5% of the 401 rows of .*groundtruth.txt, too many to leave out"):
        load_scene(data, skip_bad=True)


def test_t01_rows_that_are_there_twice_are_harmless(tmp_path: Path) -> None:
    root = fast_recording(tmp_path, bad=0, repeated=5)
    listed = (root / "rgb.txt").read_text()
    (root / "rgb.txt").write_text(listed + listed.splitlines()[-1] + "\n")
    scene, faults = inspect_scene(f"tum:{root}")
    assert len(scene.images) == 10 and not faults.refused
    remarks = "; ".join(map(str, faults.remarks))
    assert "groundtruth.txt: 5 rows repeat another row exactly" in remarks
    assert "rgb.txt: 1 rows repeat another row exactly" in remarks
