"""The stage that refines a network's estimate: when it is there, what it makes of an estimate, and when it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from core.refinement.room_views import error_of, off
from scene_with_keyframes import ERROR, room_keyframes
from textured_planes import ARC, CAMERA, ROOM, camera_at, render
from untrained import one_scene

from transposenet_core.errors import UserError
from transposenet_core.estimate import OUT_OF_SCENE, Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_core.refinement import Refiner
from transposenet_core.refinement_stage import REFINE, RefinementStage, refinement_of
from transposenet_core.scene_model import MappedScene
from transposenet_core.scene_model.keyframes import KeyframesFile

MODEL = Path("models/planes")
GROUND_TRUTH = camera_at((0.05, 0.02, 0.05), yaw_deg=1.0, pitch_deg=1.0)
BLACK_HW3 = np.zeros((120, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def scene() -> MappedScene:
    file = KeyframesFile.of(room_keyframes(ARC[::2]))
    (made,) = one_scene("planes", intrinsics=CAMERA, keyframes=file, refinement=ERROR)
    return made


@pytest.fixture(scope="module")
def stage(scene: MappedScene) -> RefinementStage:
    made = refinement_of(scene, "on", MODEL)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def image_HW3() -> np.ndarray:
    return render(ROOM, GROUND_TRUTH)[0]


@pytest.fixture
def estimate() -> Estimate:
    """The network's, some centimetres and a degree off."""
    pose = off(GROUND_TRUTH, np.random.default_rng(0), 0.06, 1.0)
    covariance_66 = np.diag(np.repeat(np.square([0.05, 0.02]), 3))
    return Estimate(pose, covariance_66, True, "", "planes", "map", covariance_source="the network's")


def lost(estimate: Estimate) -> Estimate:
    return replace(estimate, localized=False, reason=OUT_OF_SCENE, explanation="one sigma is too large")


def elsewhere(number: int) -> Pose:
    """A guess that looks at other parts of the room or at nothing."""
    return camera_at((1.5 - 1.5 * number, 0.2, -1.0), yaw_deg=40.0 + 130 * number)


def test_refine_on_without_keyframes_names_the_model_and_what_to_do(scene: MappedScene) -> None:
    none_left = replace(scene.keyframes, count=0)
    for lacking in (
        replace(scene, keyframes=None),
        replace(scene, keyframes=none_left),
        replace(scene, intrinsics=None),
    ):
        with pytest.raises(UserError) as raised:
            refinement_of(lacking, "on", MODEL)
        sentence = str(raised.value)
        assert sentence.startswith(f"{MODEL}: ") and "planes" in sentence and "transposenet keyframes" in sentence
        assert refinement_of(lacking, "auto", MODEL) is None
        assert refinement_of(lacking, "off", MODEL) is None


def test_refine_off_reads_no_keyframes_and_other_words_are_refused(scene: MappedScene, tmp_path: Path) -> None:
    missing = replace(scene, keyframes=KeyframesFile(3, "0" * 64, tmp_path / "missing.safetensors"))
    assert refinement_of(missing, "off", MODEL) is None
    with pytest.raises(UserError, match="missing.safetensors"):
        refinement_of(missing, "auto", MODEL)
    with pytest.raises(UserError, match="refine 'maybe' is unknown, allowed are: auto, on, off"):
        refinement_of(scene, "maybe", MODEL)
    assert set(REFINE) == {"auto", "on", "off"} and refinement_of(scene, "auto", MODEL) is not None


def test_a_confirmed_estimate_is_refined(stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray) -> None:
    found = stage.refined(estimate, image_HW3, [])
    assert found.refined and found.localized and found.pose is not None and estimate.pose is not None
    assert error_of(found.pose, GROUND_TRUTH)[0] < 0.01 < error_of(estimate.pose, GROUND_TRUTH)[0]
    assert found.unrefined is estimate and found.refinement_s > 0
    assert "keyframes agree" in found.refinement
    assert (found.scene, found.map_frame, found.units) == (estimate.scene, estimate.map_frame, estimate.units)
    # Of the matches and the error that was measured, not the network's.
    assert ERROR.source in found.covariance_source
    sigma_6 = np.sqrt(np.diag(found.covariance_66))
    assert (sigma_6[:3] > ERROR.position_std).all() and (sigma_6[3:] > ERROR.rotation_std).all()
    assert sigma_6.max() < 0.03
    np.linalg.cholesky(found.covariance_66)


def test_without_a_measured_error_the_networks_covariance_stays(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray
) -> None:
    found = replace(stage, error=None).refined(estimate, image_HW3, [])
    assert found.refined
    np.testing.assert_array_equal(found.covariance_66, estimate.covariance_66)
    assert found.covariance_source == "before refinement, the network's"


def test_an_estimate_out_of_scene_that_keyframes_confirm_is_localized(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray
) -> None:
    found = stage.refined(lost(estimate), image_HW3, [])
    assert found.refined and found.localized and found.reason == found.explanation == ""
    assert found.unrefined is not None and found.unrefined.reason == OUT_OF_SCENE


@pytest.mark.parametrize("size", [(160, 160), (120, 160), (200, 120)])
def test_r06_an_image_of_another_aspect_ratio_is_not_refined_and_says_so(
    stage: RefinementStage, estimate: Estimate, size: tuple[int, int]
) -> None:
    for before in (estimate, lost(estimate)):
        for candidates in ([], [GROUND_TRUTH]):
            found = stage.refined(before, np.zeros((size[1], size[0], 3), np.uint8), candidates)
            assert not found.refined and "aspect ratio" in found.refinement
            # One of several candidates, untried, is no more than a guess.
            assert found.localized == (before.localized and not candidates)
            assert found.reason == (before.reason or (OUT_OF_SCENE if candidates else ""))
            assert found.pose is before.pose and found.covariance_66 is before.covariance_66


def test_r06_the_same_image_at_another_size_is_refined(stage: RefinementStage, estimate: Estimate) -> None:
    camera = CAMERA.resized(2 * CAMERA.width, 2 * CAMERA.height)
    found = stage.refined(estimate, render(ROOM, GROUND_TRUTH, camera)[0], [])
    assert found.refined and found.pose is not None and error_of(found.pose, GROUND_TRUTH)[0] < 0.01


def test_r02_what_keyframes_do_not_confirm_stays_as_the_network_said(
    stage: RefinementStage, estimate: Estimate
) -> None:
    for before in (estimate, lost(estimate)):
        found = stage.refined(before, BLACK_HW3, [])
        assert not found.refined and found.refinement.startswith("not accepted: ") and found.unrefined is before
        assert (found.pose, found.localized, found.reason) == (before.pose, before.localized, before.reason)
        assert found.covariance_66 is before.covariance_66 and found.explanation == before.explanation


def test_r02_candidates_of_which_none_is_confirmed_are_out_of_scene(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray
) -> None:
    for shown_HW3, candidates in ((BLACK_HW3, [GROUND_TRUTH, elsewhere(0)]), (image_HW3, [elsewhere(0), elsewhere(1)])):
        found = stage.refined(estimate, shown_HW3, candidates)
        assert not found.localized and not found.refined and found.reason == OUT_OF_SCENE
        assert found.explanation.startswith("no keyframe confirms it")
        assert found.unrefined is estimate and found.pose is estimate.pose
        before = lost(estimate)
        assert stage.refined(before, shown_HW3, candidates).explanation == before.explanation


def test_the_candidate_that_keyframes_confirm_is_taken(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray
) -> None:
    wrong = replace(estimate, pose=elsewhere(1))
    near = off(GROUND_TRUTH, np.random.default_rng(1), 0.1, 4.0)
    found = stage.refined(wrong, image_HW3, [elsewhere(0), elsewhere(1), near])
    assert found.refined and found.localized and found.pose is not None
    assert error_of(found.pose, GROUND_TRUTH)[0] < 0.01
    # Without candidates the network's own pose is all there is to begin at.
    assert not stage.refined(wrong, image_HW3, []).refined


def test_predictions_that_are_far_off_by_their_own_covariance_are_rotated_first(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    real = stage.refiner.refine
    monkeypatch.setattr(stage.refiner, "refine", lambda *given: asked.append(given[3]) or real(*given))
    typical, sharp = stage.refiner.index.typical, np.repeat(np.square([0.01, 0.01]), 3)
    for wide_6 in (sharp, sharp + [0, np.square(0.1 * typical), 0, 0, 0, 0], sharp + [0, 0, 0, 0, 0, 0.1**2]):
        assert stage.refined(replace(estimate, covariance_66=np.diag(wide_6)), image_HW3, []).refined
    stage.refined(replace(estimate, covariance_66=np.diag(sharp)), image_HW3, [GROUND_TRUTH])
    assert asked == [False, True, True, True]


def test_an_image_of_another_camera_is_not_refined_and_a_guess_is_not_localized(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray
) -> None:
    """Keyframes would agree with a pose at a wrong distance."""
    assert stage.refined(estimate, image_HW3, [GROUND_TRUTH]).refined
    for candidates in ([], [GROUND_TRUTH]):
        found = stage.refined(estimate, image_HW3, candidates, same_camera=False)
        assert not found.refined and "another camera" in found.refinement and found.pose is estimate.pose
        assert found.localized == (not candidates) and found.reason == (OUT_OF_SCENE if candidates else "")


def test_a_network_that_states_no_error_at_all_is_refined_within_the_least_reach(
    stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray
) -> None:
    assert stage.refined(replace(estimate, covariance_66=np.zeros((6, 6))), image_HW3, []).refined


def test_several_threads_may_use_one_refiner(stage: RefinementStage, estimate: Estimate, image_HW3: np.ndarray) -> None:
    alone = stage.refined(estimate, image_HW3, [])
    fresh = replace(stage, refiner=Refiner(stage.refiner.keyframes))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fresh.refined(estimate, image_HW3, []), range(12)))
    assert alone.pose is not None
    for each in found:
        assert each.pose is not None
        np.testing.assert_array_equal(each.pose.matrix_44, alone.pose.matrix_44)
