"""Errors that last: how much of them is new in each frame, and what a recording with such errors still decides."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_views import CAMERA, noisy, views, walk

from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.mapping.adjust import recorded
from transposenet_core.mapping.adjust.adjustment import AdjustOptions, adjust_tracks
from transposenet_core.mapping.adjust.bundle import Cameras
from transposenet_core.mapping.adjust.correlated_errors import KEPT, Chains
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.recorded import Recording


def process(kept: float, frames: int, seed: int) -> np.ndarray:
    """A first-order autoregressive process (N, 3) of standard deviation 1."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=3)]
    for _ in range(frames - 1):
        values.append(kept * values[-1] + np.sqrt(1 - kept**2) * rng.normal(size=3))
    return np.array(values)


def chains(frames: int, runs: int = 1) -> Chains:
    parts = np.array_split(np.arange(frames), runs)
    return Chains.of(parts, np.arange(frames) / 10, np.ones(frames, bool))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([0.0, 0.5, 0.82, 0.93, 0.975]), st.integers(0, 1000))
def test_what_lasts_is_found_and_what_is_new_is_independent(kept: float, seed: int) -> None:
    residual_N3 = process(kept, 900, seed)
    found = chains(900).most_likely(residual_N3)
    assert abs(np.log((1 - found) / (1 - kept))) < 0.9  # the next values of KEPT, where they are dense
    new_N3 = chains(900).innovations(residual_N3, kept)
    assert np.std(new_N3) == pytest.approx(1, rel=0.1)
    assert abs(np.mean(new_N3[1:] * new_N3[:-1])) < 0.1


def test_runs_begin_anew_and_left_out_frames_count_as_time() -> None:
    good_N = np.array([True, True, False, True, True, True])
    found = Chains.of([np.array([0, 1, 2, 3]), np.array([4, 5])], np.arange(6) / 10, good_N)
    assert found.before_K.tolist() == [-1, 0, 1, -1, 3]
    np.testing.assert_allclose(found.gap_K, [1, 1, 2, 1, 1])
    assert 0 in KEPT


def test_m01_clock_and_scale_follow_from_changes_where_errors_last() -> None:
    frames, rate = 400, 10.0
    at_N = np.arange(frames) / rate
    position_N3 = np.column_stack([2 * np.sin(0.4 * at_N), 1.5 * np.cos(0.7 * at_N), 0.1 * np.sin(at_N)])
    yaw_N = 0.8 * np.sin(1.1 * at_N)

    def pose(t: float, error_3: np.ndarray) -> Pose:
        place = np.array([np.interp(t, at_N, position_N3[:, k]) for k in range(3)])
        half = np.interp(t, at_N, yaw_N) / 2
        return Pose(1.04 * place + error_3, np.array([np.cos(half), 0, 0, np.sin(half)]))

    exact = [pose(t, -0.04 * p) for t, p in zip(at_N, position_N3, strict=True)]
    errors_N3 = 0.08 * process(0.97, frames, 3)
    late = [pose(t + 0.05, e) for t, e in zip(at_N, errors_N3, strict=True)]
    cameras = Cameras(stack(exact)[0], np.array([p.rotation_33 for p in exact]))
    recording = Recording(Cameras(stack(late)[0], np.array([p.rotation_33 for p in late])), [np.arange(frames)], at_N)
    model = recorded.fit(cameras, recording, np.ones(frames, bool), recording.spread)
    assert model.parameter_14[13] == pytest.approx(0.05, abs=0.01)
    assert model.scale == pytest.approx(1.04, abs=0.012)
    assert not model.parameter_14[recorded.LEVER].any() and not model.parameter_14[recorded.MOUNT].any()
    # Where the map is, the mean of all poses decides, not the first one.
    assert np.linalg.norm(np.mean(model.residual_N6[:, :3], axis=0)) < 0.01


@pytest.mark.parametrize("stated", ["option", "recording"])
def test_the_errors_that_are_stated_are_used(stated: str) -> None:
    walked = views(walk())
    images = walked.images(noisy(walked.poses, 0.05, 1.0))
    options = AdjustOptions(pose_sigma=(0.05, 1.0) if stated == "option" else None)
    if stated == "recording":
        covariance_66 = np.diag([0.05**2] * 3 + [np.radians(1.0) ** 2] * 3)
        images = [replace(image, covariance_66=covariance_66) for image in images]
    result = adjust_tracks(images, Lens.of(CAMERA), walked.found, options)
    assert result.sigma_source == {"option": "--pose-sigma", "recording": "the recording's covariances"}[stated]
    assert (result.position_sigma, result.rotation_sigma_deg) == pytest.approx((0.05, 1.0), rel=0.01)
    position_N3, exact_N3 = (stack(p)[0] for p in ([f.T_map_camera for f in result.sparse.frames], walked.poses))
    away_N3 = position_N3 - exact_N3
    assert np.median(np.linalg.norm(away_N3 - np.median(away_N3, axis=0), axis=1)) < 0.02
