"""Damaged, split, compressed recordings are read as far as they go, and what is lost is reported (fault matrix, E4)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_bags import check_drive, drive, imported, write_bag, write_mcap
from rosbags.rosbag2 import CompressionMode

from transposenet_ros.bag_to_dataset import main


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("metadata", [True, False])
def test_e04_compressed_recordings_with_and_without_metadata(tmp_path, storage, mode, metadata):
    if (storage, mode) == ("sqlite3", CompressionMode.STORAGE):
        pytest.skip("SQLite has no compression of its own")
    bag = write_bag(tmp_path / "bag", drive(), storage, mode)
    if not metadata:
        (bag / "metadata.yaml").unlink()
    check_drive(imported(bag, tmp_path / "data", "--pose", "/odom"))


def split_recording(folder: Path, storage: str = "mcap") -> Path:
    """Three storage files under one metadata.yaml, as `ros2 bag record --max-bag-duration` leaves them."""
    rows, suffix = list(drive()), ".mcap" if storage == "mcap" else ".db3"
    parts = [rows[:40], rows[40:90], rows[90:]]
    names = []
    for number, part in enumerate(parts):
        one = write_bag(folder.parent / f"part-{number}", part, storage)
        names.append(f"robot_{number}{suffix}")
        folder.mkdir(exist_ok=True)
        (one / f"part-{number}{suffix}").rename(folder / names[-1])
        shutil.rmtree(one)
    whole = write_bag(folder.parent / "whole", rows, storage)
    text = (whole / "metadata.yaml").read_text()
    shutil.rmtree(whole)
    assert f"  - whole{suffix}" in text
    listed = "\n".join(f"  - {name}" for name in names)
    (folder / "metadata.yaml").write_text(text.replace(f"  - whole{suffix}", listed))
    return folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("metadata", [True, False])
def test_e04_split_recordings(tmp_path, storage, metadata, capsys):
    bag = split_recording(tmp_path / "bag", storage)
    if not metadata:
        (bag / "metadata.yaml").unlink()
    check_drive(imported(bag, tmp_path / "data", "--pose", "/odom"))
    assert ("no metadata.yaml" in capsys.readouterr().out) is not metadata


def test_e04_a_missing_part_of_a_split_recording_is_reported(tmp_path, capsys):
    bag = split_recording(tmp_path / "bag")
    (bag / "robot_2.mcap").unlink()
    scene = imported(bag, tmp_path / "data", "--pose", "tf:map->base_link")
    output = capsys.readouterr().out
    assert "robot_2.mcap is missing" in output and "of 19 images could be read" in output
    check_drive(scene, len(scene.images))
    assert 10 <= len(scene.images) < 19


@pytest.mark.parametrize("storage", ["mcap", "sqlite3", "mcap.zstd"])
@pytest.mark.parametrize("metadata", [True, False])
def test_e04_a_truncated_recording_is_read_up_to_the_damage(tmp_path, storage, metadata, capsys):
    mode = CompressionMode.FILE if storage.endswith("zstd") else CompressionMode.NONE
    rows = [(topic, time_ns, message) for topic, time_ns, message in drive(count=150)]
    bag = write_bag(tmp_path / "bag", rows, storage.removesuffix(".zstd"), mode)
    (file,) = [path for path in bag.iterdir() if path.name != "metadata.yaml"]
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 7 // 10])
    if not metadata:
        (bag / "metadata.yaml").unlink()
    scene = imported(bag, tmp_path / "data", "--pose", "/odom", "--min-match", "0.5")
    check_drive(scene, len(scene.images))
    assert 50 < len(scene.images) < 149
    output = capsys.readouterr().out
    assert "damaged or cut off" in output and ("of 149 images could be read" in output or not metadata)


def test_e04_a_file_of_which_nothing_is_left_is_one_sentence(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", drive())
    (bag / "bag.mcap").write_bytes((bag / "bag.mcap").read_bytes()[:30])
    assert main([str(bag), "--image", "/camera/image", "--pose", "/odom", "--out", str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert "nothing in it can be read" in error and error.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_e04_a_damaged_chunk_loses_only_what_is_behind_it(tmp_path, capsys):
    bag = write_mcap(tmp_path / "bag.mcap", drive(count=100), chunked=True)
    data = bytearray(bag.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    bag.write_bytes(data)
    scene = imported(bag, tmp_path / "data", "--pose", "/odom")
    assert 20 < len(scene.images) < 99
    check_drive(scene, len(scene.images))
    assert "messages could be read, then" in capsys.readouterr().out


def test_a_recording_without_index_is_whole(tmp_path, capsys):
    bag = write_mcap(tmp_path / "fast.mcap", drive(), chunked=False)
    check_drive(imported(bag, tmp_path / "data", "--pose", "/odom"))
    assert "warning" not in capsys.readouterr().out
