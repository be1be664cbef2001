"""Scene -> recording -> data set loses nothing, and a robot's base pose becomes its camera's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import zstandard
from image_messages import message_of, samples_of
from made_bags import Messages, Row, check_drive, drive, imported, texture, write_bag, write_rosbag1

from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import Scene
from transposenet_ros.bag_to_dataset import main
from transposenet_ros.decoding.image_decoding import decode_image
from transposenet_ros.make_bag import main as make_bag

GROUND_TRUTH = ["--pose", "/ground_truth/pose"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve PNG and JPEG images of one sequence in the 7-Scenes layout, with poses of all digits and a camera."""
    root = tmp_path_factory.mktemp("source")
    (root / "seq-01").mkdir()
    rng = np.random.default_rng(5)
    for number in range(12):
        stem = root / "seq-01" / f"frame-{number:06d}"
        cv2.imwrite(f"{stem}.color.{'jpg' if number % 2 else 'png'}", texture(number))
        np.savetxt(f"{stem}.pose.txt", Pose(rng.normal(size=3), rng.normal(size=4)).matrix_44, fmt="%.17g")
    (root / "TestSplit.txt").write_text("sequence1\n")
    (root / "TrainSplit.txt").write_text("")
    np.savetxt(root / "color-intrinsics.txt", [[53.0, 0, 31.5], [0, 54.0, 23.5], [0, 0, 1]])
    return root


def made(source: Path, out: Path, *options: str) -> Path:
    assert make_bag(["--data", f"7scenes:{source}", "--out", str(out), *options]) == 0
    return out


def check_poses(scene: Scene, source: Path, count: int = 12) -> None:
    before = load_scene(f"7scenes:{source}").images
    assert len(scene.images) == count
    for old, new in zip(before, scene.images, strict=False):
        np.testing.assert_allclose(new.pose.position, old.pose.position, rtol=0, atol=1e-9)
        np.testing.assert_allclose(new.pose.orientation, old.pose.orientation, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pose", [GROUND_TRUTH, ["--pose", "tf:map->camera_ground_truth", "--pose-frame", "camera"]])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_raw_images_come_back_to_the_pixel_and_poses_to_1e_9(source, tmp_path, storage, pose):
    scene = imported(made(source, tmp_path / "bag", "--storage", storage), tmp_path / "data", *pose)
    check_poses(scene, source)
    for old, new in zip(load_scene(f"7scenes:{source}").images, scene.images, strict=True):
        np.testing.assert_array_equal(read_image(new.path), read_image(old.path))
        assert new.path.suffix == ".png"
    assert scene.map_frame == "map"
    camera = scene.intrinsics
    assert camera is not None and (camera.width, camera.height) == (64, 48)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (53.0, 54.0, 31.5, 23.5)
    assert camera.rectified is True and "/camera/camera_info" in camera.source


def test_compressed_images_keep_their_bytes(source, tmp_path):
    bag = made(source, tmp_path / "bag", "--compressed")
    scene = imported(bag, tmp_path / "data", *GROUND_TRUTH, image="/camera/image/compressed")
    check_poses(scene, source)
    for old, new in zip(load_scene(f"7scenes:{source}").images, scene.images, strict=True):
        assert new.path.read_bytes() == old.path.read_bytes()
        assert new.path.suffix == old.path.suffix


def recompressed(format: str, stored: Callable[[np.ndarray], np.ndarray]) -> Iterator[Row]:
    """The drive with its images as PNG files under a `format`; `stored` makes the file's BGR or grey pixels of RGB."""
    m = Messages()
    for topic, time_ns, message in drive():
        if topic == "/camera/image":
            data = cv2.imencode(".png", stored(message.data.reshape(48, 64, 3)))[1].tobytes()
            topic, message = "/camera/image/compressed", m.compressed(time_ns, "camera_optical", data, format)
        yield topic, time_ns, message


def test_n08_exchanged_colours_and_mosaics_are_put_right_in_the_data_set(tmp_path):
    """The bytes that came would be read as every other file is."""
    exchanged = write_bag(tmp_path / "rgb", recompressed("rgb8; png compressed rgb8", lambda image_HW3: image_HW3))
    check_drive(imported(exchanged, tmp_path / "colours", "--pose", "/odom", image="/camera/image/compressed"))
    rows = recompressed("bayer_grbg8; png compressed ", lambda image_HW3: samples_of("bayer_grbg8", image_HW3))
    mosaic = write_bag(tmp_path / "bayer", rows)
    scene = imported(mosaic, tmp_path / "mosaics", "--pose", "/odom", image="/camera/image/compressed")
    for number, image in enumerate(scene.images):
        expected_HW3 = decode_image(message_of("bayer_grbg8", texture(number)))
        np.testing.assert_array_equal(read_image(image.path), expected_HW3)


def test_n05_depth_is_not_imported_as_images(tmp_path, capsys):
    rows = recompressed("16UC1; png compressed ", lambda image_HW3: image_HW3[..., 0].astype(np.uint16))
    bag = write_bag(tmp_path / "bag", rows)
    arguments = ["--image", "/camera/image/compressed", "--pose", "/odom", "--out", str(tmp_path / "data")]
    assert main([str(bag), *arguments]) == 2
    error = capsys.readouterr().err
    assert "/camera/image/compressed cannot be used: compressed format '16UC1; png compressed '" in error
    assert "that of depth with --depth" in error and error.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "pose",
    [
        ["tf:map->base_link"],
        ["tf:map->camera_optical"],
        ["/odom"],
        ["/tracker"],
        ["/amcl_pose", "--pose-frame", "base_link"],
        ["/mocap", "--pose-frame", "base_link"],
        ["/mocap", "--extrinsic", "0.2,-0.1,0.5,0.5,-0.5,0.5,-0.5"],
    ],
    ids=lambda pose: pose[0] + pose[1][2:5] if len(pose) > 1 else pose[0],
)
def test_the_base_pose_is_carried_over_to_the_camera(tmp_path, capsys, pose):
    scene = imported(write_bag(tmp_path / "bag", drive()), tmp_path / "data", "--pose", *pose)
    check_drive(scene)
    assert "19 of 19 images (100.0%) have a pose" in capsys.readouterr().out


@pytest.mark.parametrize("compression", [None, "BZ2", "LZ4"])
def test_rosbag1(tmp_path, compression):
    bag = write_rosbag1(tmp_path / "robot.bag", drive(ros1=True), compression)
    scene = imported(bag, tmp_path / "data", "--pose", "tf:map->base_link")
    check_drive(scene)
    assert scene.intrinsics is not None and scene.intrinsics.fx == 50.0


def test_zstd_files_are_recordings_too(tmp_path):
    bag = write_bag(tmp_path / "bag", drive())
    packed = tmp_path / "bag.mcap.zst"
    packed.write_bytes(zstandard.compress((bag / "bag.mcap").read_bytes()))
    check_drive(imported(packed, tmp_path / "data", "--pose", "/odom"))


def test_the_data_set_has_its_origin(tmp_path):
    imported(write_bag(tmp_path / "bag", drive()), tmp_path / "data", "--pose", "/odom")
    about = json.loads((tmp_path / "data" / "dataset.json").read_text())
    assert about["recordings"] == {"seq-01": "bag"} and about["image_topic"] == "/camera/image"
    assert any("of base_link, in map" in sentence for sentence in about["how"])
