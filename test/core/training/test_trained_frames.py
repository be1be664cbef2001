"""A training says where it has not learnt its own frames."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from transposenet_core.geometry.pose import Pose, mean_pose
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.trained_frames import FRAMES, TrainedFrames, checked_after

POSES = [Pose([x, 0.0, 0.0], [np.cos(x / 20), 0.0, np.sin(x / 20), 0.0]) for x in np.linspace(-3, 3, 50).tolist()]


class Remembering(nn.Module):
    """Reads off its colour which frame it sees; returns the share `learnt` of the way from the mean pose to its own."""

    MEMORISES = False

    def __init__(self, learnt: float) -> None:
        super().__init__()
        self.learnt = learnt

    def forward(self, image_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        red_B = image_B3HW[:, 0].mean(dim=(1, 2))
        order = {round(float(v), 2): n for n, v in enumerate(normalised_reds())}
        x_B = [self.learnt * POSES[order[round(float(v), 2)]].position[0] for v in red_B]
        position = torch.tensor([[x, 0.0, 0.0] for x in x_B])
        orientation = torch.tensor([[np.cos(x / 20), 0.0, np.sin(x / 20), 0.0] for x in x_B])
        return {"position": position, "orientation": orientation}


def pixels() -> PosedPixels:
    image = torch.arange(50, dtype=torch.uint8)[:, None, None, None].expand(50, 3, 8, 8).contiguous()
    return PosedPixels(image, torch.zeros(50, 3), torch.zeros(50, 4))


def normalised_reds() -> torch.Tensor:
    return normalise(pixels().image_N3HW)[:, 0].mean(dim=(1, 2))


def trained() -> TrainedFrames:
    validator = SimpleNamespace(preprocessing=Preprocessing(8, (8, 8)), constant=mean_pose(POSES))
    training = [SimpleNamespace(pose=pose) for pose in POSES]
    data = SimpleNamespace(training=training, pixels=pixels(), validator=validator, scene=SimpleNamespace(name="yard"))
    return TrainedFrames.of([data], "units")  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("learnt", "early", "at_the_end"),
    [(0.95, False, False), (0.3, False, True), (0.0, False, True), (-1.0, True, True)],
)
def test_a_warning_names_frames_that_are_not_learnt(learnt: float, early: bool, at_the_end: bool) -> None:
    frames = trained()
    found = frames(Remembering(learnt))
    assert found.score == pytest.approx(2 * (1 - learnt), abs=0.02)
    for epoch, expected in ((9, early), (90, at_the_end)):
        warning = frames.warning(found, epoch, 90, steps=40)
        assert bool(warning) == expected
        if expected:
            assert f"not learnt after {epoch} of 90 epochs: on {FRAMES} of them" in warning
            assert f"{found.summary.median_m:.3g} units" in warning and "`transposenet check`" in warning


def test_few_frames_need_more_epochs() -> None:
    frames = trained()
    found = frames(Remembering(0.0))
    assert "90 epochs are 810 steps, a room takes 4000: set epochs=445, and check" in frames.warning(found, 90, 90, 9)
    assert "train longer (epochs=180), and check" in frames.warning(found, 90, 90, 50)


def test_it_is_looked_at_within_the_first_tenth_and_at_the_end() -> None:
    assert [epoch for epoch in range(1, 91) if checked_after(epoch, 90)] == [9, 90]
    assert [epoch for epoch in range(1, 20) if checked_after(epoch, 19)] == [1, 19]
    assert [epoch for epoch in range(1, 6) if checked_after(epoch, 5)] == [5]
