"""Two real gloo processes against one: the same loss, the same network, and a resume with another number of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_runs import TRAIN, arguments, figures, train

# No noise of a process's own, so that nothing but the sharing itself can differ.
QUIET = ["model.options.dropout=0.0", "model.options.drop_connect=0.0", "batch_size=8", "schedule.kind=step"]


def torchrun(processes: int, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, str(TRAIN), *arguments], capture_output=True, text=True, timeout=110, env=environment, check=False
    )


@pytest.mark.long
@pytest.mark.timeout(400)
def test_two_processes_train_as_one_and_a_resume_takes_another_number(small_scene: Path, tmp_path: Path) -> None:
    """22 images in batches of 8: the last batch is shared as 3 + 3."""
    for image in sorted((small_scene / "seq-01").glob("*.png"))[-2:]:
        image.unlink()
        image.with_name(image.name.replace("color.png", "pose.txt")).unlink()
    one, two, mixed = (tmp_path / name for name in ("one", "two", "mixed"))
    assert train(arguments(small_scene, one, "epochs=3", *QUIET)) == 0
    ended = torchrun(2, *arguments(small_scene, two, "epochs=3", *QUIET))
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "2 x cpu" in ended.stdout and ended.stdout.count("scene model:") == 1
    assert figures(two) == pytest.approx(figures(one), abs=1e-5)
    assert figures(two, "val_median_m") == pytest.approx(figures(one, "val_median_m"), abs=1e-4)
    # Batch statistics are those of the whole batch.
    first, second = (load_file(folder / "checkpoint.safetensors") for folder in (one, two))
    statistics = [key for key in first if key.endswith("running_var")]
    assert len(statistics) > 10
    for key in statistics:
        torch.testing.assert_close(second[key], first[key], atol=1e-4, rtol=1e-4)
    # Two processes begin, one goes on: the unbroken run's loss again.
    assert torchrun(2, *arguments(small_scene, mixed, "epochs=1", *QUIET)).returncode == 0
    resumed = arguments(small_scene, mixed, "epochs=3", *QUIET, "--resume", "--override")
    assert train(resumed) == 0
    assert figures(mixed) == pytest.approx(figures(one), abs=1e-5)


@pytest.mark.long
def test_a_batch_that_cannot_be_shared_is_refused_in_one_sentence(small_scene: Path, tmp_path: Path) -> None:
    ended = torchrun(2, *arguments(small_scene, tmp_path / "out", "epochs=1", "batch_size=7"))
    assert ended.returncode != 0
    assert "error: batch_size is 7, which 2 processes cannot share evenly; use a multiple" in ended.stderr
