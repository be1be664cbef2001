"""Bags hold exactly what the scene holds, in both storages, and an independent reader opens them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.typesys import Stores, get_typestore

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage
from transposenet_ros.bags.reading import STORAGE_SUFFIXES, BagReader, header_stamp_ns
from transposenet_ros.make_bag import DEFAULT_START_S, frame_times_ns, main, make_bag

WIDTH, HEIGHT = 40, 30
START_NS = round(DEFAULT_START_S * 1e9)


@pytest.fixture(scope="module")
def scene_folder(tmp_path_factory) -> Path:
    """Two sequences in the 7-Scenes layout; the test sequence has a JPEG, a PNG and a gap of three frames."""
    root = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(3)
    for sequence, numbers in (("seq-01", (0, 1)), ("seq-02", (0, 1, 5))):
        (root / sequence).mkdir()
        for number in numbers:
            stem = root / sequence / f"frame-{number:06d}"
            image_HW3 = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            cv2.imwrite(f"{stem}.color.{'jpg' if number == 1 else 'png'}", image_HW3)
            pose = Pose(rng.normal(size=3), rng.normal(size=4))
            np.savetxt(f"{stem}.pose.txt", pose.matrix_44, fmt="%.17g")
    (root / "TrainSplit.txt").write_text("sequence1\n")
    (root / "TestSplit.txt").write_text("sequence2\n")
    np.savetxt(root / "color-intrinsics.txt", [[33.0, 0, 19.5], [0, 34.0, 14.5], [0, 0, 1]])
    return root


@pytest.fixture(scope="module")
def drive(scene_folder) -> list[PosedImage]:
    return load_scene(f"7scenes:{scene_folder}").select("test")


def convert(scene_folder: Path, out: Path, *options: str) -> BagReader:
    assert main(["--data", f"7scenes:{scene_folder}", "--out", str(out), *options]) == 0
    return BagReader(out)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_raw_round_trip(scene_folder, drive, tmp_path, storage):
    with convert(scene_folder, tmp_path / "bag", "--storage", storage) as bag:
        ground_truth_poses = bag.poses(bag.ground_truth_topic())
        assert [t - START_NS for t in ground_truth_poses] == [0, 33_333_333, 66_666_667]
        for pose, image in zip(ground_truth_poses.values(), drive, strict=True):
            np.testing.assert_allclose(pose.position, image.pose.position, rtol=0, atol=1e-9)
            np.testing.assert_allclose(pose.orientation, image.pose.orientation, rtol=0, atol=1e-9)
        assert list(bag.image_names().values()) == [image.name for image in drive]
        frames = list(bag.messages(bag.image_topic()))
        assert bag.count("/camera/image") == len(frames) == 3
        for (time_ns, message), image, stamp_ns in zip(frames, drive, ground_truth_poses, strict=True):
            stamp = message.header.stamp
            assert time_ns == stamp.sec * 10**9 + stamp.nanosec == stamp_ns
            assert (message.encoding, message.header.frame_id, message.step) == ("rgb8", "camera_optical", 3 * WIDTH)
            pixels_HW3 = message.data.reshape(message.height, message.width, 3)
            np.testing.assert_array_equal(pixels_HW3, read_image(image.path))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_compressed_bytes_and_camera_info(scene_folder, drive, tmp_path, storage):
    with convert(scene_folder, tmp_path / "bag", "--storage", storage, "--compressed") as bag:
        frames = [message for _, message in bag.messages(bag.image_topic())]
        assert [frame.format for frame in frames] == ["png", "jpeg", "png"]
        assert [frame.data.tobytes() for frame in frames] == [image.path.read_bytes() for image in drive]
        infos = [message for _, message in bag.messages("/camera/camera_info")]
        assert len(infos) == 3
        assert (infos[0].width, infos[0].height, infos[0].distortion_model) == (WIDTH, HEIGHT, "plumb_bob")
        np.testing.assert_array_equal(infos[0].k.reshape(3, 3), [[33.0, 0, 19.5], [0, 34.0, 14.5], [0, 0, 1]])
        np.testing.assert_array_equal(infos[0].p.reshape(3, 4)[:, :3], infos[0].k.reshape(3, 3))


def test_the_lens_of_the_scene_is_in_the_bag(drive, tmp_path):
    """Raw images of a known lens: a reader of the bag can remove the distortion, as training does."""
    lens = (-0.2, 0.05, 0.001, -0.002, 0.0)
    bent = Intrinsics(WIDTH, HEIGHT, 33.0, 34.0, 19.5, 14.5, distortion_model="plumb_bob", distortion=lens)
    with BagReader(make_bag(drive, tmp_path / "bag", intrinsics=bent)) as bag:
        info = next(message for _, message in bag.messages("/camera/camera_info"))
    assert info.distortion_model == "plumb_bob"
    np.testing.assert_array_equal(info.d, lens)


def test_tf_equals_ground_truth_and_is_no_child_of_the_node(scene_folder, drive, tmp_path):
    with convert(scene_folder, tmp_path / "bag", "--map-frame", "floor_2") as bag:
        transforms = [message.transforms[0] for _, message in bag.messages("/tf")]
        poses = [message for _, message in bag.messages("/ground_truth/pose")]
    assert len(transforms) == len(drive)
    for transform, pose in zip(transforms, poses, strict=True):
        assert (transform.header.frame_id, transform.child_frame_id) == ("floor_2", "camera_ground_truth")
        assert pose.header == transform.header
        assert pose.pose.orientation == transform.transform.rotation
        assert pose.pose.position.x == transform.transform.translation.x


def test_t25_a_bag_of_arbitrary_units_is_warned_of_and_can_be_scaled(scene_folder, drive, tmp_path, capsys):
    write_folder_dataset(tmp_path / "terrace", replace(load_scene(f"7scenes:{scene_folder}"), units="arbitrary"))
    data = ["--data", f"folder:{tmp_path / 'terrace'}", "--select", "all", "--out"]
    assert main([*data, str(tmp_path / "plain")]) == 0
    assert "is in arbitrary units" in capsys.readouterr().err
    assert main([*data, str(tmp_path / "scaled"), "--scale", "2"]) == 0
    assert "warning" not in capsys.readouterr().err
    poses = []
    for name in ("plain", "scaled"):
        with BagReader(tmp_path / name) as reader:
            poses.append(stack(list(reader.poses(reader.ground_truth_topic(None)).values()))[0])
    np.testing.assert_allclose(poses[1], 2 * poses[0])


def test_independent_mcap_reader_opens_it(scene_folder, drive, tmp_path):
    convert(scene_folder, tmp_path / "bag").close()
    store = get_typestore(Stores.ROS2_JAZZY)
    with open(tmp_path / "bag" / "bag.mcap", "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_summary().statistics.message_count == 4 * len(drive)
        images = [
            (message.log_time, store.deserialize_cdr(message.data, schema.name))
            for schema, channel, message in reader.iter_messages(topics=["/camera/image"])
            if schema.encoding == "ros2msg" and channel.message_encoding == "cdr"
        ]
    assert len(images) == len(drive)
    for (_, message), image in zip(images, drive, strict=True):
        np.testing.assert_array_equal(message.data.reshape(HEIGHT, WIDTH, 3), read_image(image.path))


def test_header_stamp_is_read_from_the_bytes(scene_folder, tmp_path):
    with convert(scene_folder, tmp_path / "bag") as bag:
        stamps = [(time_ns, header_stamp_ns(data)) for time_ns, data in bag.raw_messages("/camera/image")]
    assert len(stamps) == 3 and all(recorded == stamp for recorded, stamp in stamps)
    big_endian = bytes([0, 0, 0, 0]) + (7).to_bytes(4, "big") + (5).to_bytes(4, "big")
    assert header_stamp_ns(big_endian) == 7_000_000_005
    assert header_stamp_ns(b"\x00\x01\x00\x00\x01") is None


def test_a_single_storage_file_is_a_bag_too(scene_folder, drive, tmp_path):
    for storage, suffix in (("mcap", ".mcap"), ("sqlite3", ".db3")):
        convert(scene_folder, tmp_path / storage, "--storage", storage).close()
        with BagReader(tmp_path / storage / f"{storage}{suffix}") as bag:
            assert len(bag.poses("/ground_truth/pose")) == len(drive)
        (tmp_path / storage / "metadata.yaml").unlink()
        with BagReader(tmp_path / storage) as bag:
            assert bag.count("/camera/image") == len(drive)


def test_gaps_are_closed_unless_kept(drive, scene_folder):
    offsets_ms = [round((t - START_NS) / 1e6) for t in frame_times_ns(drive, 10, DEFAULT_START_S)]
    assert offsets_ms == [0, 100, 200]
    kept = [round((t - START_NS) * 30e-9, 4) for t in frame_times_ns(drive, 30, DEFAULT_START_S, keep_gaps=True)]
    assert kept == [0, 1, 5]
    everything = load_scene(f"7scenes:{scene_folder}").images
    kept = [round((t - START_NS) * 30e-9, 4) for t in frame_times_ns(everything, 30, DEFAULT_START_S, keep_gaps=True)]
    assert kept == [0, 1, 2, 3, 7]  # seq-02 begins one period after the end of seq-01
    with pytest.raises(UserError, match="not after"):
        frame_times_ns(drive[::-1], 30, DEFAULT_START_S, keep_gaps=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "0"], "--rate 0: frames per second"),
        (["--rate", "nan"], "--rate nan"),
        (["--start-time", "0"], "--start-time 0"),
        (["--map-frame", ""], "--map-frame ''"),
        (["--select", "val"], "no images in the split 'val'"),
    ],
)
def test_wrong_options_are_one_sentence(scene_folder, tmp_path, capsys, options, message):
    assert main(["--data", f"7scenes:{scene_folder}", "--out", str(tmp_path / "bag"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_unreadable_image_leaves_no_bag(drive, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(drive[1].path.read_bytes()[:200])
    images = [drive[0], PosedImage("broken.jpg", broken, drive[1].pose, "test", "seq-02", 0.1)]
    with pytest.raises(UserError, match=r"broken\.jpg"):
        make_bag(images, tmp_path / "bag")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.jpg"]


def test_t22_an_image_of_another_aspect_ratio_is_refused(drive, tmp_path):
    with pytest.raises(UserError, match=r"images of 40x30 pixels, but their camera .* for 480x640: width and height"):
        make_bag(drive, tmp_path / "bag", intrinsics=Intrinsics(480, 640, 525, 525, 240, 320))
    assert not list(tmp_path.iterdir())


def test_t22_camera_info_is_of_the_images_size(drive, tmp_path):
    lens = Intrinsics(640, 480, 525, 520, 319.5, 239.5, "c", False, "equidistant", (0, 0, 0, 0))
    with BagReader(make_bag(drive[:1], tmp_path / "bag", intrinsics=lens)) as bag:
        ((_, info),) = bag.messages("/camera/camera_info")
    assert (info.width, info.height, info.k[0], info.k[4]) == (40, 30, 525 / 16, 520 / 16)
    assert (info.k[2], info.k[5]) == (19.5, 14.5)
    # fault matrix, T21: an equidistant lens bends lines without coefficients, too, and the node must hear of it
    assert (info.distortion_model, list(info.d)) == ("equidistant", [0, 0, 0, 0])


def test_an_existing_folder_is_kept_and_only_a_bag_is_replaced(drive, tmp_path):
    make_bag(drive, tmp_path / "bag")
    with pytest.raises(UserError, match="already exists"):
        make_bag(drive[:1], tmp_path / "bag")
    make_bag(drive[:1], tmp_path / "bag", overwrite=True)
    with BagReader(tmp_path / "bag") as bag:
        assert bag.count("/camera/image") == 1
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match="already exists"):
        make_bag(drive, tmp_path / "notes", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "notes"]


def test_unreadable_bags_are_one_sentence(drive, tmp_path):
    with pytest.raises(UserError, match="no such recording"):
        BagReader(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no metadata\.yaml there and no storage files"):
        BagReader(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("no bag")
    with pytest.raises(UserError, match="not a rosbag2 recording"):
        BagReader(tmp_path / "notes.txt")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated_bags_are_one_sentence(drive, tmp_path, storage, share):
    bag = make_bag(drive, tmp_path / "bag", storage=storage)
    path = next(file for file in bag.iterdir() if file.suffix in STORAGE_SUFFIXES)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    sentence = r"bag: the recording cannot be read \(.*\); it is damaged or truncated"
    with pytest.raises(UserError, match=sentence) as error, BagReader(bag) as reader:
        list(reader.messages("/camera/image"))
    assert "\n" not in str(error.value)


def test_topics_are_found_or_named(drive, tmp_path):
    with BagReader(make_bag(drive, tmp_path / "bag")) as bag:
        assert bag.image_topic() == "/camera/image"
        with pytest.raises(
            UserError, match=r"no messages of .* on the topic /other; it holds /camera/image .*--image-topic"
        ):
            bag.image_topic("/other")
        with pytest.raises(UserError, match="no topic of sensor_msgs/msg/Imu"):
            bag.find_topic(["sensor_msgs/msg/Imu"], None, "--imu")
