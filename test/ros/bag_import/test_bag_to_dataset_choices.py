"""Options, what is refused in one sentence, the lens, the clock, hostile names, and a real robot's TF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_bags import T0_NS, Messages, Row, base_at, check_drive, drive, imported, texture, write_bag
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.check import check_dataset
from transposenet_core.formats import load_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_ros.bag_import.selection import keyframes
from transposenet_ros.bag_to_dataset import main
from transposenet_ros.bags.reading import BagReader
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.conversion import transform_from_message

K_33 = [[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("recorded") / "robot", drive())


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--pose", "/odometry"], ["the topic /odometry of --pose is not in it", "/odom (nav_msgs/msg/Odometry)"]),
        (["--pose", "/camera/image"], ["/camera/image of --pose is of sensor_msgs/msg/Image", "/mocap"]),
        (["--pose", "/odom", "--image", "/odom"], ["/odom of --image is of nav_msgs", "sensor_msgs/msg/Compressed"]),
        (["--pose", "/odom", "--camera-info", "/info"], ["/info of --camera-info is not in it"]),
        (["--pose", "tf:map->gripper"], ["the frame gripper", "base_link, camera_optical, map"]),
        (["--pose", "tf:map"], ["--pose tf:map", "tf:MAP->FRAME"]),
        (
            ["--pose", "/mocap"],
            ["do not name the frame whose pose they hold", "--pose-frame base_link", "--pose-frame camera"],
        ),
        (["--pose", "/amcl_pose"], ["do not name the frame whose pose they hold"]),
        (["--pose", "/mocap", "--pose-frame", "drone"], ["frame drone", "base_link", "--extrinsic"]),
        (["--pose", "/odom", "--camera-frame", "lens"], ["frame lens", "--extrinsic x,y,z,qw,qx,qy,qz"]),
        (["--pose", "/odom", "--extrinsic", "1,2,3"], ["--extrinsic 1,2,3", "x,y,z,qw,qx,qy,qz"]),
        (["--pose", "/odom", "--extrinsic", "0,0,0,2,0,0,0"], ["unit quaternion"]),
        (
            ["--pose", "/odom", "--max-gap", "0.01"],
            ["only 0 of 19 images", "19 in a gap", "every 0.05 s", "--max-gap"],
        ),
        (["--pose", "/odom", "--time-offset", "100"], ["19 before the first or behind the last", "poses from 17000"]),
        (["--pose", "/odom", "--time-offset", "soon"], ["--time-offset soon", "'auto'"]),
        (["--pose", "/odom", "--max-gap", "nan"], ["--max-gap nan", "at least 0"]),
        (["--pose", "/odom", "--min-match", "2"], ["--min-match 2", "0 to 1"]),
        (["--pose", "/odom", "--start", "60"], ["no image lies within --start 60"]),
        (["--pose", "/odom", "--split", "sequence"], ["too few for train, val and test", "--split none"]),
    ],
    ids=lambda value: "_".join(value[:4]) if value[0].startswith("--") else "",
)
def test_wrong_choices_are_one_sentence(bag, tmp_path, capsys, options, parts):
    image = [] if "--image" in options else ["--image", "/camera/image"]
    assert main([str(bag), *image, "--out", str(tmp_path / "data"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    for part in parts:
        assert part in error
    assert not list(tmp_path.iterdir())


def test_what_lies_at_out_is_kept(bag, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    arguments = [str(bag), "--image", "/camera/image", "--pose", "/odom", "--out", str(tmp_path / "data")]
    assert main([*arguments, "--split", "none", "--overwrite"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mine.txt"]


def test_an_out_that_is_taken_is_refused_before_the_recording_is_read(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "poses.csv").write_text("mine")
    arguments = ["nothing-there.mcap", "--image", "/camera/image", "--pose", "/odom", "--out", str(tmp_path / "data")]
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert "data: already exists; name another folder, or add --overwrite" in output.err and not output.out


def test_a_simulators_ground_truth_of_the_base_is_not_taken_for_the_cameras(tmp_path, capsys):
    messages = Messages()
    ground_truth = [
        ("/ground_truth/pose", T0_NS + k * 50_000_000, messages.pose_stamped(T0_NS + k * 50_000_000, "map", pose))
        for k, pose in enumerate(base_at(T0_NS + k * 50_000_000) for k in range(20))
    ]
    bag = write_bag(tmp_path / "bag", [*drive(), *ground_truth])
    assert (
        main([str(bag), "--image", "/camera/image", "--pose", "/ground_truth/pose", "--out", str(tmp_path / "d")]) == 2
    )
    error = capsys.readouterr().err
    assert "do not name the frame whose pose they hold" in error and "--pose-frame base_link" in error


def test_a_part_of_the_recording(bag, tmp_path):
    scene = imported(bag, tmp_path / "data", "--pose", "/odom", "--start", "0.1", "--duration", "0.5")
    check_drive(scene, count=11, first=2)


def test_keyframes_are_a_distance_or_a_rotation_apart(bag, tmp_path):
    scene = imported(bag, tmp_path / "data", "--pose", "/odom", "--keyframe-distance", "0.12", "--keyframe-angle", "90")
    # 0.025 m forward and at most 2 mm of swing by the rotation from one image to the next
    assert [image.stamp for image in scene.images] == pytest.approx([T0_NS / 1e9 + 0.02 + 0.25 * n for n in range(4)])
    rotating = [(n, Pose(np.zeros(3), np.array([np.cos(n / 100), 0, 0, np.sin(n / 100)]))) for n in range(20)]
    chosen = [number for number, _ in keyframes(rotating, 1.0, 3.0)]
    assert chosen == [0, 3, 6, 9, 12, 15, 18]  # 1.146 degrees each


def test_t04_blocks_with_guards_and_sequences(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", drive(count=120))
    imported(bag, tmp_path / "blocks", "--pose", "/odom", "--split", "blocks")
    assert "left out between them" in capsys.readouterr().out
    scene = load_scene(f"folder:{tmp_path / 'blocks'}")
    stamps = {split: [i.stamp for i in scene.images if i.split == split] for split in ("train", "val", "test")}
    assert all(stamps.values())
    apart = min(abs(a - b) for a in stamps["train"] for b in stamps["val"] + stamps["test"])
    assert apart > 1.5 * 0.05
    bags = [
        str(write_bag(tmp_path / "one", drive())),
        str(write_bag(tmp_path / "two", drive())),
        str(write_bag(tmp_path / "three", drive())),
    ]
    arguments = ["--image", "/camera/image", "--pose", "/odom", "--out", str(tmp_path / "three-drives")]
    assert main([*bags, *arguments, "--keyframe-distance", "0"]) == 0
    sequences = {(i.sequence, i.split) for i in load_scene(f"folder:{tmp_path / 'three-drives'}").images}
    assert sequences == {("seq-01", "train"), ("seq-02", "val"), ("seq-03", "test")}


def test_t04_the_default_split_passes_the_check_where_keyframes_come_at_uneven_times(tmp_path, capsys):
    """Ten images 0.1 s apart, then thirty 0.5 s apart, and so on: a guard of some frames is no guard in time."""

    def is_kept(number: int) -> bool:
        return number % 160 < 10 or (number % 160) % 5 == 0

    rows = (row for row in drive(count=600, step_ns=100_000_000) if row[0] in ("/tf_static", "/odom", "/camera/image"))
    kept = (row for row in rows if row[0] != "/camera/image" or is_kept((row[1] - T0_NS) // 100_000_000))
    arguments = ["--image", "/camera/image", "--pose", "/odom", "--max-gap", "0.2", "--camera-info", "none"]
    assert main([str(write_bag(tmp_path / "bag", kept)), *arguments, "--out", str(tmp_path / "data")]) == 0
    assert "split: by blocks" in capsys.readouterr().out
    findings = check_dataset(f"folder:{tmp_path / 'data'}", labels_only=True)
    assert findings.card.frames["val"] and findings.card.frames["test"]
    assert not {"val split", "test split"} & {fault.where for fault in findings.faults.all}
    assert findings.tracks.seconds_N.min() == 0 and findings.tracks.seconds_N.max() < 70


def test_recordings_of_two_maps_or_two_cameras_are_refused(bag, tmp_path, capsys):
    m = Messages()
    other_map = [(t, n, m.odometry(n, "attic", "base_link", base_at(n)) if t == "/odom" else x) for t, n, x in drive()]
    info = m.camera_info(T0_NS, "camera_optical", (64, 48), np.diag([60.0, 60, 1]))
    other_camera = [(t, n, info if t == "/camera/camera_info" else x) for t, n, x in drive()]
    for number, (rows, part) in enumerate([(other_map, "attic"), (other_camera, "a scene has one camera")]):
        two = write_bag(tmp_path / f"two-{number}", rows)
        arguments = ["--image", "/camera/image", "--pose", "/odom", "--out", str(tmp_path / "data")]
        assert main([str(bag), str(two), *arguments]) == 2
        assert part in capsys.readouterr().err


DISTORTION = (-0.25, 0.08, 0.001, -0.002, 0.0)


def seen_through_a_lens(compressed: bool) -> Iterator[Row]:
    m = Messages()
    for topic, time_ns, message in drive():
        if topic == "/camera/camera_info":
            message = m.camera_info(time_ns, "camera_optical", (64, 48), K_33, DISTORTION)
        if topic == "/camera/image" and compressed:
            image_HW3 = message.data.reshape(48, 64, 3)
            data = cv2.imencode(".jpg", image_HW3[..., ::-1])[1].tobytes()
            topic, message = "/camera/image/compressed", m.compressed(time_ns, "camera_optical", data)
        yield topic, time_ns, message


@pytest.mark.parametrize("compressed", [False, True])
def test_the_distortion_is_removed_from_the_images_and_the_camera(tmp_path, compressed):
    bag = write_bag(tmp_path / "bag", seen_through_a_lens(compressed))
    image = "/camera/image/compressed" if compressed else "/camera/image"
    scene = imported(bag, tmp_path / "data", "--pose", "/odom", image=image)
    camera = scene.intrinsics
    assert camera is not None and camera.rectified is True
    assert (camera.distortion_model, camera.distortion) == ("none", ())
    undistort = Undistorter(Intrinsics(64, 48, 50, 50, 31.5, 23.5, "", False, "plumb_bob", DISTORTION))
    for number, file in enumerate(scene.images):
        taken_HW3 = texture(number)
        if compressed:
            data = cv2.imencode(".jpg", taken_HW3[..., ::-1])[1]
            taken_HW3 = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(read_image(file.path), undistort(np.ascontiguousarray(taken_HW3)))
        assert file.path.suffix == ".png" and not np.array_equal(read_image(file.path), taken_HW3)


def test_images_that_are_rectified_or_of_no_camera_stay_as_they_are(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", seen_through_a_lens(compressed=False))
    check_drive(imported(bag, tmp_path / "rectified", "--pose", "/odom", "--rectified"))
    assert "rectified, so P is used" in capsys.readouterr().out
    scene = imported(bag, tmp_path / "none", "--pose", "/odom", "--camera-info", "none")
    check_drive(scene)
    assert scene.intrinsics is None


def of_size(path: Path, size: tuple[int, int], K_33: list[list[float]]) -> Path:
    """The drive, with a CameraInfo for images of another size."""
    info = Messages().camera_info(T0_NS, "camera_optical", size, K_33, DISTORTION)
    return write_bag(path, [(t, n, info if t == "/camera/camera_info" else x) for t, n, x in drive()])


def test_t22_a_camera_info_for_larger_images_is_scaled(tmp_path, capsys):
    """The camera was calibrated at ten times the size: its image is rectified as if it had been calibrated as it is."""
    large = [[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]
    scene = imported(of_size(tmp_path / "bag", (640, 480), large), tmp_path / "data", "--pose", "/odom")
    assert "the CameraInfo on /camera/camera_info is for 640x480 pixels, the images have 64x48: scaled to these" in (
        capsys.readouterr().out
    )
    camera = scene.intrinsics
    assert (camera.width, camera.height, camera.fx, camera.cx, camera.cy) == (64, 48, 50, 31.5, 23.5)
    undistort = Undistorter(Intrinsics(64, 48, 50, 50, 31.5, 23.5, "", False, "plumb_bob", DISTORTION))
    np.testing.assert_array_equal(read_image(scene.images[0].path), undistort(texture(0)))


def test_t22_a_camera_info_of_another_aspect_ratio_is_refused(tmp_path, capsys):
    bag = of_size(tmp_path / "bag", (48, 64), K_33)
    arguments = ["--image", "/camera/image", "--pose", "/odom", "--split", "none", "--out", str(tmp_path / "data")]
    assert main([str(bag), *arguments]) == 2
    described = "images of 64x48 pixels, but their camera (CameraInfo on /camera/camera_info) is described for 48x64"
    assert f"{described}: width and height are exchanged" in capsys.readouterr().err


def test_damaged_images_are_left_out_and_named(tmp_path, capsys):
    rows = list(drive())
    images = [message for topic, _, message in rows if topic == "/camera/image"]
    images[3].encoding, images[5].step = "mono7", 2
    scene = imported(write_bag(tmp_path / "bag", rows), tmp_path / "data", "--pose", "/odom")
    assert len(scene.images) == 17
    output = capsys.readouterr().out
    assert "2 of 19 images are left out: 1700000000.170000000 s: encoding 'mono7'" in output and "step 2" in output


def test_poses_that_are_none_are_left_out(tmp_path, capsys):
    m = Messages()
    rows = list(drive())
    nowhere = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
    broken = m.odometry(T0_NS + 25_000_000, "map", "base_link", nowhere)
    broken.pose.pose.position.x = float("nan")
    zero = m.odometry(T0_NS + 26_000_000, "map", "base_link", nowhere)
    zero.pose.pose.orientation.w = 0.0
    rows += [("/odom", T0_NS + 1, broken), ("/odom", T0_NS + 2, zero)]
    check_drive(imported(write_bag(tmp_path / "bag", rows), tmp_path / "data", "--pose", "/odom"))
    assert "2 transforms that are not finite" in capsys.readouterr().out


def test_poses_beyond_all_measure_are_no_poses(tmp_path, capsys):
    rows = list(drive())
    odometry = [message for topic, _, message in rows if topic == "/odom"]
    odometry[18].pose.pose.position.x, odometry[19].pose.pose.position.x = 1e308, -1e308
    check_drive(imported(write_bag(tmp_path / "bag", rows), tmp_path / "data", "--pose", "/odom"), count=17)
    output = capsys.readouterr().out
    assert "17 of 19 images (89.5%) have a pose" in output and "further than 1e+06 m away" in output


def test_images_without_stamps_get_the_times_of_recording(tmp_path, capsys):
    m = Messages()
    rows = [(t, n, m.image(0, "", x.data.reshape(48, 64, 3)) if t == "/camera/image" else x) for t, n, x in drive()]
    bag = write_bag(tmp_path / "bag", rows)
    arguments = ["--image", "/camera/image", "--pose", "/odom", "--split", "none", "--out", str(tmp_path / "no")]
    assert main([str(bag), *arguments]) == 2
    assert "the images on /camera/image have no frame_id" in capsys.readouterr().err
    assert main([str(bag), *arguments, "--camera-frame", "camera_optical"]) == 2
    assert "--stamps received" in capsys.readouterr().err
    options = ["--pose", "/odom", "--camera-frame", "camera_optical", "--stamps", "received"]
    check_drive(imported(bag, tmp_path / "data", *options))


def shaken(offset_ns: int) -> Iterator[Row]:
    """A camera that rotates without rhythm, its images stamped `offset_ns` too early; 6 s at 20 Hz."""
    m, rng = Messages(), np.random.default_rng(2)
    world = cv2.GaussianBlur(rng.integers(0, 256, (600, 1600, 3), dtype=np.uint8), (0, 0), 3)
    world = cv2.normalize(world, None, 0, 255, cv2.NORM_MINMAX)
    rotations_deg = np.interp(np.arange(0, 6, 0.01), np.arange(0, 6.5, 0.5), np.cumsum(rng.normal(0, 6, 13)))
    rotations_deg = np.convolve(np.pad(rotations_deg, 10, mode="edge"), np.ones(21) / 21, "valid")
    focal = 200.0
    for tick, rotation_deg in enumerate(rotations_deg):
        stamp_ns = T0_NS + tick * 10_000_000
        pose = Pose(np.zeros(3), Rotation.from_euler("y", rotation_deg, degrees=True).as_quat(scalar_first=True))
        yield "/pose", stamp_ns, m.pose_stamped(stamp_ns, "map", pose)
        if tick % 5 == 0:
            left = 700 + focal * np.radians(rotation_deg)
            H_23 = np.array([[1, 0, -left], [0, 1, -200.0]])
            image_HW3 = cv2.warpAffine(world, H_23, (240, 160), flags=cv2.INTER_LINEAR)
            yield "/image", stamp_ns, m.image(stamp_ns - offset_ns, "camera_optical", image_HW3)


def test_t03_the_time_offset_is_measured_printed_and_with_auto_used(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", shaken(80_000_000))
    options = ["--pose", "/pose", "--pose-frame", "camera"]
    imported(bag, tmp_path / "as-stamped", *options, image="/image")
    output = capsys.readouterr().out
    assert "the poses' stamps are +8" in output or "the poses' stamps are +7" in output
    assert "warning: --time-offset 0 is used; auto or 0.0" in output
    scene = imported(bag, tmp_path / "auto", *options, "--time-offset", "auto", image="/image")
    wrong = imported(bag, tmp_path / "again", *options, image="/image")
    true = imported(bag, tmp_path / "true", *options, "--time-offset", "0.08", image="/image")
    expected = {image.stamp: image.pose.orientation for image in true.images}

    def worst_deg(images):
        return max(rotation_angle_deg(i.pose.orientation, expected[i.stamp]) for i in images if i.stamp in expected)

    assert worst_deg(scene.images) < 0.25 * worst_deg(wrong.images)


HOSTILE = "../../../../tmp/\x1b[31mred<script>"


def test_e09_hostile_names_neither_leave_the_folder_nor_reach_the_terminal(tmp_path, capsys):
    m = Messages()
    rows: list[Row] = []
    for topic, time_ns, message in drive():
        if topic == "/camera/image":
            message = m.image(time_ns, HOSTILE, message.data.reshape(48, 64, 3))
        elif topic == "/odom":
            message = m.odometry(time_ns, HOSTILE, "base_link", base_at(time_ns))
        rows.append((f"/{HOSTILE}" if topic == "/tracker" else topic, time_ns, message))
    (tmp_path / "in").mkdir()
    bag = write_bag(tmp_path / "in" / "bag", rows)
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(text.replace("- bag.mcap", "- ../../in/bag/bag.mcap"))
    extrinsic = ["--extrinsic", "0.2,-0.1,0.5,0.5,-0.5,0.5,-0.5"]
    check_drive(imported(bag, tmp_path / "data", "--pose", "/odom", *extrinsic))
    assert main([str(bag), "--image", "/none", "--pose", "/odom", "--out", str(tmp_path / "no")]) == 2
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err and "\\x1b[31mred" in captured.out + captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "in"]
    written = [path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*")]
    assert all("script" not in name and "red" not in name for name in written) and len(written) > 19


def test_a_real_robots_transforms_carry_made_images(data_folder, tmp_path):
    """Images at odd times in a TurtleBot's recording: map <- odom <- base_link moves, the OAK-D stands on it."""
    m, camera = Messages(), "oakd_rgb_camera_optical_frame"
    source = data_folder / "bags" / "nav2_turtlebot.mcap"
    rows, buffer = list[Row](), TransformBuffer(1000.0)
    with BagReader(source) as reader:
        for topic, static in (("/tf_static", True), ("/tf", False)):
            for time_ns, message in reader.messages(topic):
                rows.append((topic, time_ns, message))
                for t in message.transforms:
                    stamp_ns = t.header.stamp.sec * 10**9 + t.header.stamp.nanosec
                    pose = transform_from_message(t.transform)
                    buffer.set_transform(stamp_ns, t.header.frame_id, t.child_frame_id, pose, static)
    stamps_ns = [935 * 10**9 + number * 1_234_567_891 for number in range(60)]
    rows += [("/oakd/image", n, m.image(n, camera, texture(k))) for k, n in enumerate(stamps_ns)]
    bag = write_bag(tmp_path / "bag", rows)
    options = ["--pose", "tf:map->base_link", "--max-gap", "3"]
    scene = imported(bag, tmp_path / "data", *options, image="/oakd/image")
    assert len(scene.images) == 60
    for image, stamp_ns in zip(scene.images, stamps_ns, strict=True):
        expected = buffer.lookup("map", camera, stamp_ns)
        np.testing.assert_allclose(image.pose.matrix_44, expected.matrix_44, rtol=0, atol=1e-9)
    z = np.array([image.pose.position[2] for image in scene.images])
    assert 0.1 < z.min() and z.max() < 0.5  # a TurtleBot 4's camera
    assert all(abs(image.pose.rotation_33[2, 2]) < 0.2 for image in scene.images)  # and it looks along the floor
