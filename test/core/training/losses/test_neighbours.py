"""Neighbouring frames share a batch, and the loss includes their relative pose."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from some_labels import labels
from training_runs import arguments, figures, train

from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.training.batches import APART, batches, pairs
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.distributed import World
from transposenet_core.training.losses.neighbours import NeighboursLoss, relative
from transposenet_core.training.losses.pose import FixedWeightPoseLoss
from transposenet_core.training.stages import plan

WORLD = World(torch.device("cpu"))


@given(count=st.integers(2, 200), seed=st.integers(0, 1000))
def test_neighbours_are_a_third_of_a_second_apart_and_none_comes_twice(count: int, seed: int) -> None:
    pairs_M2 = pairs([count], torch.Generator().manual_seed(seed))
    assert set((pairs_M2[:, 1] - pairs_M2[:, 0]).tolist()) == {min(APART, count // 2)}
    assert len(pairs_M2.unique()) == pairs_M2.numel() and 0 <= int(pairs_M2.min()) and int(pairs_M2.max()) < count
    assert pairs_M2.numel() >= count - 4 * APART


@pytest.mark.parametrize("count", [2, 15, 21, 47])
def test_over_the_epochs_every_image_is_seen(count: int) -> None:
    seen = [b.index_B for epoch in range(40) for b in batches([count], 8, 0, epoch, WORLD, neighbours=True)]
    assert set(torch.cat(seen).tolist()) == set(range(count))


@pytest.mark.parametrize("count", [24, 61, 88])
def test_each_process_has_whole_pairs_of_the_same_batches(count: int) -> None:
    whole = [b for b in batches([count], 8, 1, 0, WORLD, neighbours=True) if b.total >= 4]  # a pair for each process
    shares = [list(batches([count], 8, 1, 0, World(torch.device("cpu"), rank, 2), neighbours=True)) for rank in (0, 1)]
    assert len(whole) > 1
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(torch.cat([part.index_B for part in parts]).tolist()) == sorted(batch.index_B.tolist())
        for each in (batch, *parts):
            first, second = each.index_B.chunk(2)
            assert ((second - first) == APART).all() and len(first) == len(second) > 0
            assert len(each.random_BK) == len(each.index_B)


def test_what_lies_between_is_the_motion_of_the_camera() -> None:
    rotations = Rotation.random(6, rng=0)
    positions_B3 = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    moved_P3, rotated_P4 = relative(positions_B3, torch.from_numpy(rotations.as_quat(scalar_first=True)))
    torch.testing.assert_close(moved_P3, positions_B3[3:] - positions_B3[:3])
    found = Rotation.from_quat(rotated_P4.numpy(), scalar_first=True)
    assert (found.inv() * (rotations[:3].inv() * rotations[3:])).magnitude() == pytest.approx(0, abs=1e-6)


def test_an_error_that_neighbours_share_costs_nothing_more_and_another_its_weight() -> None:
    loss = NeighboursLoss(FixedWeightPoseLoss(beta=10.0), weight=2.0)
    position_B3, orientation_B4 = torch.rand(4, 3), torch.eye(4)[:1].repeat(4, 1)
    both = {"position": position_B3 + torch.tensor([0.3, 0, 0]), "orientation": orientation_B4}
    terms = loss(both, labels(position_B3, orientation_B4))
    torch.testing.assert_close(
        [float(terms[k]) for k in ("loss", "relative_position", "relative_orientation")], [0.3, 0.0, 0.0]
    )
    one = both["position"].clone()
    one[:2] = position_B3[:2]
    terms = loss({**both, "position": one}, labels(position_B3, orientation_B4))
    torch.testing.assert_close(
        [float(terms[k]) for k in ("position", "relative_position", "loss")], [0.15, 0.3, 0.15 + 2 * 0.3]
    )


def test_it_trains_and_logs_the_relative_errors(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "loss.neighbours=1", "epochs=2", "heads.epochs=1")) == 0
    apart = figures(out, "train_relative_position")
    assert len(apart) == 2 and all(each > 0 for each in apart)


def test_t11_an_odd_batch_is_one_sentence() -> None:
    with pytest.raises(UserError, match="batch_size is 5, but loss.neighbours needs an even one"):
        load_config(None, ["loss.neighbours=1", "batch_size=5"])


def test_t11_a_pair_for_every_process_is_needed() -> None:
    with pytest.raises(UserError, match="batch_size is 8, .* each of 8 processes; use at least 16"):
        next(batches([100], 8, 0, 0, World(torch.device("cpu"), 0, 8), neighbours=True))


@pytest.mark.parametrize("name", ["coarse_to_fine", "retrieval"])
def test_t11_a_model_with_another_loss_is_refused(name: str) -> None:
    config = load_config(None, ["loss.neighbours=1", f"model.name={name}"])
    with pytest.raises(
        UserError, match=f"loss.neighbours is 1, but model '{name}' is not trained with .*; set it to 0"
    ):
        plan(config)[0].build_loss(config, build_model(name))


@pytest.mark.parametrize(("counts", "found"), [([8, 9], "2 scenes"), ([1], "one training frame")])
def test_t11_without_a_neighbour_there_is_one_sentence(counts: list[int], found: str) -> None:
    with pytest.raises(UserError, match=f"at least 2 training frames, found {found}"):
        next(batches(counts, 8, 0, 0, WORLD, neighbours=True))
