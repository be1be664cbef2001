"""TransPoseNet's options beyond the papers: 6-D rotation, positions in their own scale, rays, stochastic depth."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from some_labels import labels
from training_runs import arguments, train

from transposenet_core.geometry.rotation_6d import columns_of, orientation_from_columns
from transposenet_core.models import build_model
from transposenet_core.models.camera_rays import cell_centres, rays
from transposenet_core.models.layers import EncoderLayer
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.losses.pose import LearnedWeightPoseLoss, rotation_distance

TINY = {"layers": 2, "heads": 2, "width": 16, "mlp_width": 16, "head_width": 32, "image_size": (48, 64)}
CAMERA = (50.0, 55.0, 31.0, 24.0)
NUMBER = st.floats(-1, 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(NUMBER, min_size=4, max_size=4).filter(lambda q: sum(v * v for v in q) > 0.01), st.floats(0.1, 10))
def test_columns_and_back_are_the_same_rotation(numbers: list[float], scale: float) -> None:
    q = torch.nn.functional.normalize(torch.tensor([numbers], dtype=torch.float64), dim=-1)
    columns = columns_of(q)
    # Neither the length nor the second column's part along the first has an effect.
    columns = torch.cat((scale * columns[:, :3], columns[:, 3:] / scale + 0.7 * columns[:, :3]), dim=1)
    back = orientation_from_columns(columns)
    assert rotation_distance("sign_invariant", back, q).item() < 1e-9 and back[0, 0] >= 0


@pytest.mark.parametrize(
    "rotation", [(1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0), (0.5, 0.5, 0.5, 0.5)]
)
def test_the_gradient_through_6d_is_finite_and_reaches_all_six(rotation: tuple[float, ...]) -> None:
    columns = (columns_of(torch.tensor([rotation])) + 0.01 * torch.arange(6)).requires_grad_()
    label = torch.nn.functional.normalize(torch.tensor([[0.8, 0.1, -0.3, 0.5]]), dim=-1)
    rotation_distance("geodesic", orientation_from_columns(columns), label).sum().backward()
    assert torch.isfinite(columns.grad).all() and (columns.grad.abs() > 1e-4).all()


@pytest.mark.parametrize(
    "options",
    [
        {"rotation": "6d", "normalise_position": True, "drop_path": 0.2},
        {"position_encoding": "rays", "camera": CAMERA, "orientation_stride": 2, "latents": 4},
    ],
    ids=["6d", "rays"],
)
def test_each_starts_at_the_mean_pose_and_learns(options: dict) -> None:
    torch.manual_seed(0)
    model = build_model("transposenet", **TINY, **options)
    mean = torch.tensor([30.0, -20, 10]), torch.tensor([0.5, 0.5, -0.5, 0.5])
    model.start_from(*mean)
    model.scale_from(torch.tensor([[30.0, -20, 10], [34.0, -20, 10]]))
    image = torch.rand(4, 3, 48, 64)
    with torch.inference_mode():
        first = model.eval()(image)
    assert (first["position"] - mean[0]).norm(dim=-1).max() < 2
    assert rotation_distance("geodesic", first["orientation"], mean[1].expand(4, 4)).max() < 0.5
    loss = LearnedWeightPoseLoss()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=3e-3)
    position, orientation = mean[0] + torch.randn(4, 3), torch.nn.functional.normalize(torch.rand(4, 4), dim=-1)
    model.train()
    terms = []
    for _ in range(30):
        terms.append(loss(model(image), labels(position, orientation)))
        optimizer.zero_grad()
        terms[-1]["loss"].backward()
        optimizer.step()
    assert terms[-1]["position"] < 0.7 * terms[0]["position"]
    assert terms[-1]["orientation"] < 0.7 * terms[0]["orientation"]


def test_positions_come_out_in_metres_and_their_scale_is_in_the_scene_model(small_scene: Path, tmp_path: Path) -> None:
    options = ("model.options.normalise_position=true", "model.options.rotation=6d", "optimizer.kind=adamw")
    assert train(arguments(small_scene, tmp_path / "run", "epochs=1", *options)) == 0
    network = SceneModel.load(tmp_path / "run").network
    network.start_from(torch.tensor([500.0, 1, 2]), torch.tensor([1.0, 0, 0, 0]))
    positions = torch.randn(50, 3) * torch.tensor([3.0, 4, 0])
    network.scale_from(positions)
    spread = (positions - positions.mean(dim=0)).norm(dim=-1).square().mean().sqrt()
    torch.testing.assert_close(network.position_scale, spread)
    latent = torch.rand(1, network.latent_width)
    output = network.regress({"position_latent": latent, "orientation_latent": latent})["position"]
    expected = network.position_head(latent) * spread + torch.tensor([500.0, 1, 2])
    torch.testing.assert_close(output, expected)
    assert {"position_centre_3", "position_scale"} <= set(network.state_dict())
    network.scale_from(torch.ones(5, 3))  # a camera that only rotated
    assert network.position_scale > 0


def test_rays_are_those_of_the_cells_and_fit_one_size() -> None:
    model = build_model("transposenet", **TINY, position_encoding="rays", camera=CAMERA)
    encoding = model.orientation_encoder.position
    centres = cell_centres((48, 64), 3)
    assert centres.shape == (6 * 8, 2)
    torch.testing.assert_close(centres[8 + 2], torch.tensor([19.5, 11.5]))  # of pixels 16 to 23 and 8 to 15
    torch.testing.assert_close(encoding.rays_N3, rays(centres, CAMERA))
    torch.testing.assert_close(rays(torch.tensor([[81.0, 24.0]]), CAMERA), torch.tensor([[1.0, 0, 1]]))
    torch.testing.assert_close(encoding((6, 8))[1:], encoding.ray(encoding.rays_N3))
    torch.testing.assert_close(cell_centres((48, 64), 3, stride=2)[0], torch.tensor([7.5, 7.5]))
    assert not any("rays" in name for name in model.state_dict())
    with pytest.raises(ValueError, match="there are rays of 12"):
        model(torch.rand(1, 3, 96, 64))
    with pytest.raises(ValueError, match="needs the camera's intrinsics"):
        build_model("transposenet", **TINY, position_encoding="rays")


def test_a_dropped_path_is_a_whole_images_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(16, 2, 16, 0.0, 0.0, 0.0, drop_path=0.25)
    added = torch.rand(4000, 3, 16) + 1
    dropped = layer._dropped(added)
    kept = dropped.flatten(1).any(dim=1)
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.03)
    torch.testing.assert_close(dropped[kept], added[kept] / 0.75)
    assert torch.equal(layer.eval()._dropped(added), added)
    rates = [layer.drop_path for layer in build_model("transposenet", **TINY, drop_path=0.2).position_encoder.layers]
    assert rates == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rotation": "euler"}, "rotation is 'euler', one of quaternion, 6d is allowed"),
        ({"position_encoding": "sine"}, "position_encoding is 'sine', one of tables, rays is allowed"),
        ({"drop_path": 1.0}, "drop_path is 1.0, a number below 1"),
    ],
)
def test_t11_a_wrong_option_is_named(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_model("transposenet", **TINY, **options)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_few_queries_gather_what_keys_and_values_would_give(seed: int, rows: int, training: bool) -> None:
    torch.manual_seed(seed)
    layer = EncoderLayer(32, 4, 16, 0.0, 0.0, 0.0).train(training)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, position = torch.randn(2, 24, 32), torch.randn(24, 32)
    normed = layer.norm_attention(x)
    query, key = (layer._by_head(t) for t in layer.query_key(normed + position).chunk(2, dim=-1))
    value = layer._by_head(layer.value(normed))
    wanted = torch.nn.functional.scaled_dot_product_attention(query[:, :, :rows], key, value)
    torch.testing.assert_close(layer._attended_by_few(normed, normed + position, rows), wanted, rtol=1e-4, atol=1e-4)
    # All entries, whose attention is computed in the usual way, agree with the few.
    torch.testing.assert_close(layer(x, position, rows), layer(x, position)[:, :rows], rtol=1e-3, atol=1e-3)
