"""The error of refined poses is measured on frames that the keyframes were not made of, and fitted to what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from core.refinement.textured_scene import sweep, textured_scene
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.preprocessing import read_image
from transposenet_core.refinement import Refinement, Refiner
from transposenet_core.scene import Scene
from transposenet_core.scene_model import Keyframes
from transposenet_core.training import refinement_error
from transposenet_core.training.keyframes import make_keyframes
from transposenet_core.training.refinement_error import BLOCKS, check_refinement, fitted, scene_keyframes

COUNT = 40


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    return textured_scene(tmp_path_factory.mktemp("planes"), sweep(COUNT), ["train"] * COUNT)


def with_splits(scene: Scene, splits: Sequence[str]) -> Scene:
    images = [replace(image, split=split) for image, split in zip(scene.images, splits, strict=True)]
    return replace(scene, images=images)


class Watched(Refiner):
    """Notes which images are refined against which keyframes."""

    seen: ClassVar[list[tuple[np.ndarray, np.ndarray]]] = []

    def refine(
        self, image_HW3: np.ndarray, camera: Intrinsics, predicted: Sequence[Pose], far: bool = False
    ) -> Refinement:
        self.seen.append((image_HW3, self.keyframes.positions_K3))
        return super().refine(image_HW3, camera, predicted, far)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    monkeypatch.setattr(Watched, "seen", [])
    monkeypatch.setattr(refinement_error, "Refiner", Watched)
    return Watched


def numbers_of(scene: Scene, seen: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[int, set[int]]]:
    """The refined frames' numbers, with those of the frames whose keyframes they were compared with."""
    images = [read_image(image.path) for image in scene.images]
    number_of = {tuple(image.pose.position): n for n, image in enumerate(scene.images)}
    return [
        (
            next(n for n, image in enumerate(images) if np.array_equal(image, image_HW3)),
            {number_of[tuple(position)] for position in positions_K3},
        )
        for image_HW3, positions_K3 in seen
    ]


def checked(scene: Scene) -> refinement_error.RefinementCheck:
    made = make_keyframes(scene, 100, 1, progress=False)
    assert made is not None
    return check_refinement(made, scene, seed=0, progress=False)


def test_without_held_out_frames_none_is_compared_with_its_own_block(scene: Scene, watched: type[Watched]) -> None:
    check = checked(scene)
    compared = numbers_of(scene, watched.seen)
    assert sorted(number for number, _ in compared) == list(range(COUNT))
    block = -(-COUNT // BLOCKS)
    for number, others in compared:
        # Its block has keyframes, and they are left out alone.
        assert len(others) > COUNT / 3 and {other // block for other in others} == set(range(BLOCKS)) - {
            number // block
        }
    assert check.tried == COUNT and check.error is not None
    assert "training frames" in check.error.source and str(check.summary.count) in check.error.source
    assert check.summary.median_m < 0.01 and check.summary.median_deg < 0.3
    assert check.error.position_std < 0.03 and check.error.rotation_std < 0.01
    sentence = check.sentence(40, "metres")
    assert f"of {check.summary.count} of 40 frames" in sentence and " m " in sentence
    assert "units" in check.sentence(40, "arbitrary")


def test_held_out_frames_are_refined_against_all_keyframes_and_test_frames_never(
    scene: Scene, watched: type[Watched]
) -> None:
    splits = [("train", "val", "val", "test", "val")[n % 5] for n in range(COUNT)]
    check = checked(with_splits(scene, splits))
    compared = numbers_of(scene, watched.seen)
    assert {splits[number] for number, _ in compared} == {"val"} and check.tried == splits.count("val") == 24
    training = {n for n, split in enumerate(splits) if split == "train"}
    assert all(others == training for _, others in compared)
    assert check.error is not None and "held-out frames" in check.error.source


def test_with_few_held_out_frames_the_training_frames_serve(scene: Scene, watched: type[Watched]) -> None:
    splits = ["val"] * 6 + ["test"] * 6 + ["train"] * (COUNT - 12)
    checked(with_splits(scene, splits))
    assert min(number for number, _ in numbers_of(scene, watched.seen)) == 12


def test_few_accepted_frames_state_no_error(scene: Scene) -> None:
    check = checked(with_splits(scene, ["train"] * 10 + ["test"] * (COUNT - 10)))
    assert check.error is None and check.summary.count == 0 and check.tried == 10
    assert "of 0 of 10 frames" in check.sentence(10, "metres")


def test_the_same_seed_gives_the_same_error(scene: Scene) -> None:
    small = with_splits(scene, ["train"] * 25 + ["left_out"] * 15)
    first, again = checked(small), checked(small)
    assert first.error == again.error and first.error is not None


def test_one_frame_cannot_be_checked_and_is_kept(scene: Scene) -> None:
    one = with_splits(scene, ["train"] + ["test"] * (COUNT - 1))
    kept, sentence = scene_keyframes(one, 10, 1, seed=0, progress=False)
    assert kept is not None and kept.file.count == 1 and kept.error is None
    assert sentence.startswith("1 keyframes: refined poses of 0 of 0 frames")


def test_a_scene_without_depth_says_so(scene: Scene) -> None:
    blind = replace(scene, depth_camera=None)
    assert scene_keyframes(blind, 10, 1, seed=0, progress=False)[0] is None
    assert "keyframes: none" in scene_keyframes(blind, 10, 1, seed=0, progress=False)[1]
    assert scene_keyframes(scene, 0, 1, seed=0, progress=False) == (None, "")


def test_poses_of_a_body_on_the_mount_become_the_cameras(scene: Scene) -> None:
    T_pose_camera = Pose([0.3, -0.2, 0.1], [0.5, -0.5, 0.5, -0.5])
    labelled = [replace(image, pose=image.pose @ T_pose_camera.inverse()) for image in scene.images[::13]]
    of_the_body = replace(scene, images=labelled, T_pose_camera=T_pose_camera)
    kept, _ = scene_keyframes(of_the_body, 10, 1, seed=0, progress=False)
    assert kept is not None
    keyframes: Keyframes = kept.file.load()
    np.testing.assert_allclose(keyframes.positions_K3, [image.pose.position for image in scene.images[::13]], atol=1e-9)


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 1000),
    st.sampled_from([0.5, 2.0, 12.0, 60.0]),
    st.sampled_from([1e-3, 0.02, 0.3]),
    st.sampled_from([5e-4, 5e-3, 0.05]),
)
def test_a_known_scale_and_floor_are_found(seed: int, scale: float, position_std: float, rotation_std: float) -> None:
    rng = np.random.default_rng(seed)
    # As sure as the floors, and 30 times less and more: else the errors tell nothing of scale or floor.
    size_N6 = 10 ** rng.uniform(-1.5, 1.5, (600, 1)) * np.repeat([position_std, rotation_std], 3) / np.sqrt(scale)
    A_N66 = size_N6[..., None] * (np.eye(6) + 0.3 * rng.normal(size=(600, 6, 6)))
    by_matches_N66 = A_N66 @ A_N66.transpose(0, 2, 1)
    true_N66 = scale * by_matches_N66 + np.diag(np.repeat(np.square([position_std, rotation_std]), 3))
    error_N6 = (np.linalg.cholesky(true_N66) @ rng.normal(size=(600, 6, 1)))[..., 0]
    found = fitted(error_N6, by_matches_N66, "made-up frames")
    assert found.source == "made-up frames"
    assert found.scale == pytest.approx(scale, rel=0.3)
    assert found.position_std == pytest.approx(position_std, rel=0.3)
    assert found.rotation_std == pytest.approx(rotation_std, rel=0.3)


def test_a_fitted_error_is_finite_whatever_the_errors() -> None:
    by_matches_N66 = np.tile(1e-6 * np.eye(6), (20, 1, 1))
    for error_N6 in (np.zeros((20, 6)), np.full((20, 6), 1e-12), 1e3 * np.ones((20, 6))):
        found = fitted(error_N6, by_matches_N66, "")
        numbers = (found.scale, found.position_std, found.rotation_std)
        assert np.isfinite(numbers).all() and min(numbers) > 0
        np.linalg.cholesky(found.covariance_66(by_matches_N66[0]))
