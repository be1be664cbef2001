"""What can be done with data that have no fault: one image, a camera that stands still, a set without test frames."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from made_tracks import made_track, walk

from transposenet_core.commands.check import following_command, verdict
from transposenet_core.dataset_check.check import Findings
from transposenet_core.dataset_check.quick import quick_check
from transposenet_core.dataset_check.usability import usability_of
from transposenet_core.formats import load_scene
from transposenet_core.formats.faults import Faults
from transposenet_core.scene import Scene


def hovering(count: int = 120, jitter_m: float = 0.01) -> Scene:
    """A drone that holds its place, with the jitter of its poses."""
    rng = np.random.default_rng(4)
    return made_track(np.array([3.0, -2.0, 1.5]) + rng.normal(0, jitter_m, (count, 3)))


def says(scene: Scene) -> str:
    return verdict(Findings(scene, Faults()), "folder:desk", skip_bad=False)


def test_t17_a_camera_that_does_not_move_teaches_nothing() -> None:
    assert says(hovering()).startswith("nothing to learn: 120 usable images; the camera does not move (95 % of its")
    assert says(hovering(jitter_m=0.2)).startswith("good: ")
    assert says(made_track(walk(120))).startswith("good: ")
    scene = hovering()
    scene.units = "arbitrary"  # 1 cm may be a metre
    assert usability_of(scene).learnable


def test_t17_training_is_warned_of_it(small_scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in small_scene.glob("*/*.pose.txt"):
        T = np.eye(4)
        T[:3, 3] = 1e-4 * int(path.name[6:12])
        np.savetxt(path, T)
    quick_check("desk", load_scene(f"7scenes:{small_scene}"))
    assert "train split: nothing to learn: the camera does not move" in capsys.readouterr().err


def test_t17_the_next_command_does_not_train_on_what_teaches_nothing() -> None:
    args = argparse.Namespace(split=None, skip_bad=False, labels_only=False)
    assert " localize --model MODEL /nowhere/" in following_command(Findings(hovering(), Faults()), "folder:desk", args)
    assert " map " in following_command(Findings(made_track(walk(300)), Faults()), "folder:desk", args)


def test_t17_a_single_image_and_no_training_frame_teach_nothing() -> None:
    assert says(made_track(walk(1))).startswith("nothing to learn: 1 usable image; a single training image: record")
    only_test = made_track(walk(30), splits=["test"] * 30)
    assert says(only_test).startswith(
        "nothing to learn: 30 usable images; no training frames: choose some with --split"
    )


def test_t17_a_set_without_test_frames_can_be_learnt_and_split() -> None:
    text = says(made_track(walk(300)))
    assert text == (
        "good: 300 usable images; no test frames: use --split blocks throughout (check, train, evaluate), or test on "
        "another recording of the place"
    )
    too_few = says(made_track(walk(12)))
    assert too_few.startswith("good: 12 usable images; no test frames: record another sequence to test on")
    whole = made_track(walk(300), splits=["train"] * 200 + ["test"] * 100)
    assert says(whole) == "good: 300 usable images"
