"""Depth from recordings: every encoding becomes millimetres beside its image; what is not registered is refused."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from distorting_lens import rays
from made_bags import ALL, T0_NS, Messages, drive, imported, write_bag

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.training.data.depth import check_depth, registered_depth
from transposenet_ros.bag_import.depth import millimetres
from transposenet_ros.bag_to_dataset import main
from transposenet_ros.decoding.errors import DecodeError

POSE = ("--pose", "/odom")
DEPTH_MM = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 500
METRES = (DEPTH_MM / 1000).astype(np.float32)


def message(array: np.ndarray, encoding: str, padding: int = 0, **more: object) -> SimpleNamespace:
    """An Image as it lies in a recording, its rows perhaps padded."""
    rows = np.pad(np.ascontiguousarray(array).view(np.uint8).reshape(array.shape[0], -1), ((0, 0), (0, padding)))
    size = {"width": array.shape[1], "height": array.shape[0], "step": rows.shape[1]}
    return SimpleNamespace(**(size | {"encoding": encoding, "is_bigendian": 0, "data": rows.ravel()} | more))


def recording(path: Path, frame: str = "camera_optical", late_ns: int = 5_000_000) -> Path:
    """The drive with depth that comes a little after each image."""
    m = Messages()

    def rows():
        for topic, time_ns, msg in drive():
            yield topic, time_ns, msg
            if topic == "/camera/image":
                stamp_ns = time_ns + late_ns
                data = np.ascontiguousarray(DEPTH_MM + (time_ns - T0_NS) // 50_000_000 % 100).view(np.uint8).ravel()
                fields = m.header(stamp_ns, frame), 48, 64, "16UC1", 0, 128, data
                yield "/camera/depth", stamp_ns, m.make("sensor_msgs/msg/Image", *fields)

    return write_bag(path, rows())


@pytest.mark.parametrize(
    "sent",
    [
        message(DEPTH_MM, "16UC1"),
        message(DEPTH_MM, "mono16", padding=6),
        message(DEPTH_MM.astype(">u2"), "16UC1", is_bigendian=1),
        message(METRES, "32FC1"),
        SimpleNamespace(
            format="16UC1; compressedDepth png",
            data=np.frombuffer(bytes(12) + cv2.imencode(".png", DEPTH_MM)[1].tobytes(), np.uint8),
        ),
    ],
)
def test_every_encoding_becomes_millimetres(sent: SimpleNamespace) -> None:
    np.testing.assert_array_equal(millimetres(sent), DEPTH_MM)


def test_what_was_not_measured_is_0() -> None:
    metres = METRES.copy()
    metres[0, :4] = np.nan, np.inf, -1.0, 70.0
    depth = millimetres(message(metres, "32FC1"))
    assert depth[0, :5].tolist() == [0, 0, 0, 0, DEPTH_MM[0, 4]]


@pytest.mark.parametrize(
    "wrong",
    [
        message(DEPTH_MM, "rgb8"),
        message(DEPTH_MM, "16UC1", step=100),
        message(DEPTH_MM, "16UC1", height=60),
        message(DEPTH_MM, "16UC1", width=0),
        message(DEPTH_MM, "16UC1", width=65535, height=65535),
        SimpleNamespace(format="32FC1; compressedDepth", data=np.zeros(40, np.uint8)),
        SimpleNamespace(
            format="bayer_rggb16; png compressed ", data=np.frombuffer(cv2.imencode(".png", DEPTH_MM)[1], np.uint8)
        ),
        SimpleNamespace(format="png", data=np.frombuffer(cv2.imencode(".png", METRES)[1].tobytes(), np.uint8)),
    ],
)
def test_n02_n04_n05_damaged_depth_is_no_depth(wrong: SimpleNamespace) -> None:
    with pytest.raises(DecodeError):
        millimetres(wrong)


def test_each_image_gets_the_depth_nearest_in_time(tmp_path: Path) -> None:
    scene = imported(recording(tmp_path / "bag"), tmp_path / "out", *POSE, "--depth", "/camera/depth")
    assert len(scene.images) == 19
    check_depth(scene, "the test")
    for number, image in enumerate(scene.images):
        np.testing.assert_array_equal(cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED), DEPTH_MM + number)
    # It is the colour camera's own: registered to it nothing moves.
    assert scene.depth_camera is not None and scene.intrinsics is not None
    depth = registered_depth(scene.images[3], scene.depth_camera, scene.intrinsics)
    np.testing.assert_allclose(depth, (DEPTH_MM + 3) / 1000, rtol=5e-4)


def test_depth_of_another_time_belongs_to_no_image(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bag = recording(tmp_path / "bag", late_ns=24_000_000)
    scene = imported(bag, tmp_path / "out", *POSE, "--depth", "/camera/depth")
    assert "0 of 19 images have depth" in capsys.readouterr().out
    assert all(image.depth_path is None for image in scene.images)


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        ("depth_optical", ("--depth", "/camera/depth"), "needs depth that is registered to the colour camera"),
        ("camera_optical", ("--depth", "/nowhere"), "the topic /nowhere of --depth is not in it"),
        ("camera_optical", ("--depth", "/camera/depth", "--camera-info", "none"), "needs the colour camera's"),
        ("camera_optical", ("--image", "/camera/depth"), "images on /camera/depth cannot be used: encoding '16UC1'"),
    ],
)
def test_depth_that_cannot_be_used_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture, frame: str, options: tuple[str, ...], sentence: str
) -> None:
    bag = recording(tmp_path / "bag", frame)
    assert main([str(bag), "--image", "/camera/image", "--out", str(tmp_path / "out"), *POSE, *ALL, *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


K_33 = [[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]
COLOUR_LENS, OWN_LENS = (-0.3, 0.08, 0.001, -0.002, 0.0), (0.25, -0.05, 0.0, 0.001, 0.0)


def wall(lens: tuple[float, ...]) -> np.ndarray:
    """Depth (48, 64) in millimetres of a slanted wall, as a camera with this lens measures it."""
    x_HW, y_HW = rays(Intrinsics(64, 48, 50, 50, 31.5, 23.5, distortion_model="plumb_bob", distortion=lens))
    return np.rint(2000 / (1 + 0.5 * x_HW - 0.3 * y_HW)).astype(np.uint16)


def seen_through(path: Path, topic: str, lens: tuple[float, ...], own: tuple[float, ...] | None) -> Path:
    """The drive with a lens before the colour camera and the wall measured through `lens`; `own` is in a CameraInfo
    beside the depth."""
    m = Messages()

    def rows():
        for name, time_ns, msg in drive():
            if name == "/camera/camera_info":
                msg = m.camera_info(time_ns, "camera_optical", (64, 48), K_33, COLOUR_LENS)
            yield name, time_ns, msg
            if name == "/camera/image":
                fields = m.header(time_ns, "camera_optical"), 48, 64, "16UC1", 0, 128, wall(lens).view(np.uint8).ravel()
                yield topic, time_ns, m.make("sensor_msgs/msg/Image", *fields)
                if own is not None:
                    info = m.camera_info(time_ns, "camera_optical", (64, 48), K_33, own)
                    yield topic.rpartition("/")[0] + "/camera_info", time_ns, info

    return write_bag(path, rows())


@pytest.mark.parametrize(
    ("topic", "lens", "own"),
    [
        ("/aligned/image_raw", COLOUR_LENS, None),  # registered to the colour image as it is: its lens
        ("/aligned/image_raw", OWN_LENS, OWN_LENS),
        ("/registered/image_rect", (0.0,) * 5, COLOUR_LENS),  # as depth_image_proc: rectified, with the colour's info
        ("/registered/image_rect", (0.0,) * 5, None),
    ],
)
def test_t20_depth_keeps_the_lens_that_it_was_recorded_with(
    tmp_path: Path, topic: str, lens: tuple[float, ...], own: tuple[float, ...] | None
) -> None:
    scene = imported(seen_through(tmp_path / "bag", topic, lens, own), tmp_path / "out", *POSE, "--depth", topic)
    assert scene.intrinsics is not None and scene.intrinsics.rectified is True and scene.depth_camera is not None
    assert scene.depth_camera.intrinsics.distortion == (lens if any(lens) else ())
    image = scene.images[3]
    np.testing.assert_array_equal(cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED), wall(lens))
    depth_HW = registered_depth(image, scene.depth_camera, scene.intrinsics)
    off_HW = np.abs(1000 * depth_HW.astype(float) / wall((0.0,) * 5) - 1)
    assert (depth_HW > 0).mean() > 0.8 and np.quantile(off_HW[depth_HW > 0], 0.95) < 0.012
    if any(lens):
        assert np.quantile(np.abs(wall(lens) / wall((0.0,) * 5) - 1), 0.95) > 0.025


def test_t22_depth_of_another_aspect_ratio_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    m = Messages()
    tall = m.make(
        "sensor_msgs/msg/Image", m.header(T0_NS, "camera_optical"), 64, 48, "16UC1", 0, 96, np.zeros(6144, "u1")
    )

    def rows():
        for name, time_ns, msg in drive():
            yield name, time_ns, msg
            if name == "/camera/image":
                tall.header.stamp = msg.header.stamp
                yield "/camera/depth", time_ns, tall

    bag = write_bag(tmp_path / "bag", rows())
    arguments = ["--image", "/camera/image", "--out", str(tmp_path / "out"), *POSE, *ALL, "--depth", "/camera/depth"]
    assert main([str(bag), *arguments]) == 2
    sentence = (
        "the depth on /camera/depth: images of 48x64 pixels, but their camera (CameraInfo on /camera/camera_info)"
    )
    assert sentence in capsys.readouterr().err and not (tmp_path / "out").exists()
