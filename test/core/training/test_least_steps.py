"""Few training frames: more epochs, so that a network gets its steps."""

import math
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.least_steps import stretched_sentence, with_least_steps
from transposenet_core.training.optimization import rate_factor


def scene(frames: int) -> Scene:
    pose = Pose([0, 0, 0], [1, 0, 0, 0])
    images = [PosedImage(f"{n}.png", Path("/nowhere"), pose, "train", "a", float(n)) for n in range(frames)]
    return Scene("few", [*images, replace(images[0], split="val")])


@given(st.integers(1, 2000), st.integers(1, 64), st.integers(0, 5000), st.integers(1, 300))
def test_there_are_as_many_steps_as_asked_for_and_no_epoch_too_many(
    frames: int, batch: int, least: int, epochs: int
) -> None:
    config = TrainConfig(epochs=epochs, batch_size=batch, least_steps=least)
    steps = math.ceil(frames / batch)
    stretched = with_least_steps(config, [scene(frames)])
    assert stretched.epochs * steps >= least
    assert stretched.epochs == epochs or (stretched.epochs - 1) * steps < least
    assert (stretched == config) == (epochs * steps >= least) == (stretched_sentence(config, stretched) == "")


def test_the_schedule_is_stretched_with_the_epochs() -> None:
    config = TrainConfig(epochs=90, batch_size=16, least_steps=3600, validate_every=5)
    config = replace(config, schedule=replace(config.schedule, kind="cosine", warmup_epochs=2))
    stretched = with_least_steps(config, [scene(40)])
    assert (stretched.epochs, stretched.validate_every) == (1200, 67)
    for share in (0.0, 0.01, 0.3, 0.7, 1.0):
        rates = [rate_factor(share * each.epochs, each.epochs, each.schedule) for each in (config, stretched)]
        assert math.isclose(*rates, abs_tol=2e-3)
