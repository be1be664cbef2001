"""Scene coordinates: cells look along the right rays, their points give the pose, and it runs as any scene model."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_scene import write_small_scene
from some_labels import labels
from training_runs import ROOT
from untrained import HELD_OUT, one_scene

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.geometry.covariance import position_sigma, scaled
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options
from transposenet_core.models.one_image_cells import one_image_cells
from transposenet_core.models.scene_coordinates import LOG_SCALES, UNITS, rays
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import Calibration, SceneModel
from transposenet_core.training.losses.points import SceneCoordinateLoss

evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]
CAMERA = (60.0, 62.0, 39.5, 31.5)
SIZE = (64, 80)


SMALL = {"image_size": SIZE, "camera": CAMERA, "layers": 1, "width": 32, "mlp_width": 32}


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model("scene_coordinates", **SMALL)


def test_without_intrinsics_it_is_refused() -> None:
    assert default_options("scene_coordinates")["camera"] is None
    with pytest.raises(ValueError, match="need the camera's intrinsics"):
        build_model("scene_coordinates")


def test_cells_cover_the_image_evenly() -> None:
    cells = small().cells()
    assert cells.shape == (8 * 10, 2)
    np.testing.assert_allclose(cells.mean(dim=0), [(80 - 1) / 2, (64 - 1) / 2])
    np.testing.assert_allclose(cells[1] - cells[0], [8, 0])
    # The ray through the principal point is the optical axis.
    np.testing.assert_allclose(rays(torch.tensor([[39.5, 31.5]]), CAMERA), [[0, 0, 1]])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((0.0, 0.4, 2.0, 30.0)), st.floats(0.1, 3.0))
def test_one_image_in_numpy_gives_what_torch_gives(seed: int, typical_depth: float, spread: float) -> None:
    network = build_model("scene_coordinates", **SMALL | {"typical_depth": typical_depth}).eval()
    generator = torch.Generator().manual_seed(seed)
    numbers = spread * torch.randn(1, 80, 6, generator=generator)
    expected = (cells := network._cells(numbers)) | network.pose(cells)
    found = network.finished({"numbers": numbers})
    assert {name: tensor.dtype for name, tensor in found.items()} == {k: v.dtype for k, v in expected.items()}
    for name in ("points", "depth", "log_scale", "depth_log_scale"):
        # Far outside of the scene, contraction multiplies the rounding of float32.
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)
    one = one_image_cells(
        numbers[0].numpy(), network.contraction, UNITS, LOG_SCALES, np.zeros(3), network.ray_cells_N3.numpy()
    )
    for measured, wanted in zip(
        (one.p_camera_N3, one.variance_N, one.ray_variance_N), network._measured(cells), strict=True
    ):
        np.testing.assert_allclose(measured, wanted[0], rtol=1e-3, atol=1e-4)


def test_outputs_and_gradients() -> None:
    network = small()
    image = torch.rand(2, 3, *SIZE)
    output = network.eval()(image)
    assert output["points"].shape == (2, 80, 3) and output["depth"].shape == (2, 80)
    assert torch.linalg.eigvalsh(output["covariance"]).min() > 0 and output["covariance"].shape == (2, 6, 6)
    assert output["position"].shape == (2, 3) and output["orientation"].shape == (2, 4)
    np.testing.assert_allclose(output["orientation"].detach().norm(dim=-1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="the camera is for"):
        network(torch.rand(1, 3, 96, 96))
    output = network.train()(image)
    assert "position" not in output
    loss = SceneCoordinateLoss(network)
    terms = loss(output, labels(torch.zeros(2, 3), torch.tensor([[1.0, 0, 0, 0]] * 2), torch.full((2, *SIZE), 2.0)))
    terms["loss"].backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not without
    assert tuple(terms) == loss.TERMS


def test_true_cells_give_the_true_pose_and_no_loss() -> None:
    """The output of a perfect network in front of a slanted wall, computed in another way than in the loss."""
    network = small()
    rotation = Rotation.from_euler("xyz", [20, -35, 10], degrees=True)
    orientation = torch.tensor(rotation.as_quat(scalar_first=True), dtype=torch.float32)[None]
    position = torch.tensor([[1.0, -2.0, 0.5]])
    columns, rows = np.meshgrid(np.arange(80), np.arange(64))
    depth_HW = 2 + 0.01 * columns + 0.02 * rows
    cells = network.cells().round().long().numpy()
    z = depth_HW[cells[:, 1], cells[:, 0]]
    in_camera = z[:, None] * rays(network.cells(), CAMERA).numpy()
    points = torch.tensor(rotation.apply(in_camera) + position.numpy(), dtype=torch.float32)[None]
    scales = torch.full((1, 80), -4.0)
    output = {"points": points, "contracted_points": points, "depth": torch.tensor(z, dtype=torch.float32)[None]}
    output |= {"log_scale": scales, "depth_log_scale": scales}
    pose = network.pose(output)
    np.testing.assert_allclose(pose["position"], position, atol=1e-4)
    assert rotation_angle_deg(pose["orientation"].numpy(), orientation.numpy())[0] < 1e-2
    loss = SceneCoordinateLoss(network)
    depth = torch.tensor(depth_HW, dtype=torch.float32)[None]
    terms = loss(output, labels(position, orientation, depth))
    assert terms["points"] < 1e-5 and terms["depth"] < 1e-5
    assert terms["loss"].item() == pytest.approx(-16, abs=1e-2)  # 3 s + s_z
    translated = output | {"contracted_points": points + torch.tensor([0.3, 0.0, 0.4])}
    assert loss(translated, labels(position, orientation, depth))["points"].item() == pytest.approx(0.5, abs=1e-5)
    half = depth.clone()
    half[:, :32] = 0  # unknown depth has no effect
    assert loss(output, labels(position, orientation, half))["loss"].item() == pytest.approx(-16, abs=1e-2)
    unknown = loss(translated, labels(position, orientation, torch.zeros_like(depth)))
    assert unknown["loss"].item() == 0


def test_it_is_a_scene_model_like_any_other(tmp_path: Path) -> None:
    options = {"image_size": list(SIZE), "camera": list(CAMERA), "layers": 1, "width": 32, "mlp_width": 32}
    network = build_model("scene_coordinates", **options).eval()
    model = SceneModel("scene_coordinates", options, Preprocessing(64, SIZE), network, one_scene("desk"))
    model.save(tmp_path / "model")
    image_HW3 = np.random.default_rng(0).integers(0, 255, (128, 160, 3), np.uint8)
    estimate = Localizer(tmp_path / "model").localize(image_HW3)
    with torch.inference_mode():
        expected = network(model.preprocessing(image_HW3))
    np.testing.assert_allclose(estimate.pose.position, expected["position"][0], atol=1e-4)
    with pytest.raises(UserError, match="has no option"):
        build_model("scene_coordinates", cameras=1)


def test_n12_cells_that_are_no_numbers_are_named_and_break_no_other_image(tmp_path: Path) -> None:
    network = small().eval()
    image = torch.rand(2, 3, *SIZE)
    expected = network(image)
    image[1] = torch.nan
    found = network(image)
    torch.testing.assert_close(found["orientation"][0], expected["orientation"][0])
    assert found["orientation"][1].isnan().all() and found["position"][1].isnan().all()
    network.out.bias.data.fill_(torch.nan)
    options = {"image_size": list(SIZE), "camera": list(CAMERA), "layers": 1, "width": 32, "mlp_width": 32}
    SceneModel("scene_coordinates", options, Preprocessing(64, SIZE), network, one_scene("desk")).save(tmp_path)
    estimate = Localizer(tmp_path, device="cpu").localize(np.zeros((64, 80, 3), np.uint8))
    assert (estimate.pose, estimate.localized, estimate.reason) == (None, False, "non_finite_output")


def test_a_frame_has_its_own_covariance_where_the_model_has_a_scale(tmp_path: Path) -> None:
    network = small().eval()
    options = {"image_size": list(SIZE), "camera": list(CAMERA), "layers": 1, "width": 32, "mlp_width": 32}
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    found = {}
    for name, scale in (("old", None), ("new", (90.0, 120.0))):
        calibration = {} if scale is None else {"scene_coordinates": Calibration(scale)}
        scenes = one_scene("desk", calibration=calibration)
        model = SceneModel("scene_coordinates", options, Preprocessing(64, SIZE), network, scenes)
        model.save(tmp_path / name)
        found[name] = Localizer(tmp_path / name, device="cpu").localize(image)
    np.testing.assert_allclose(found["old"].covariance_66, HELD_OUT.covariance_66())
    assert "the same for every frame" in found["old"].covariance_source
    with torch.inference_mode():
        own_66 = network(model.preprocessing(image))["covariance"][0].numpy()
    np.testing.assert_allclose(found["new"].covariance_66, scaled(own_66, (90.0, 120.0)), rtol=1e-2, atol=1e-3)
    np.testing.assert_array_equal(found["new"].covariance_66, found["new"].covariance_66.T)
    assert "the network's covariance of this frame" in found["new"].covariance_source


def test_images_of_another_place_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    scene = write_small_scene(tmp_path / "desk", frames=4)
    options = {"image_size": list(SIZE), "camera": list(CAMERA), "layers": 1, "width": 32, "mlp_width": 32}
    for largest, refused in ((1e-6, 8), (1e6, 0)):
        scenes = one_scene("desk", calibration={"scene_coordinates": Calibration((90.0, 120.0), largest)})
        model = SceneModel("scene_coordinates", options, Preprocessing(64, SIZE), small().eval(), scenes)
        model.save(tmp_path / "model")
        data = f"7scenes:{scene}"
        assert evaluate([str(tmp_path / "model"), "--data", data, "--other", data, "--device", "cpu"]) == 0
        printed = capsys.readouterr().out
        assert f"not localized {refused} of 8 frames of desk, another place: {refused / 8:.1%}" in printed
        assert ("localized 0 of 4 frames" in printed) == (refused > 0) and ("NEES" in printed) == (refused == 0)


def test_n10_n11_a_frame_it_is_less_sure_of_than_of_its_scene_is_not_localized(tmp_path: Path) -> None:
    network = small().eval()
    options = {"image_size": list(SIZE), "camera": list(CAMERA), "layers": 1, "width": 32, "mlp_width": 32}
    image = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)

    def estimate(largest: float | None) -> Estimate:
        scenes = one_scene("desk", calibration={"scene_coordinates": Calibration((90.0, 120.0), largest)})
        model = SceneModel("scene_coordinates", options, Preprocessing(64, SIZE), network, scenes)
        model.save(tmp_path / str(largest))
        return Localizer(tmp_path / str(largest), device="cpu").localize(image)

    free = estimate(None)
    sigma = float(position_sigma(free.covariance_66))
    below, above = estimate(0.99 * sigma), estimate(1.01 * sigma)
    assert (free.localized, above.localized, below.localized) == (True, True, False)
    assert (above.reason, above.explanation, below.reason) == ("", "", "out_of_scene")
    assert f"one sigma of its position is {sigma:.3f} m, 99% of {HELD_OUT.source} have at most" in below.explanation
    np.testing.assert_array_equal(below.covariance_66, free.covariance_66)
    np.testing.assert_array_equal(below.pose.position, free.pose.position)


def scaled_network(factor: float) -> torch.nn.Module:
    """The same weights in a scene that is `factor` times as large as one with a typical depth of 2."""
    torch.manual_seed(0)
    options = {"image_size": SIZE, "camera": CAMERA, "layers": 1, "width": 32, "mlp_width": 32}
    network = build_model("scene_coordinates", typical_depth=2 * factor, **options).eval()
    network.start_from(factor * torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0, 0, 0]))
    torch.manual_seed(1)
    torch.nn.init.normal_(network.out.weight, std=1.0)  # points from near to far
    return network


@settings(max_examples=6, deadline=None)
@given(st.floats(1e-2, 1e2))
def test_in_a_scene_of_another_scale_outputs_are_scaled_and_the_loss_is_the_same(factor: float) -> None:
    torch.manual_seed(2)
    image, z_HW = torch.rand(2, 3, *SIZE), 10 ** (2 * torch.rand(2, *SIZE))
    (one, small_scene), (other, large_scene) = (
        (network, {**network.eval()(image), **network.train()(image)}) for network in map(scaled_network, (1.0, factor))
    )
    for name, power in (("points", 1), ("depth", 1), ("position", 1), ("orientation", 0)):
        torch.testing.assert_close(large_scene[name], factor**power * small_scene[name], rtol=2e-3, atol=2e-3 * factor)
    position, orientation = torch.tensor([[1.0, 2.0, 2.5]] * 2), torch.tensor([[1.0, 0, 0, 0]] * 2)
    terms = SceneCoordinateLoss(one)(small_scene, labels(position, orientation, z_HW))
    scaled_terms = SceneCoordinateLoss(other)(large_scene, labels(factor * position, orientation, factor * z_HW))
    torch.testing.assert_close(scaled_terms["loss"], terms["loss"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scaled_terms["points"], factor * terms["points"], rtol=1e-4, atol=0)


def test_in_a_room_it_computes_what_it_did_before() -> None:
    """With a typical depth of 2 m and everything within 6 m nothing is scaled or contracted."""
    options = {"image_size": SIZE, "camera": CAMERA, "layers": 1, "width": 32, "mlp_width": 32}
    before = build_model("scene_coordinates", **options).eval()
    now = build_model("scene_coordinates", typical_depth=2.0, **options).eval()
    now.load_state_dict(before.state_dict())
    image = torch.rand(2, 3, *SIZE)
    for name, value in before(image).items():
        torch.testing.assert_close(now(image)[name], value, rtol=1e-4, atol=1e-5)


def test_far_points_decide_the_rotation_and_leave_the_position_to_near_ones() -> None:
    """A railing 3 units away in the lower half, a city 170 away above; the same contracted scale for all cells."""
    torch.manual_seed(0)
    network = build_model("scene_coordinates", image_size=SIZE, camera=CAMERA, typical_depth=5.0, width=32, layers=0)
    cells, ray_N3 = network.cells(), network.ray_cells_N3
    information = {}
    for name, far in (("railing", 3.0), ("city", 170.0)):
        z_N = torch.where(cells[:, 1] > 32, 3.0, far)
        scales = torch.full((1, len(z_N)), -2.0)
        output = {"points": (ray_N3 * z_N[:, None])[None], "depth": z_N[None]}
        pose = network.pose(output | {"log_scale": scales, "depth_log_scale": scales})
        information[name] = torch.linalg.inv(pose["covariance"][0])
    # From the upper half: hardly anything on the position any more, as much as ever on the rotation.
    position = [information[name][:3, :3].trace() for name in ("railing", "city")]
    given_position = [information[name][3:, 3:].trace() for name in ("railing", "city")]
    assert position[1] < 0.6 * position[0] and given_position[1] > 3 * given_position[0]
