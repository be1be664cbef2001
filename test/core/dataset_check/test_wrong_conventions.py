"""Poses read in the wrong convention, from the files to the exit code; images and poses of different times."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from core.dataset_check.made_room import made_scene
from core.dataset_check.test_conventions import red_kitchen, repose, walk, written_as

from transposenet_core.dataset_check.check import check_offset
from transposenet_core.dataset_check.conventions import test_conventions as check_conventions
from transposenet_core.dataset_check.matching import match_neighbours
from transposenet_core.dataset_check.time_offset import TimeOffset
from transposenet_core.formats import ADAPTERS, folder, load_scene, parse_source
from transposenet_core.formats.declared_convention import T_CAMERA_MAP, PoseConvention
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import Scene

check_main = runpy.run_path(str(Path(__file__).resolve().parents[3] / "training" / "check_dataset.py"))["main"]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return made_scene(tmp_path_factory.mktemp("room"), walk(24))


def checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = check_main([f"folder:{folder}", "--out", str(folder.parent / "out")])
    return code, *capsys.readouterr()


def test_a_wrong_convention_ends_the_check_with_2_and_advice(
    room: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [replace(image, pose=written_as(PoseConvention("map-to-camera"))(image.pose)) for image in room.images]
    write_folder_dataset(tmp_path / "place", replace(room, images=images))
    code, _, text = checked(tmp_path / "place", capsys)
    assert (
        code == 2
        and "the images contradict the poses" in text
        and "look like map-to-camera, quaternion w x y z, optical" in text
    )
    assert "declared is camera-to-map, quaternion w x y z, optical" in text and "convention=" in text
    assert json.loads((tmp_path / "out" / "card.json").read_text())["motion"]["outcome"] == "another convention"


def test_poses_of_the_base_end_the_check_with_2_and_advice(
    room: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    T_base_camera = Pose(np.array([0.2, 0.1, 0.5]), np.array([0.5, -0.5, 0.5, -0.5]))
    images = [replace(image, pose=image.pose @ T_base_camera.inverse()) for image in room.images]
    write_folder_dataset(tmp_path / "place", replace(room, images=images))
    code, _, text = checked(tmp_path / "place", capsys)
    assert code == 2 and "another body than the camera" in text and "--extrinsic" in text
    assert "the body has a robot's axes (x forward, y left, z up)" in text and "intrinsics: check" not in text


def test_the_right_convention_ends_with_0(room: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder_dataset(tmp_path / "place", room)
    code, output, _ = checked(tmp_path / "place", capsys)
    assert code == 0 and "as declared" in output and "verdict        good: 24 usable images" in output


def test_t10_a_dozen_neighbouring_frames_are_not_taken_for_another_body(data_folder: Path) -> None:
    """With little motion a mounting of any direction fits the noise of the labels better than the ground truth does."""
    images = sorted(red_kitchen(data_folder).images, key=lambda image: image.stamp)
    scene = replace(red_kitchen(data_folder), images=images[:36:3])
    matches = match_neighbours(scene)
    right = check_conventions(scene, matches)
    assert right.mounting is not None and right.mounting.share > right.scores[0].share + 0.1
    assert not right.wrong, right.sentence()
    inverted = check_conventions(scene, repose(matches, written_as(PoseConvention("map-to-camera"))))
    assert inverted.wrong, inverted.sentence()


def offset(seconds: float | None, sigma: float = 0.005) -> TimeOffset:
    return TimeOffset(seconds, 0.9, sigma, 100, "" if seconds is not None else "it stands still", seconds or 0.0)


@pytest.mark.parametrize(
    ("measured", "period", "reported"),
    [
        (offset(0.08), 1 / 30, True),
        (offset(-0.08), 1 / 30, True),
        (offset(0.02), 1 / 30, False),  # below a frame
        (offset(0.08, sigma=0.05), 1 / 30, False),  # not significant
        (offset(0.08), 0.2, False),
        (offset(None), 1 / 30, False),
        (offset(0.08), 0.0, True),
    ],
)
def test_t03_a_significant_offset_of_more_than_a_frame_is_remarked_on(
    measured: TimeOffset, period: float, reported: bool
) -> None:
    faults = Faults()
    check_offset(measured, period, faults)
    assert not faults.refused and len(faults.remarks) == reported
    if reported:
        assert measured.seconds is not None and f"add {measured.seconds:.3f} s" in str(faults.remarks[0])
        assert "80 ms" in str(faults.remarks[0]) and "of another time" in str(faults.remarks[0])


@pytest.mark.parametrize(
    ("data", "scene", "convention"),
    [
        ("7scenes:{}", "chess", PoseConvention()),
        ("folder:{}", "x", PoseConvention()),
        ("tum:{}", "x", PoseConvention()),
        ("euroc:{}", "x", PoseConvention()),
        ("cambridge:{}", "x", PoseConvention("centre + map-to-camera")),
        ("colmap:{}", "x", PoseConvention("map-to-camera")),
        ("nerfstudio:{}", "x", PoseConvention(axes="OpenGL")),
        ("matrix_rows:{}", "x", PoseConvention()),
        ("matrix_rows:{},convention=map_to_camera", "x", PoseConvention("map-to-camera")),
        ("posenet_txt:{},convention=camera_to_map", "x", PoseConvention()),
        ("posenet_txt:{},convention=map_to_camera", "x", PoseConvention("centre + map-to-camera")),
        ("labels_csv:{}", "chess", PoseConvention()),
        ("labels_csv:{}", "KingsCollege", PoseConvention("centre + map-to-camera")),
        ("labels_csv:{},convention=camera_to_map", "KingsCollege", PoseConvention()),
        ("labels_csv:{},convention=map_to_camera", "x", PoseConvention("centre + map-to-camera")),
    ],
)
def test_a_format_declares_its_convention(tmp_path: Path, data: str, scene: str, convention: PoseConvention) -> None:
    source = parse_source(data.format(tmp_path))
    assert source.adapter.pose_convention(source.options, scene) == convention


def test_a_new_format_needs_no_change_of_the_check(
    room: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder_dataset(tmp_path / "place", room)
    new = SimpleNamespace(**vars(folder) | {"NAME": "new", "pose_convention": lambda options, scene_name: T_CAMERA_MAP})
    monkeypatch.setitem(ADAPTERS, "new", new)
    assert check_main([f"new:{tmp_path / 'place'}", "--out", str(tmp_path / "out")]) == 0
    assert "these poses look like map-to-camera, quaternion w x y z, optical" in capsys.readouterr().out


def test_e09_a_hostile_name_neither_leaves_the_folder_nor_reaches_the_terminal(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder_dataset(tmp_path / "place", load_scene(f"7scenes:{small_scene}"))
    name = "x/../../evil\x1b[31m<script>$\\frac$"
    (tmp_path / "place" / "dataset.json").write_text(json.dumps({"name": name}))
    table = tmp_path / "place" / "poses.csv"
    lines = table.read_text().splitlines()
    lines[5] = lines[5].replace("seq-01", "$\\frac$", 2).replace("$\\frac$/", "seq-01/")  # the name of a sequence alone
    lines[3] = "../\x1b[31m.png," + lines[3].split(",", 1)[1]
    table.write_text("\n".join(lines) + "\n")
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    assert check_main([str(tmp_path / "place"), "--no-motion"]) == 2
    output = capsys.readouterr()
    assert (
        "\x1b" not in output.out + output.err and "\\x1b[31m" in output.out and "is not below the folder" in output.out
    )
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("overview.png")]
    assert [str(path) for path in written] == ["here/below/check_x_.._.._evil_31m_script_frac_/overview.png"]
