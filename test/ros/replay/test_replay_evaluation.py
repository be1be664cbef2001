"""Bags replayed through DDS to a real localizer process: the offline model's poses, and no frame unaccounted for."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.util
import json
import re
import runpy
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from live import ROOT, Client, localizer_process
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from untrained import save_untrained

from transposenet_core.commands.parser import CommandParser
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage
from transposenet_ros.bags.reading import BagReader
from transposenet_ros.commands import replay
from transposenet_ros.make_bag import make_bag
from transposenet_ros.replay.live_result import LiveResult
from transposenet_ros.replay_evaluation import evaluate_live, main

FRAMES = 24
ONE_THREAD = {"torch_threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def offline(model) -> Localizer:
    return Localizer(model, device="cpu")


def offline_poses(localizer: Localizer, images: list[PosedImage]) -> list[Pose]:
    return [localizer.localize(read_image(image.path)).pose for image in images]


def assert_live_equals_offline(result: LiveResult, localizer: Localizer, images: list[PosedImage]) -> None:
    """Every frame localized, each with the offline pose for the image of its stamp, by pose and by TF."""
    expected = offline_poses(localizer, images)
    live = [result.estimates[stamp_ns] for stamp_ns in result.sent]
    metres_N, degrees_N = pose_errors(live, expected)
    assert metres_N.max() < 1e-4 and degrees_N.max() < 1e-3
    # Poses that hardly differ from image to image would equal each other as well.
    neighbours_m, neighbours_deg = pose_errors(expected[1:], expected[:-1])
    assert np.median(neighbours_m) > 1e-2 and np.median(neighbours_deg) > 1e-1
    transforms, worst_m, worst_deg = result.tf_check()
    assert transforms == len(images) and worst_m < 1e-9 and worst_deg < 1e-6


def assert_subset_equals_offline(result: LiveResult, localizer: Localizer, images: list[PosedImage]) -> None:
    """Each frame that the live node localized, with the offline pose."""
    image = dict(zip(result.sent, images, strict=True))
    expected = offline_poses(localizer, [image[stamp_ns] for stamp_ns in result.estimates])
    metres_N, degrees_N = pose_errors(list(result.estimates.values()), expected)
    assert len(metres_N) and metres_N.max() < 1e-4 and degrees_N.max() < 1e-3


def test_lossless_replay_equals_offline_and_writes_its_files(drive, model, offline, raw_bag, tmp_path, capsys):
    out, predictions = tmp_path / "report", tmp_path / "predictions.csv"
    options = ["--wait-each", "--device", "cpu", "--out", str(out), "--predictions", str(predictions)]
    assert main(["--model", str(model), "--bag", str(raw_bag), *options]) == 0
    printed = capsys.readouterr().out
    figures = json.loads((out / "summary.json").read_text())
    assert figures["frames_sent"] == figures["localized"] == figures["with_ground_truth"] == FRAMES
    assert figures["dropped"] == {"superseded": 0} and figures["unaccounted"] == 0
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p95"]
    assert figures["tf"]["transforms"] == FRAMES
    assert 0 < figures["node_ms"]["inference_p50_ms"] < figures["latency_ms"]["p95"]

    expected = offline_poses(offline, drive)
    metres_N, degrees_N = pose_errors(expected, [image.pose for image in drive])
    assert figures["errors"]["median_m"] == pytest.approx(np.median(metres_N), abs=1e-4)
    assert figures["errors"]["p95_deg"] == pytest.approx(np.percentile(degrees_N, 95), abs=1e-3)
    assert f"median {figures['errors']['median_m']:.3f} m" in printed
    assert f"TF and pose          equal in {FRAMES} of {FRAMES}" in printed

    for file in (out / "poses.csv", predictions):
        rows = list(csv.DictReader(file.open()))
        assert [row["image"] for row in rows] == [image.name for image in drive]
        positions_N3 = np.array([[float(row[axis]) for axis in "xyz"] for row in rows])
        np.testing.assert_allclose(positions_N3, stack(expected)[0], rtol=0, atol=1e-4)
    assert rows[0]["localized"] == "1" and float(rows[0]["sigma_z"]) == pytest.approx(0.3)
    assert "localizing the images of /camera/image" in (out / "localizer.log").read_text()


@contextmanager
def running(model: Path, domain: int, *arguments: str, **parameters: object) -> Iterator[Callable[..., LiveResult]]:
    """`evaluate_live` for a localizer that is already running, in the test's own domain."""
    with localizer_process(domain, model, *arguments, **parameters), Client(domain) as client:
        client.wait_for_state("active")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROS_DOMAIN_ID", str(domain))
            yield functools.partial(evaluate_live, "", start_node=False)


@pytest.mark.long
def test_sqlite3_and_mcap_give_the_same_poses(drive, model, offline, domain, tmp_path):
    results = []
    with running(model, domain, "-r", "image:=/camera/image", image_transport="compressed") as evaluate:
        for storage in ("sqlite3", "mcap"):
            bag = make_bag(drive[:20], tmp_path / storage, storage=storage, compressed=True)
            results.append(evaluate(bag, wait_each=True))
            assert_live_equals_offline(results[-1], offline, drive[:20])
    assert results[0].error_summary().to_dict() == pytest.approx(results[1].error_summary().to_dict(), abs=1e-6)


@pytest.mark.long
def test_nothing_is_lost_on_the_way_at_camera_rate(drive, model, offline, tmp_path):
    """640x480 raw at 30 Hz, which needs the shared-memory profile; what the node skips it counts."""
    rng = np.random.default_rng(4)
    images = []
    for index, image in enumerate(drive):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), (640, 480)))
        images.append(dataclasses.replace(image, path=path))
    bag = make_bag(images, tmp_path / "bag")
    result = evaluate_live(model, bag, node_name="/robot/localizer_1", node_parameters=ONE_THREAD)
    assert len(result.sent) == FRAMES and result.seconds == pytest.approx((FRAMES - 1) / 30, abs=0.1)
    assert set(result.dropped) == {"superseded"} and result.unaccounted == 0
    assert len(result.estimates) == FRAMES - result.dropped["superseded"] > 0
    assert_subset_equals_offline(result, offline, images)


def rewrite(bag: Path, out: Path, change: Callable[[str, int, bytes], bytes]) -> Path:
    """A copy of a bag in which each stored message is what `change(topic, index, data)` makes of it."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with BagReader(bag) as reader, Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in reader.topics.items():
            connection = writer.add_connection(topic, kind, typestore=store)
            for index, (time_ns, data) in enumerate(reader.raw_messages(topic)):
                writer.write(connection, time_ns, change(topic, index, data))
    return out


def test_every_frame_is_localized_or_counted(drive, model, offline, tmp_path):
    """A damaged image, a header without a stamp, a message of five bytes and a repeated stamp among good frames."""
    good = make_bag(drive[:12], tmp_path / "good", compressed=True)

    def change(topic: str, index: int, data: bytes) -> bytes:
        if not topic.endswith("compressed"):
            return data
        if index == 2:  # the PNG's own bytes begin behind header, frame and format
            return data[:-40] + bytes(40)
        if index == 5:
            return data[:4] + bytes(8) + data[12:]
        if index == 7:
            return data[:5]
        return data if index != 9 else data[:4] + stamps[8] + data[12:]

    with BagReader(good) as reader:
        stamps = [data[4:12] for _, data in reader.raw_messages("/camera/image/compressed")]
    bag = rewrite(good, tmp_path / "bad", change)
    result = evaluate_live(model, bag, wait_each=True, node_parameters=ONE_THREAD)
    expected = {"superseded": 0, "decode_failed": 1, "zero_stamp": 1, "damaged_in_bag": 1, "repeated_stamp": 1}
    assert result.dropped == expected
    assert (result.frames, len(result.sent), len(result.estimates), result.unaccounted) == (12, 10, 8, 0)
    kept = [stamps.index(struct.pack("<iI", *divmod(stamp_ns, 10**9))) for stamp_ns in result.estimates]
    assert kept == [0, 1, 3, 4, 6, 8, 10, 11]
    metres_N, _ = pose_errors(list(result.estimates.values()), offline_poses(offline, [drive[i] for i in kept]))
    assert metres_N.max() < 1e-4


@pytest.mark.long
def test_e05_nothing_localized_is_reported(drive, model, tmp_path, capsys):
    good = make_bag(drive[:3], tmp_path / "good", compressed=True)
    bag = rewrite(good, tmp_path / "bad", lambda topic, i, data: data[:-40] if topic.endswith("compressed") else data)
    out = tmp_path / "report"
    assert main(["--model", str(model), "--bag", str(bag), "--out", str(out), "--rate", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert "NOTHING LOCALIZED" in printed and "nan" not in printed.lower()
    figures = json.loads((out / "summary.json").read_text())
    assert figures["localized"] == 0 and figures["latency_ms"] is None and figures["errors"]["median_m"] is None
    assert sum(figures["dropped"].values()) == figures["frames_sent"] == 3
    assert (out / "poses.csv").read_text().count("\n") == 1


def test_e01_no_overlap_is_one_sentence(drive, model, tmp_path, capsys):
    good = make_bag(drive[:2], tmp_path / "good", start_s=1000)

    def later(topic: str, index: int, data: bytes) -> bytes:
        return data[:4] + struct.pack("<iI", 5000, index) + data[12:] if topic == "/ground_truth/pose" else data

    bag = rewrite(good, tmp_path / "bad", later)
    assert main(["--model", str(model), "--bag", str(bag), "--wait-each"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no image has the stamp of a ground-truth pose") and error.count("\n") == 1
    assert "1000.000 to 1000.033 s" in error and "5000.000 to 5000.000 s" in error


@pytest.mark.long
def test_a_running_node_is_used_twice(drive, model, offline, raw_bag, domain):
    """Its counts go on from one replay to the next; each result holds its own."""
    with running(model, domain, "-r", "image:=/camera/image") as evaluate:
        for frames in (20, 3):
            result = evaluate(raw_bag, wait_each=True, max_frames=frames)
            assert len(result.sent) == len(result.estimates) == frames
            assert result.dropped == {"superseded": 0} and result.unaccounted == 0
            assert_live_equals_offline(result, offline, drive[:frames])


def test_a_missing_model_is_one_sentence(raw_bag, tmp_path, capsys):
    assert main(["--model", str(tmp_path / "nowhere"), "--bag", str(raw_bag)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the node /localizer could not start") and "nowhere: no such folder" in error
    assert error.count("\n") == 1 and "Traceback" not in error


def test_a_refused_parameter_is_one_sentence(raw_bag, model, capsys):
    assert main(["--model", str(model), "--bag", str(raw_bag), "--device", "tpu"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the localizer ended with exit code 2: parameter 'device' is 'tpu'")


def test_an_absent_node_is_one_sentence(raw_bag, domain, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    with pytest.raises(UserError, match=r"/nobody is not ready after 1 s: nothing from it on /diagnostics"):
        evaluate_live("", raw_bag, start_node=False, node_name="nobody", start_timeout=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "0"], "--rate 0: times the recorded rate"),
        (["--max-frames", "0"], "--max-frames 0"),
        (["--min-match", "90"], "--min-match 90: a share from 0 to 1 is allowed"),
        (["--node-name", "/"], "--node-name '/'"),
        (["--image-topic", "/other"], "no messages of sensor_msgs/msg/CompressedImage or sensor_msgs/msg/Image"),
        (["--bag", "/nowhere/bag"], "/nowhere/bag: no such recording"),
    ],
)
def test_wrong_options_are_one_sentence(model, raw_bag, capsys, options, message):
    assert main(["--model", str(model), "--bag", str(raw_bag), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_a_model_is_needed_to_start_a_node(raw_bag, capsys):
    assert main(["--bag", str(raw_bag)]) == 2
    assert capsys.readouterr().err.startswith("error: --model is missing")


@pytest.mark.long
def test_e08_every_frame_repeats_to_the_bit(model, raw_bag, tmp_path):
    written = []
    for name in ("first", "second"):
        more = ["--every-frame", "--device", "cpu", "--out", str(tmp_path / name), "--max-frames", "12"]
        assert main(["--model", str(model), "--bag", str(raw_bag), *more]) == 0
        written.append((tmp_path / name / "poses.csv").read_bytes())
    assert written[0] == written[1] and written[0].count(b"\n") == 13


def test_evaluation_needs_no_ros():
    """The demo and a user's notebook call evaluate_live in a process where ROS was never set up."""
    code = "import sys, transposenet_ros.replay_evaluation; sys.exit('rclpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.long
def test_real_frames_live_equals_offline(data_folder, domain, tmp_path):
    """RedKitchen's JPEGs through the whole network: one by one, so that every frame is compared, and at 30 Hz."""
    scene = load_scene(f"7scenes:{data_folder / '7scenes'}", data_folder / "splits" / "redkitchen_b50_fold3.csv")
    images = scene.select("test")[::12][:20]
    model = save_untrained(tmp_path / "model", (read_image(image.path) for image in images[::5]), Preprocessing(), {})
    bag = make_bag(images, tmp_path / "bag", compressed=True, intrinsics=scene.intrinsics)
    localizer = Localizer(model, device="cpu")
    with running(model, domain, "-r", "image:=/camera/image", image_transport="compressed", device="cpu") as evaluate:
        assert_live_equals_offline(evaluate(bag, wait_each=True), localizer, images)
        result = evaluate(bag)
    assert len(result.sent) == 20 and result.seconds == pytest.approx(19 / 30, abs=0.1)
    assert set(result.dropped) == {"superseded"} and result.unaccounted == 0
    assert_subset_equals_offline(result, localizer, images)


def test_the_launch_file_passes_options_that_the_program_has():
    """It cannot be launched here: its options are checked against the parser, its shape where launch_ros is."""
    path = ROOT / "launch" / "replay.launch.py"
    code = compile(path.read_text(), str(path), "exec")
    assert "eval" not in code.co_names
    options = set(re.findall(r'"(--[a-z-]+)', path.read_text())) | {"--bag", "--rate", "--out"}
    assert options <= set(CommandParser(replay, "replay_evaluation")._option_string_actions)
    if importlib.util.find_spec("launch_ros") is None:
        pytest.skip("launch_ros is not installed: only compiled")
    description = runpy.run_path(str(path))["generate_launch_description"]()
    declared = [entity for entity in description.entities if type(entity).__name__ == "DeclareLaunchArgument"]
    assert len(declared) == 10 and all(entity.description for entity in declared)
