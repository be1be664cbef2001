"""The cache of decoded images: right, shared, bounded, and none the worse for kills, full disks and damage."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training_runs import arguments, train

from transposenet_core.cache_folder import cache_folder
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage
from transposenet_core.training.data.pixel_cache import PixelCache
from transposenet_core.training.data.pixels import PosedPixels, load_pixels

ROOT = Path(__file__).resolve().parents[4]
SIZE = Preprocessing(32, (32, 40))
# argv: scene, cache, how often its images. Prints what is loaded as a hash, and by how much anonymous memory grew.
LOAD = """
import hashlib, re, sys, threading
from pathlib import Path
import torch
from transposenet_core.formats import load_scene
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.data.pixel_cache import PixelCache
from transposenet_core.training.data.pixels import load_pixels
torch.set_num_threads(1)
scene, folder, times, edge = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
images = load_scene("7scenes:" + scene).select("train") * times
anonymous = lambda: int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
load_pixels(images[:2], Preprocessing(edge, (edge, edge)))
print("ready", flush=True)
before, peak, over = anonymous(), [0], threading.Event()
def watch():
    while not over.wait(0.005):
        peak[0] = max(peak[0], anonymous())
watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
pixels = load_pixels(images, Preprocessing(edge, (edge, edge)), cache=PixelCache(folder))
picked = [int(pixels.image_N3HW[rows].amax()) for rows in torch.randperm(len(images)).split(32)]
over.set(); watcher.join()
print(hashlib.sha256(pixels.image_N3HW.numpy()).hexdigest(), peak[0] - before, pixels.image_N3HW.nbytes)
"""


def images_of(scene: Path) -> list[PosedImage]:
    return load_scene(f"7scenes:{scene}").select("train")


def load(scene: Path, cache: PixelCache | None, size: Preprocessing = SIZE) -> PosedPixels:
    return load_pixels(images_of(scene), size, cache=cache)


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.npy") if not path.name.startswith("."))


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob(".*.partial.npy"))


def loading(scene: Path, cache: Path, times: int = 1, edge: int = 32, **popen: object) -> subprocess.Popen:
    """A process that loads the scene's images through the cache."""
    command = [sys.executable, "-c", LOAD, str(scene), str(cache), str(times), str(edge)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes, **popen)


def test_the_second_time_the_images_come_from_the_entry(small_scene: Path, tmp_path: Path) -> None:
    cache = PixelCache(tmp_path / "cache")
    plain, first, second = (load(small_scene, c).image_N3HW for c in (None, cache, cache))
    assert torch.equal(plain, first) and torch.equal(plain, second)
    (entry,) = entries(cache.folder)
    data = bytearray(entry.read_bytes())
    data[-1] ^= 0xFF
    entry.write_bytes(data)
    assert torch.equal(
        load(small_scene, cache).image_N3HW != plain, torch.arange(plain.numel()).view(plain.shape) == plain.numel() - 1
    )


def test_other_bytes_size_or_lens_are_another_entry(small_scene: Path, tmp_path: Path) -> None:
    cache, images = PixelCache(tmp_path / "cache"), images_of(small_scene)
    before = load_pixels(images, SIZE, cache=cache).image_N3HW
    changed = images[3].path
    stat, image = changed.stat(), cv2.imread(str(changed))
    cv2.imwrite(str(changed), 255 - image)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # a copy may keep its time
    after = load_pixels(images, SIZE, cache=cache).image_N3HW
    assert [bool((a != b).any()) for a, b in zip(before, after, strict=True)] == [k == 3 for k in range(len(images))]
    camera = Intrinsics(80, 60, 70.0, 70.0, 39.5, 29.5, rectified=False)
    bent = replace(camera, distortion_model="plumb_bob", distortion=(-0.2, 0.05, 0, 0))
    load_pixels(images, Preprocessing(33, (32, 40)), cache=cache)
    load_pixels(images, SIZE, cache=cache, camera=camera)  # nothing is done to these: no entry of their own
    assert len(entries(cache.folder)) == 3
    rectified = load_pixels(images, SIZE, cache=cache, camera=bent)
    assert len(entries(cache.folder)) == 4
    load_pixels(images[::-1], SIZE, cache=cache)
    assert len(entries(cache.folder)) == 5
    undistorter = Undistorter(bent)
    assert torch.equal(rectified.image_N3HW[0], SIZE.resize(undistorter(read_image(images[0].path))))
    assert not torch.equal(rectified.image_N3HW, after)
    assert rectified.camera == undistorter.rectified.resized(*rectified.image_N3HW.shape[:1:-1])


@pytest.mark.parametrize("damage", ["short", "empty", "text", "shape", "sides"])
def test_a_damaged_entry_is_made_anew(small_scene: Path, tmp_path: Path, damage: str) -> None:
    cache = PixelCache(tmp_path / "cache")
    plain = load(small_scene, cache).image_N3HW.clone()
    (entry,) = entries(cache.folder)
    data = entry.read_bytes()
    entry.unlink()
    if damage == "shape":
        np.save(entry, np.zeros((24, 3, 5), np.uint8))
    elif damage == "sides":  # as many pixels, which would be other images
        np.save(entry, np.zeros((*plain.shape[:2], plain.shape[3], plain.shape[2]), np.uint8))
    else:
        entry.write_bytes({"short": data[:-1], "empty": b"", "text": b"no array"}[damage])
    assert torch.equal(load(small_scene, cache).image_N3HW, plain)
    assert entry.read_bytes() == data


def test_t06_a_kill_while_an_entry_is_written_leaves_nothing_that_is_used(small_scene: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    process = loading(small_scene, folder, times=2000)
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 60
    while not unfinished(folder) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and entries(folder) == []
    (left,) = unfinished(folder)
    plain, cache = load(small_scene, None).image_N3HW, PixelCache(folder)
    assert torch.equal(load(small_scene, cache).image_N3HW, plain)
    assert unfinished(folder) == [left]  # it is young: its owner may live
    os.utime(left, (1, 1))
    (owned := folder / ".other.alive.partial.npy").write_bytes(b"")
    os.utime(owned, (1, 1))
    with open(owned, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        load(small_scene, cache, Preprocessing(34, (32, 40)))
    assert unfinished(folder) == [owned]


def test_processes_that_load_at_once_have_the_same_images(small_scene: Path, tmp_path: Path) -> None:
    processes = [loading(small_scene, tmp_path / "cache", times=20) for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len({out.split()[1] for out, _ in outputs}) == 1
    assert not any("not cached" in err for _, err in outputs)
    assert len(entries(tmp_path / "cache")) == 1 and unfinished(tmp_path / "cache") == []


def test_t06_a_full_disk_means_no_cache_and_a_sentence(small_scene: Path, tmp_path: Path) -> None:
    def no_file_may_grow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    folder = tmp_path / "cache"
    process = loading(small_scene, folder, preexec_fn=no_file_may_grow)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    why = "File too large; free disk space there, or set cache_dir to another folder, or to none"
    assert f"{folder}: images are kept in memory and not cached ({why})\n" in err  # among progress bars
    assert entries(folder) == [] and unfinished(folder) == []
    cached = loading(small_scene, folder).communicate(timeout=100)[0]
    assert out.split()[1] == cached.split()[1] and len(entries(folder)) == 1


def test_t06_a_training_goes_on_without_a_cache_that_cannot_be_made(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert train(arguments(small_scene, tmp_path / "out", "epochs=1", f"cache_dir={tmp_path / 'file' / 'c'}")) == 0
    assert f"{tmp_path / 'file' / 'c'}: images are kept in memory and not cached" in capsys.readouterr().err
    assert train(arguments(small_scene, tmp_path / "b", "epochs=1", f"cache_dir={tmp_path / 'own'}")) == 0
    assert len(entries(tmp_path / "own")) >= 1 and "not cached" not in capsys.readouterr().err


def test_t10_images_of_a_large_scene_never_lie_in_memory_at_once(small_scene: Path, tmp_path: Path) -> None:
    """Neither while they are decoded nor while batches are taken from all over them."""
    process = loading(small_scene, tmp_path / "cache", times=60, edge=240)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    _, _, grown, size = out.split()
    assert int(size) > 300e6 and int(grown) < 100e6


def test_the_cache_is_bounded_and_what_was_not_used_for_longest_goes_first(small_scene: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for number, edge in enumerate((32, 33, 34)):
        load(small_scene, PixelCache(folder), Preprocessing(edge, (32, 40)))
        os.utime(max(entries(folder), key=lambda path: path.stat().st_mtime), (number + 1, number + 1))
    oldest, middle, newest = sorted(entries(folder), key=lambda path: path.stat().st_mtime)
    mapped = load(small_scene, PixelCache(folder))  # used: the oldest no more
    kept = mapped.image_N3HW.clone()
    limit = sum(path.stat().st_size for path in (oldest, newest)) + 200_000
    load(small_scene, PixelCache(folder, limit), Preprocessing(35, (32, 40)))
    assert middle not in entries(folder) and {oldest, newest} < set(entries(folder))
    load(small_scene, PixelCache(folder, 1), Preprocessing(36, (32, 40)))
    assert len(entries(folder)) == 1  # the one in use, however large
    assert torch.equal(mapped.image_N3HW, kept)  # who has a removed entry mapped keeps it


def test_t01_an_unreadable_image_is_named_and_no_entry_is_left(small_scene: Path, tmp_path: Path) -> None:
    images, cache = images_of(small_scene), PixelCache(tmp_path / "cache")
    images[5].path.write_bytes(b"no image")
    with pytest.raises(UserError, match=f"{images[5].path.name}: 8 bytes that are neither JPEG nor PNG"):
        load_pixels(images, SIZE, cache=cache)
    images[5].path.unlink()
    with pytest.raises(UserError, match=f"{images[5].path.name}: the image cannot be read"):
        load_pixels(images, SIZE, cache=cache)
    cv2.imwrite(str(images[5].path), np.zeros((60, 60, 3), np.uint8))
    with pytest.raises(UserError, match=f"{images[5].path.name}: .* all images of a scene need one aspect ratio"):
        load_pixels(images, SIZE, cache=cache)
    assert list(cache.folder.iterdir()) == []


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRANSPOSENET_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_folder(str(tmp_path / "c")) == tmp_path / "c"
    assert cache_folder("none") is None and cache_folder() == tmp_path / "a"
    monkeypatch.setenv("TRANSPOSENET_CACHE", "none")
    assert cache_folder() is None
    monkeypatch.delenv("TRANSPOSENET_CACHE")
    assert cache_folder() == tmp_path / "b" / "transposenet"
