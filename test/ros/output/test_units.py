"""A scene model in arbitrary units: refused, scaled, or published as it is with a warning; never passed for metres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import image_message
from test_configured_and_active import FAILURE, SUCCESS, localizer_node
from untrained import with_scene

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.scene_model import KnownFrames, SceneModel
from transposenet_ros.health import diagnostic_status
from transposenet_ros.output.units import UNSCALED, check_units, in_metres, in_scene_units, shown, units_note
from transposenet_ros.parameters import Parameters
from transposenet_ros.statistics import Snapshot

POSITIONS_N3 = np.arange(6.0).reshape(2, 3)


@pytest.fixture(scope="module")
def arbitrary(localizer: Localizer) -> SceneModel:
    frames = KnownFrames.trained_on(POSITIONS_N3, np.eye(4)[[0, 0]])
    return with_scene(localizer.scene_model, units="arbitrary", frames=frames)


@pytest.fixture(scope="module")
def arbitrary_folder(arbitrary: SceneModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arbitrary") / "terrace"
    arbitrary.save(folder)
    return folder


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {},
            "scene office of the model is in arbitrary units, which are not published as metres; set parameter 'scale'",
        ),
        ({"publish_unscaled": True, "tf_mode": "map_to_odom"}, "'publish_unscaled' is true with tf_mode map_to_odom"),
        ({"publish_unscaled": True, "publish_initialpose": "once"}, "publish_initialpose off, or set 'scale'"),
        ({"scale": 2.0}, ""),
        ({"scale": 2.0, "tf_mode": "map_to_odom"}, ""),
        ({"publish_unscaled": True}, ""),
    ],
)
def test_n46_arbitrary_units_are_refused_unless_they_are_scaled_or_meant(
    arbitrary: SceneModel, values: dict[str, Any], sentence: str
) -> None:
    if not sentence:
        check_units(Parameters(**values), arbitrary)
        return
    with pytest.raises(UserError, match=sentence):
        check_units(Parameters(**values), arbitrary)


def test_a_model_in_metres_takes_no_scale_and_two_units_no_single_one(
    localizer: Localizer, arbitrary: SceneModel
) -> None:
    check_units(Parameters(), localizer.scene_model)
    with pytest.raises(UserError, match="'scale' is 2, but office is in metres already"):
        check_units(Parameters(scale=2.0), localizer.scene_model)
    both = SceneModel(arbitrary.architecture, {}, arbitrary.preprocessing, arbitrary.network, arbitrary.scenes * 2)
    with pytest.raises(UserError, match="each of office, office has a unit of its own"):
        check_units(Parameters(scale=2.0), both)


def test_n46_pose_covariance_and_what_is_shown_are_scaled_together(arbitrary: SceneModel) -> None:
    (scene,), pose = arbitrary.scenes, Pose([1.0, 2.0, 3.0], [1, 0, 0, 0])
    covariance_66 = np.full((6, 6), 1.0) + np.eye(6)
    estimate = Estimate(pose, covariance_66, True, "", "office", "map", units="arbitrary")
    metric = in_metres(estimate, 2.0)
    assert metric.units == "metres" and metric.pose is not None
    np.testing.assert_allclose(metric.pose.position, [2, 4, 6])
    np.testing.assert_allclose(metric.covariance_66[:3, :3], 4 * covariance_66[:3, :3])
    np.testing.assert_allclose(metric.covariance_66[:3, 3:], 2 * covariance_66[:3, 3:])
    np.testing.assert_allclose(metric.covariance_66[3:, 3:], covariance_66[3:, 3:])
    assert in_metres(estimate, 0.0) is estimate and in_metres(metric, 2.0) is metric
    np.testing.assert_allclose(shown(scene, 2.0).training_positions_N3, 2 * POSITIONS_N3)
    np.testing.assert_allclose(shown(scene, 2.0).held_out_error.position_std, [0.2, 0.4, 0.6])
    assert shown(scene, 0.0) is scene
    np.testing.assert_allclose(in_scene_units(metric.pose, scene, 2.0).position, pose.position)
    assert units_note(Parameters(scale=2.0), arbitrary) == "metres, 2 a unit of the scene model"


def test_n46_the_node_refuses_scales_and_warns(
    arbitrary_folder: Path, arbitrary: SceneModel, localizer: Localizer, image_HW3: np.ndarray, domain: int
) -> None:
    offline = localizer.localize(image_HW3).pose
    assert offline is not None
    with localizer_node(domain, arbitrary_folder) as node:
        assert node.trigger_configure() == FAILURE
        assert "in arbitrary units, which are not published as metres" in node.fault
    with localizer_node(domain, arbitrary_folder, scale=2.0) as node:
        assert node.trigger_configure() == SUCCESS and node.trigger_activate() == SUCCESS
        assert node._active is not None and node._configured is not None
        frames = node._active.frame_localizer
        estimate, _ = frames.localize(frames.decode(image_message(image_HW3, 1.0)))
        assert estimate.pose is not None
        np.testing.assert_allclose(estimate.pose.position, 2 * offline.position, atol=1e-4)
        positions_N3 = node._configured.outputs.on_demand._scene.training_positions_N3
        np.testing.assert_allclose(positions_N3, 2 * POSITIONS_N3)
        assert node._node_state().warnings == () and "2 a unit" in str(node._node_state().notes["units"])
    with localizer_node(domain, arbitrary_folder, publish_unscaled=True) as node:
        assert node.trigger_configure() == SUCCESS
        status = diagnostic_status("localizer", node._node_state(), Snapshot(), Snapshot())
        assert {value.key: value.value for value in status.values}["units"] == UNSCALED
        assert node._node_state().warnings == (UNSCALED,)
