"""Contraction of space: nothing changes nearby, far points come near, and a scene's scale does not matter."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.geometry.contraction import Contraction

REACHES = st.floats(1e-2, 1e3)
SEEDS = st.integers(0, 2**31)


def vectors(seed: int, reach: float) -> torch.Tensor:
    """(50, 3) in all directions, from a hundredth to five hundred times the reach away."""
    generator = torch.Generator().manual_seed(seed)
    away_N1 = reach * 10 ** (4.7 * torch.rand(50, 1, generator=generator, dtype=torch.float64) - 2)
    way_N3 = torch.nn.functional.normalize(torch.randn(50, 3, generator=generator, dtype=torch.float64), dim=-1)
    return away_N1 * way_N3


@settings(deadline=None)
@given(SEEDS, REACHES)
def test_expanding_is_the_inverse_and_the_direction_stays(seed: int, reach: float) -> None:
    space, p_N3 = Contraction(1.0, reach), vectors(seed, reach)
    contracted_N3 = space.contracted(p_N3)
    torch.testing.assert_close(space.expanded(contracted_N3), p_N3, rtol=1e-6, atol=0)
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(contracted_N3, p_N3), torch.ones(50).double())
    near_N = p_N3.norm(dim=-1) <= reach
    torch.testing.assert_close(contracted_N3[near_N], p_N3[near_N], rtol=1e-12, atol=0)
    assert contracted_N3.norm(dim=-1).max() < 2 * reach


@settings(deadline=None)
@given(SEEDS, REACHES, st.floats(1e-2, 1e2))
def test_a_scene_twice_as_large_is_contracted_to_twice_the_size(seed: int, reach: float, factor: float) -> None:
    p_N3 = vectors(seed, reach)
    one, other = Contraction(1.0, reach), Contraction(factor, factor * reach)
    torch.testing.assert_close(other.contracted(factor * p_N3), factor * one.contracted(p_N3), rtol=1e-9, atol=0)
    away_N = p_N3.norm(dim=-1)
    for ours, theirs in zip(one.stretch(away_N), other.stretch(factor * away_N), strict=True):
        torch.testing.assert_close(ours, theirs)


@settings(deadline=None)
@given(SEEDS, REACHES)
def test_the_stretch_is_that_of_small_steps(seed: int, reach: float) -> None:
    space, p_N3 = Contraction(1.0, reach), vectors(seed, reach)
    away_N1 = p_N3.norm(dim=-1, keepdim=True)
    along_N3 = p_N3 / away_N1
    across_N3 = torch.nn.functional.normalize(torch.linalg.cross(along_N3, torch.rand(3).double()[None]), dim=-1)
    for way_N3, stretch_N in zip((across_N3, along_N3), space.stretch(away_N1[:, 0]), strict=True):
        step_N = (space.contracted(p_N3 + 1e-4 * away_N1 * way_N3) - space.contracted(p_N3)).norm(dim=-1)
        torch.testing.assert_close(1e-4 * away_N1[:, 0] / step_N, stretch_N, rtol=1e-3, atol=0)


def test_gradients_are_finite_everywhere_and_nothing_overflows() -> None:
    space = Contraction(1.0, 4.0)
    p_N3 = torch.tensor([[0.0, 0, 0], [1e-20, 0, 0], [4.0, 0, 0], [1e6, 1e6, 1e6]], requires_grad=True)
    (space.expanded(p_N3).sum() + space.contracted(p_N3).sum()).backward()
    assert p_N3.grad is not None and p_N3.grad.isfinite().all()


def test_without_a_reach_nothing_changes() -> None:
    p_N3, space = vectors(1, 1.0), Contraction()
    assert math.isinf(space.reach) and space.expanded(p_N3) is p_N3 and space.contracted(p_N3) is p_N3
    assert [s.tolist() for s in space.stretch(torch.tensor([3.0]))] == [[1.0], [1.0]]
    assert Contraction(1.0, 2.0).contracted_depth(torch.tensor([1.0, 8.0])).tolist() == pytest.approx([1.0, 3.5])
