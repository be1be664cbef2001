"""Faults injected into a running training (fault matrix, T5, T6, T7, T8, T9, T12)."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_runs import TRAIN, arguments, figures, train
from untrained import save_untrained

from transposenet_core.command_line import exit_code
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose_averaging import MOST_PIXELS_AT_ONCE
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.data.pixels import PosedPixels, load_pixels
from transposenet_core.training.validation import predict, predict_in_scenes


def run(scene: Path, out: Path, *more: str, **popen: object) -> subprocess.CompletedProcess:
    """train.py as a process of its own."""
    command = [sys.executable, str(TRAIN), *arguments(scene, out, *more)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, **popen)


def checkpoint(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoint.safetensors")


def different(first: Path, second: Path) -> list[str]:
    a, b = checkpoint(first), checkpoint(second)
    assert a.keys() == b.keys()
    return [key for key in a if not torch.equal(a[key], b[key])]


def test_t05_steps_without_a_finite_gradient_change_nothing_and_twenty_stop_the_run(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=2")) == 0
    good = checkpoint(out)
    # A rate at which the first step throws the weights so far away that every later gradient overflows.
    more = ["optimizer.learning_rate=1e30", "epochs=50", "--resume", "--override"]
    capsys.readouterr()
    assert train(arguments(small_scene, out, *more)) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the last 20 steps had no finite gradient and were skipped" in error
    assert "last good state (stage 1, epoch 2)" in error and "optimizer.learning_rate below 1e+30" in error
    assert sum(figures(out, "skipped_steps")) > 0
    kept = checkpoint(out)
    assert [key for key in good if not torch.equal(good[key], kept[key])] == []
    assert all(torch.isfinite(tensor.float()).all() for tensor in kept.values())
    assert Localizer(out, device="cpu").scene_model.title == "desk"
    # In stage 2 another key is named.
    more = ["epochs=2", "heads.epochs=50", "heads.learning_rate=1e30", "--resume", "--override"]
    assert train(arguments(small_scene, out, *more)) == 3
    assert "or heads.learning_rate below 1e+30" in capsys.readouterr().err


def test_t05_outputs_that_are_not_finite_end_a_training_with_exit_code_3(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    images = load_scene(f"7scenes:{small_scene}").select("test")[:3]
    model = SceneModel.load(save_untrained(tmp_path, [read_image(i.path) for i in images], Preprocessing(32, (32, 40))))
    with torch.no_grad():
        model.network.position_head[-1].bias[0] = torch.nan
    pixels = load_pixels(images, model.preprocessing)
    assert exit_code(lambda: predict(model.network, pixels, model.preprocessing)) == 3
    assert (
        "returns poses that are not finite; start again with a lower optimizer.learning_rate" in capsys.readouterr().err
    )


def test_validation_holds_no_more_windows_of_an_image_than_the_localizer() -> None:
    together = []

    class Network(torch.nn.Module):
        def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
            together.append(len(image_B3HW))
            return {"position": image_B3HW.mean((2, 3)), "orientation": torch.ones(len(image_B3HW), 4)}

    image_N3HW = torch.randint(0, 256, (2, 3, 260, 260), dtype=torch.uint8)
    pixels = PosedPixels(image_N3HW, torch.zeros(2, 3), torch.ones(2, 4))
    preprocessing = Preprocessing(260, (256, 256), crops=25)
    poses = predict_in_scenes(Network(), pixels, preprocessing).poses
    assert max(together) * 256 * 256 <= MOST_PIXELS_AT_ONCE and sum(together) == 50
    for pose, image_3HW in zip(poses, image_N3HW, strict=True):
        view_B3HW = normalise(preprocessing.views(image_3HW[None]))
        np.testing.assert_allclose(pose.position, view_B3HW.mean((0, 2, 3)), atol=1e-5)


def test_t06_t12_a_run_killed_at_any_moment_resumes_to_the_unbroken_ones_weights(
    small_scene: Path, tmp_path: Path
) -> None:
    """SIGKILL three times at random moments; dropout, moving average and second stage included."""
    same = ["epochs=2", "heads.epochs=1", "model.options.dropout=0.2", "ema_decay=0.9", "heads.position_prior=true"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(arguments(small_scene, whole, *same)) == 0
    killed, generator = 0, random.Random(int(os.environ.get("PYTEST_SEED", time.time())))
    for _ in range(3):
        resume = ["--resume"] if (broken / "checkpoint.safetensors").exists() else []
        command = [sys.executable, str(TRAIN), *arguments(small_scene, broken, *same, *resume)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert any("training frames" in line for line in process.stdout)  # imports and images are behind it
        deadline = time.monotonic() + 60
        while not (broken / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 1.5))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed > 0
    # What a kill in the middle of a write leaves behind, the next start takes away.
    (broken / ".checkpoint.left.partial.safetensors").write_bytes(bytes(1000))
    assert train(arguments(small_scene, broken, *same, "--resume")) == 0
    assert different(whole, broken) == []
    assert SceneModel.load(broken).provenance["stage"] == SceneModel.load(whole).provenance["stage"]
    assert [path.name for path in broken.iterdir() if "partial" in path.name] == []


def test_t06_a_full_disk_leaves_the_last_checkpoint_and_one_sentence(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1")) == 0
    before = (out / "checkpoint.safetensors").read_bytes()

    def no_file_may_grow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    ended = run(small_scene, out, "epochs=3", "--resume", "--override", preexec_fn=no_file_may_grow)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert ended.stderr.strip().splitlines()[-1].startswith("error: ")
    assert (out / "checkpoint.safetensors").read_bytes() == before
    assert [path.name for path in out.iterdir() if "partial" in path.name] == []


def test_t06_a_place_that_cannot_be_written_is_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert train(arguments(small_scene, tmp_path / "file" / "out", "epochs=1")) == 2
    assert f"error: {tmp_path / 'file'}" in capsys.readouterr().err


@pytest.mark.long
def test_t07_a_batch_that_does_not_fit_names_the_one_to_try(small_scene: Path, tmp_path: Path) -> None:
    """The memory really is too small: the process may not map more than a training needs to start."""

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))

    big = ["image.smaller_edge=800", "image.height=800", "image.width=800", "batch_size=24", "epochs=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    ended = run(small_scene, tmp_path / "out", *big, "workers=0", preexec_fn=little_memory, env=environment)
    assert ended.returncode == 2, ended.stderr[-2000:]
    error = ended.stderr.strip().splitlines()[-1]
    assert "batch_size 24 at 800x800 pixels does not fit into the memory; try batch_size=12, or --auto-batch" in error


@pytest.mark.long
def test_t08_no_worker_process_and_no_shared_memory_is_needed(small_scene: Path, tmp_path: Path) -> None:
    """Images are decoded by threads and kept: there is no worker to crash and no --shm-size to set."""
    watched = tmp_path / "watched.py"
    watched.write_text(
        "import runpy, sys\n"
        "def hook(event, arguments):\n"
        "    forked = event in ('os.fork', 'os.forkpty', 'os.posix_spawn', 'subprocess.Popen')\n"
        "    shared = event == 'open' and str(arguments[0]).startswith('/dev/shm')\n"
        "    if (forked or shared) and 'training' in sys.argv[0]:\n"
        "        print('FORBIDDEN', event, arguments, file=sys.stderr, flush=True)\n"
        "sys.argv = sys.argv[1:]\n"
        "import transposenet_core.training.loop\n"  # what libraries do while they are imported is theirs
        "sys.addaudithook(hook)\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [sys.executable, str(watched), str(TRAIN), *arguments(small_scene, tmp_path / "out", "epochs=1")]
    environment = os.environ | {"PYTHONPATH": str(TRAIN.parents[1])}
    for workers in ("workers=0", "workers=4"):
        out = [str(tmp_path / workers) if word == str(tmp_path / "out") else word for word in command]
        ended = subprocess.run(
            [*out, workers], capture_output=True, text=True, timeout=100, env=environment, check=False
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        assert "FORBIDDEN" not in ended.stderr


def test_t09_a_changed_configuration_and_an_existing_run_are_refused(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1")) == 0
    assert train(arguments(small_scene, out, "epochs=1")) == 2
    assert "already holds a run: add --resume" in capsys.readouterr().err
    changed = ["epochs=2", "optimizer.learning_rate=1e-5", "--resume"]
    assert train(arguments(small_scene, out, *changed)) == 2
    error = capsys.readouterr().err
    assert "epochs was 1, is 2; optimizer.learning_rate was 0.0003, is 1e-05" in error and "--override" in error
    assert "0.0003" in (out / "config.yaml").read_text()
    split = tmp_path / "other.csv"
    split.write_text("split,image\ntrain,seq-02/frame-000000.color.png\ntrain,seq-02/frame-000001.color.png\n")
    assert train(arguments(small_scene, out, "epochs=1", "--split", str(split), "--resume")) == 2
    assert "frames was" in capsys.readouterr().err
    assert train(arguments(small_scene, out, *changed, "--override")) == 0
    assert "--override: optimizer.learning_rate was 0.0003, is 1e-05" in capsys.readouterr().err
    assert len(figures(out)) == 2 and "1.0e-05" in (out / "config.yaml").read_text()
    narrow = ["epochs=2", "model.options.width=16", "model.options.heads=2", "--resume", "--override"]
    assert train(arguments(small_scene, out, *narrow)) == 2
    assert "not of the configured network (tensor " in capsys.readouterr().err


def test_t12_the_same_seed_gives_the_same_weights_and_another_does_not(small_scene: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train(arguments(small_scene, tmp_path / name, "epochs=1", f"seed={seed}", "deterministic=true")) == 0
    torch.use_deterministic_algorithms(False)
    assert different(tmp_path / "a", tmp_path / "b") == []
    assert different(tmp_path / "a", tmp_path / "c") != []
