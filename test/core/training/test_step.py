"""One step: a bad one changes nothing, a clipped one is bounded, the moving average follows."""

import copy
import time

import pytest
import torch

from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.averaging import MovingAverage
from transposenet_core.training.batches import Batch, batches
from transposenet_core.training.checkpoint import State
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World
from transposenet_core.training.memory import fastest_batch_size
from transposenet_core.training.optimization import build_optimizer
from transposenet_core.training.stages import plan
from transposenet_core.training.step import TrainStep

WORLD = World(torch.device("cpu"))
TINY = {"layers": 1, "heads": 2, "width": 16, "mlp_width": 16, "head_width": 32, "image_size": (32, 32)}


def make_step(config: TrainConfig, pixels: PosedPixels) -> TrainStep:
    torch.manual_seed(0)
    network = build_model("transposenet", **TINY)
    stage = plan(config)[0]
    loss = stage.build_loss(config, network)
    state = State(network, loss, build_optimizer(network, loss, stage, config.optimizer, WORLD.device))
    return TrainStep(state, ScenePixels([pixels]), Preprocessing(32, (32, 32)), config, WORLD)


def make_pixels(count: int = 8) -> PosedPixels:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    orientation = torch.nn.functional.normalize(torch.rand(count, 4, generator=generator), dim=-1)
    return PosedPixels(image, torch.rand(count, 3, generator=generator), orientation)


def a_batch(count: int = 8) -> Batch:
    return next(batches([count], count, 0, 0, WORLD))


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_t05_a_step_on_a_broken_label_is_skipped_to_the_bit_and_counted(kind: str) -> None:
    pixels = make_pixels()
    step = make_step(load_config(None, [f"optimizer.kind={kind}"]), pixels)
    step(a_batch(), 1e-3)
    before = copy.deepcopy((step.network.state_dict(), step.loss.state_dict(), step.optimizer.state_dict()["state"]))
    good = pixels.position_N3[3, 0].clone()
    pixels.position_N3[3, 0] = float("nan")
    for expected in (1, 2):
        step(a_batch(), 1e-3)
        assert step.faults() == (expected, expected)
    pixels.position_N3[3, 0] = good
    after = (step.network.state_dict(), step.loss.state_dict(), step.optimizer.state_dict()["state"])
    for old, new in zip(before[:2], after[:2], strict=True):
        # Only the count of batches changes; nothing reads it.
        wrong = [k for k in old if not torch.equal(old[k], new[k]) and not k.endswith("num_batches_tracked")]
        assert wrong == []
    for index, moments in before[2].items():
        assert all(torch.equal(value, after[2][index][name]) for name, value in moments.items())
    step(a_batch(), 1e-3)
    assert step.faults() == (2, 0) and all(map(torch.isfinite, map(torch.tensor, step.means().values())))
    assert not torch.equal(before[1]["s_position"], step.loss.state_dict()["s_position"])


def test_clipping_bounds_the_gradient() -> None:
    norms = {}
    for clip in (0.0, 0.01):
        step = make_step(load_config(None, [f"optimizer.clip_norm={clip}"]), make_pixels())
        step(a_batch(), 1e-3)
        gradients = [p.grad for p in step.network.parameters()] + [p.grad for p in step.loss.parameters()]
        norms[clip] = float(torch.nn.utils.get_total_norm(gradients))
    assert norms[0.0] > 0.02 and norms[0.01] == pytest.approx(0.01, rel=1e-3)


def test_the_moving_average_is_the_formulas_and_follows_batch_statistics() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    average = MovingAverage(network, 0.5)
    expected = network[0].weight.detach().clone()
    for number in range(1, 6):
        with torch.no_grad():
            network[0].weight += 1
            network[1].running_mean += 1
        average.update(network)
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * network[0].weight.detach()
    torch.testing.assert_close(average.network[0].weight, expected)
    torch.testing.assert_close(average.network[1].running_mean, network[1].running_mean)


def test_an_epoch_is_every_image_once_in_a_seeded_order() -> None:
    first, again, other = (list(batches([21], 8, 3, epoch, WORLD)) for epoch in (0, 0, 1))
    assert [batch.total for batch in first] == [8, 8, 5]
    assert sorted(torch.cat([batch.index_B for batch in first]).tolist()) == list(range(21))
    assert all(
        torch.equal(a.index_B, b.index_B) and torch.equal(a.random_BK, b.random_BK) for a, b in zip(first, again)
    )
    assert not torch.equal(first[0].index_B, other[0].index_B)
    assert [batch.total for batch in batches([17], 8, 0, 0, WORLD)] == [8, 8]  # poor statistics over one image
    assert [batch.total for batch in batches([3], 1, 0, 0, WORLD)] == [1, 1, 1]  # unless that is what is asked for
    assert [batch.total for batch in batches([1], 8, 0, 0, WORLD)] == [1]


def test_processes_share_a_batch_without_loss_or_overlap() -> None:
    whole = list(batches([22], 8, 5, 2, WORLD))
    shares = [list(batches([22], 8, 5, 2, World(torch.device("cpu"), rank, 2))) for rank in (0, 1)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(torch.cat([part.index_B for part in parts]).tolist()) == sorted(batch.index_B.tolist())
        assert {part.total for part in parts} == {batch.total}
        torch.testing.assert_close(parts[0].random_BK, batch.random_BK[::2])


@pytest.mark.parametrize("count", range(2, 20))
@pytest.mark.parametrize("size", [2, 8])
def test_two_processes_have_one_processs_batches_and_never_an_empty_share(count: int, size: int) -> None:
    shares = [list(batches([count], size, 0, 0, World(torch.device("cpu"), rank, 2))) for rank in (0, 1)]
    assert [batch.total for batch in batches([count], size, 0, 0, WORLD)] == [part.total for part in shares[0]]
    assert all(len(part.index_B) > 0 for share in shares for part in share)


def test_auto_batch_takes_the_last_size_that_fits_and_is_worth_its_memory() -> None:
    """Sizes above 16 really ask for more memory than there is; a step takes a set time."""

    def step_of(seconds_per_image: float, seconds: float):
        def prepare(size: int):
            ballast = torch.empty(10**15 if size > 16 else 1, dtype=torch.uint8)
            return lambda: time.sleep(seconds_per_image * size + seconds * len(ballast))

        return prepare

    best, measured = fastest_batch_size(step_of(0, 0.01), [4, 8, 16, 32, 64])
    assert best == 16 and set(measured) == {4, 8, 16}
    best, measured = fastest_batch_size(step_of(0.02, 0), [4, 8, 16, 32, 64])
    assert best == 4 and set(measured) == {4, 8}  # twice the batch for twice the time
    with pytest.raises(UserError, match="not even 32 images fit"):
        fastest_batch_size(step_of(0, 0.01), [32, 64])
