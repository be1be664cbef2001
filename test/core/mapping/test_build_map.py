"""From a recording to a map and back into training's hands: `transposenet map` as a user runs it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_views import CAMERA as VIEWS_CAMERA
from made_views import views, walk
from textured_planes import ARC, CAMERA, ROOM, camera_at, render

from transposenet_core.commands import map as map_command
from transposenet_core.commands.parser import run_command
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import folder_dataset, write_folder_dataset
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.adjust.adjustment import AdjustOptions, adjust_tracks
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.build import time_offset
from transposenet_core.mapping.labels import LabelChoice
from transposenet_core.mapping.mapped_dataset import ADJUSTED, RECORDED, read_poses, write_poses
from transposenet_core.mapping.work_folder import LOCK, work_folder
from transposenet_core.scene import DepthCamera, PosedImage, Scene

ROOT = Path(__file__).resolve().parents[3]
NOISE_M = 0.02
Recording = tuple[Path, dict[str, Pose]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Pose]]:
    """A walk past textured walls: 17 frames to train on and 3 to test on, poses off by 2 cm; and the exact poses."""
    folder = tmp_path_factory.mktemp("recording") / "walls"
    camera = CAMERA.resized(320, 240)
    rng, images, exact, pixels = np.random.default_rng(5), [], {}, []
    for number in range(20):
        pose = camera_at((0.07 * number - 0.7, 0.06 * np.sin(number), 0.05 * np.cos(2 * number)), 10 - number)
        name, split = f"a/{number:03d}.png", "test" if 9 <= number < 12 else "train"
        pixels.append(render(ROOM, pose, camera)[0])
        exact[name] = pose
        off = Pose(pose.position + rng.normal(0, NOISE_M, 3), pose.orientation)
        images.append(PosedImage(name, folder / name, off, split, "a", number / 5))
    scene = Scene("walls", images, intrinsics=camera, root=folder)
    write_folder_dataset(folder, scene, pixels)
    return folder, exact


def mapped(folder: Path, out: Path, *options: str) -> int:
    return run_command(map_command, [str(folder), "--out", str(out), "--threads", "0", *options], "transposenet map")


@pytest.fixture(scope="module")
def whole(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "my_map"
    assert mapped(recording[0], out) == 0
    return out


def test_a_map_is_a_data_set_with_adjusted_poses_and_depth(recording: Recording, whole: Path) -> None:
    folder, exact = recording
    before, after = load_scene(folder), load_scene(whole)
    assert [i.name for i in after.images] == [i.name for i in before.images]
    assert [i.split for i in after.images] == [i.split for i in before.images]
    train = [i for i in after.images if i.split == "train"]
    assert all(i.depth_path for i in train) and after.depth_camera is not None
    # Whatever is scored later keeps the pose that was recorded, and has no depth of the map.
    for ours, theirs in zip(after.images, before.images, strict=True):
        if ours.split == "test":
            np.testing.assert_array_equal(ours.pose.matrix_44, theirs.pose.matrix_44)
            assert ours.depth_path is None
    recorded, adjusted = (read_poses(whole / file) for file in (RECORDED, ADJUSTED))
    assert list(adjusted) == [i.name for i in train]
    off, left = (
        np.median([np.linalg.norm(poses[n].position - exact[n].position) for n in poses])
        for poses in (recorded, adjusted)
    )
    assert left < 0.5 * off
    labels = {i.name: i.pose for i in train}
    for name, pose in adjusted.items():
        np.testing.assert_allclose(labels[name].matrix_44, pose.matrix_44, atol=1e-12)
    card = json.loads((whole / "map.json").read_text())
    assert card["labels"] == "adjusted" and card["depth"]["frames_with_depth"] == len(train)
    assert {p.name for p in whole.iterdir()} >= {"map.html", "map.ply", "overview.png", "depths.png"}


def test_m07_a_killed_run_goes_on_and_ends_the_same(recording: Recording, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "my_map"
    command = [sys.executable, str(ROOT / "training" / "map_recording.py"), str(recording[0]), "--out", str(out)]
    command += ["--threads", "0"]
    work = out.with_name("my_map.work")

    def killed_when(something: Callable[[], bool]) -> None:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while process.poll() is None and not something() and time.monotonic() < deadline:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
        assert work.is_dir() and not out.exists()

    killed_when(lambda: len(list(work.glob("adjust/features/*.npz"))) > 4)
    killed_when(lambda: len(list(work.glob("d*/**/*"))) > 8)
    # What was being written when it was killed has a hidden name.
    assert len(list(work.glob("adjust/features/[!.]*.npz"))) == 17
    assert mapped(recording[0], out) == 0
    assert not work.exists()
    assert contents(out) == contents(whole)


def contents(folder: Path) -> dict[str, bytes]:
    """All files that are data; the card holds times, and with it the page."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.name not in ("map.json", "map.html")}


def test_m07_two_at_once_on_one_output(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my_map"
    with work_folder(out):
        assert mapped(recording[0], out) == 2
    assert f"{out}: another process makes this map now" in capsys.readouterr().err
    assert not out.exists()


def test_m07_a_full_disk_is_one_sentence_and_what_is_done_stays(tmp_path: Path) -> None:
    out = tmp_path / "my_map"
    full = "No space left on device; free disk space and run the same command again"
    with pytest.raises(UserError, match=full), work_folder(out) as work:
        (work / "done").write_text("kept")
        raise OSError(28, os.strerror(28))
    assert (out.with_name("my_map.work") / "done").read_text() == "kept"
    with work_folder(out) as work:
        assert sorted(path.name for path in work.iterdir()) == ["done", LOCK]
    assert not work.exists()


def test_m07_a_lock_whose_folder_is_removed_keeps_nobody_away(tmp_path: Path) -> None:
    """As by a process that ends between opening and locking: here the folder goes while it is locked."""
    out = tmp_path / "my_map"
    with work_folder(out):
        shutil.rmtree(out.with_name("my_map.work"))
        with work_folder(out) as work, pytest.raises(UserError, match="another process"), work_folder(out):
            pass
        assert not work.exists()


def test_m07_a_recording_that_can_only_be_read(recording: Recording, tmp_path: Path) -> None:
    folder = tmp_path / "read_only"
    shutil.copytree(recording[0], folder)
    for path in (folder, folder / "a"):
        path.chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert mapped(folder, tmp_path / "my_map", "--depth", "none") == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_sensors_depth_is_compared_and_completed(recording: Recording, tmp_path: Path) -> None:
    """Its depth images have a hole each, and its description has it 20 mm off."""
    camera, sensor = CAMERA.resized(320, 240), tmp_path / "sensor"
    away = Pose(np.array([0.02, 0, 0]), np.array([1.0, 0, 0, 0]))
    scene = load_scene(recording[0])
    with folder_dataset(sensor) as writer:
        writer.intrinsics, writer.depth_camera = camera, DepthCamera(camera, 0.001, away)
        for image in scene.images:
            depth_HW = np.uint16(1000 * render(ROOM, recording[1][image.name], camera)[1])
            depth_HW[60:120, 80:160] = 0
            stamp_ns = round(1e9 * image.stamp)
            writer.add(image.name, image.path.read_bytes(), image.pose, stamp_ns, "a", depth_HW)
        writer.set_splits(scene.images)
    assert mapped(sensor, tmp_path / "my_map", "--depth", "both") == 0
    card = json.loads((tmp_path / "my_map" / "map.json").read_text())
    sentence = r"the depth camera sits (15|20|25) mm to the left of where it is described"
    assert any(re.fullmatch(sentence, found) for found in card["depth"]["sensor"])
    after = load_scene(tmp_path / "my_map")
    assert after.depth_camera is not None
    image = next(i for i in after.images if i.split == "train")
    depth_HW = cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED) * after.depth_camera.metres_per_unit
    small = CAMERA.resized(depth_HW.shape[1], depth_HW.shape[0])
    error_HW = np.abs(depth_HW / np.maximum(render(ROOM, recording[1][image.name], small)[1], 1e-6) - 1)
    hole = slice(30, 60), slice(40, 80)
    assert (depth_HW[hole] > 0).mean() > 0.5  # the sensor's alone would have none
    assert np.median(error_HW[depth_HW > 0]) < 0.02 and np.median(error_HW[hole][depth_HW[hole] > 0]) < 0.05


def test_the_clock_of_the_recording_is_kept_and_corrected(recording: Recording, tmp_path: Path) -> None:
    scene = replace(load_scene(recording[0]), time_offset_s=0.2)
    walked = views(walk())
    found = adjust_tracks(walked.images(walked.poses), Lens.of(VIEWS_CAMERA), walked.found, AdjustOptions())
    late = replace(found, offset=replace(found.offset, seconds=0.05, seconds_decided=True))
    assert time_offset(scene, late, LabelChoice("recorded", "")) == 0.2
    # Images that were labelled with poses of 50 ms later belong to poses of 50 ms earlier.
    assert time_offset(scene, late, LabelChoice("adjusted", "")) == pytest.approx(0.15)


def test_poses_and_lens_can_be_kept(recording: Recording, tmp_path: Path) -> None:
    about = json.loads((recording[0] / "dataset.json").read_text())
    (recording[0] / "dataset.json").write_text(json.dumps(about | {"time_offset_s": {"walls": 0.03}}))
    out = tmp_path / "my_map"
    assert mapped(recording[0], out, "--poses", "keep", "--lens", "keep", "--depth", "none") == 0
    before, after = load_scene(recording[0]), load_scene(out)
    for ours, theirs in zip(after.images, before.images, strict=True):
        np.testing.assert_allclose(ours.pose.matrix_44, theirs.pose.matrix_44, atol=1e-12)
    assert after.depth_camera is None and after.time_offset_s == 0.03
    (recording[0] / "dataset.json").write_text(json.dumps(about))
    assert after.intrinsics is not None and before.intrinsics is not None
    assert after.intrinsics.matrix_33.tolist() == before.intrinsics.matrix_33.tolist()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--pose-sigma", "5cm"), "--pose-sigma is '5cm', allowed are metres and degrees above 0"),
        (("--pose-sigma", "0,1"), "--pose-sigma is '0,1'"),
        (("--seed", "-1"), "--seed is -1, allowed are 0 to"),
        (("--out", "."), "a data set is written to a folder of its own"),
        (("--depth", "sensor"), "has no depth images: --depth motion computes them"),
    ],
)
def test_wrong_options_are_one_sentence(
    recording: Recording,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    sentence: str,
) -> None:
    assert mapped(recording[0], tmp_path / "my_map", *options) == 2
    assert sentence in capsys.readouterr().err


def test_images_that_would_share_a_depth_image_are_refused(recording: Recording, tmp_path: Path, capsys) -> None:
    scene = load_scene(recording[0])
    names = [f"a/{number // 2:03d}.{'png' if number % 2 else 'jpg'}" for number in range(4)]
    images = [replace(image, name=name) for image, name in zip(scene.images, names, strict=False)]
    write_folder_dataset(tmp_path / "two", replace(scene, images=images), [np.zeros((240, 320, 3), np.uint8)] * 4)
    assert mapped(tmp_path / "two", tmp_path / "my_map") == 2
    assert "images a/000.jpg and a/000.png have one name but for the suffix" in capsys.readouterr().err


def test_a_table_that_is_no_covariance_is_replaced_by_the_nearest_one(recording: Recording, tmp_path: Path) -> None:
    scene = load_scene(recording[0])
    wrong_66 = np.diag([1e-4] * 6)
    wrong_66[0, 1] = wrong_66[1, 0] = 5e-4
    images = [replace(image, covariance_66=wrong_66) for image in scene.images]
    write_folder_dataset(tmp_path / "wrong", replace(scene, images=images))
    assert mapped(tmp_path / "wrong", tmp_path / "my_map", "--depth", "none") == 0
    after = load_scene(tmp_path / "my_map")
    card = json.loads((tmp_path / "my_map" / "map.json").read_text())
    assert card["adjustment"]["reprojection_after_px"] < 0.14  # 0.20 with negative variances
    # How sure the recording was of its poses is not how sure the adjusted ones are.
    assert {i.split for i in after.images if i.covariance_66 is not None} == {"test"}


def test_m03_a_single_frame_is_refused(recording: Recording, tmp_path: Path, capsys) -> None:
    scene = load_scene(recording[0])
    write_folder_dataset(tmp_path / "one", replace(scene, images=scene.images[:1]))
    assert mapped(tmp_path / "one", tmp_path / "my_map") == 2
    assert "1 training frames, a map needs 2" in capsys.readouterr().err


def test_a_machine_without_the_solver_is_one_sentence_before_the_work(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyceres", None)  # how Python marks a module that cannot be imported
    assert mapped(recording[0], tmp_path / "my_map") == 2
    assert "needs the Python packages pyceres, which are not installed here" in capsys.readouterr().err
    assert not (tmp_path / "my_map.work").exists()


def test_nothing_of_another_is_overwritten(recording: Recording, tmp_path: Path, capsys) -> None:
    (tmp_path / "my_map").mkdir()
    (tmp_path / "my_map" / "precious.txt").write_text("mine")
    assert mapped(recording[0], tmp_path / "my_map", "--overwrite") == 2
    assert "already exists" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "my_map").iterdir()] == ["precious.txt"]


def test_tables_of_poses_come_back(tmp_path: Path) -> None:
    write_poses(tmp_path / "poses.csv", [f"{n}.png" for n in range(len(ARC))], ARC)
    again = read_poses(tmp_path / "poses.csv")
    for ours, theirs in zip(again.values(), ARC, strict=True):
        np.testing.assert_array_equal(ours.matrix_44, theirs.matrix_44)
