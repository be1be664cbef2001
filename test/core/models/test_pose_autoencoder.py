"""Camera pose auto-encoder: its inputs, the gradient through frozen heads, positions refined among training poses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.models import build_model, default_options, describe_option, names_where
from transposenet_core.models.affine_refinement import combined_position, pose_distance
from transposenet_core.models.pose_autoencoder import PoseAutoencoder, fourier_features
from transposenet_core.training.autoencoder.training import AutoencoderLoss
from transposenet_core.training.config import TrainConfig

SMALL = {"layers": 1, "heads": 2, "width": 32, "mlp_width": 32, "head_width": 64}
SIZE = (32, 48)
NARROW = {"encoder_layers": 1, "decoder_layers": 1, "heads": 2, "width": 32, "mlp_width": 32, "head_width": 64}
SEVERAL = {"teacher": "multiscene_transformer", "teacher_options": {**NARROW, "scenes": 2}}


def poses(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    orientation = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1)
    return torch.randn(count, 3, generator=generator), orientation


def autoencoder(count: int = 12, **options: object) -> PoseAutoencoder:
    """Random weights, `count` random training poses."""
    torch.manual_seed(0)
    given_options = {"image_size": SIZE, "teacher_options": SMALL, "poses": count, "neighbours": 3, "ridge": 0.1}
    network = build_model("pose_autoencoder", **{**given_options, **options}).eval()
    assert isinstance(network, PoseAutoencoder)
    network.positions_N3[:], network.orientations_N4[:] = poses(count)
    return network


def test_shapes_and_the_papers_layers() -> None:
    network = autoencoder(decoder=True)
    position, orientation = poses(5)
    latents = network.latents(position, orientation)
    assert latents["position_latent"].shape == latents["orientation_latent"].shape == (5, 32)
    for encoder, inputs in ((network.position_encoder, 39), (network.orientation_encoder, 52)):
        linear = [m for m in encoder.mlp if isinstance(m, torch.nn.Linear)]
        assert [m.in_features for m in linear] == [inputs, 64, 128, 256] and linear[-1].out_features == 32
    decoder = [m.out_features for m in network.decoder if isinstance(m, torch.nn.Linear)]
    assert decoder == [512, 1024, 2048, 3 * 64 * 64]
    drawn = network.render(position, orientation)
    assert drawn.shape == (5, 3, 64, 64) and 0 <= drawn.min() and drawn.max() <= 1
    torch.testing.assert_close(network.render(position, -orientation), drawn)
    output = network(torch.rand(2, 3, *SIZE), with_attention=True)
    assert output["position"].shape == (2, 3) and output["position_attention"].shape == (2, 2, 3)
    # The paper's widths: a teacher with latents of 256
    assert build_model("pose_autoencoder", image_size=SIZE).position_encoder.mlp[-1].out_features == 256
    assert all(describe_option("pose_autoencoder", name) for name in default_options("pose_autoencoder"))


def test_fourier_features_are_the_value_and_six_octaves() -> None:
    features = fourier_features(torch.tensor([[0.3, -1.0]]))
    assert features.shape == (1, 26)
    torch.testing.assert_close(features[0, :2], torch.tensor([0.3, -1.0]))
    expected = [f(2.0**k * 0.3) for k in range(6) for f in (np.sin, np.cos)]
    np.testing.assert_allclose(features[0, 2::2].numpy(), expected, atol=1e-6)


def test_positions_are_normalised_per_scene_and_the_scene_is_part_of_a_pose() -> None:
    """The same place in the middle of either scene differs by the scene."""
    several = autoencoder(**SEVERAL, centres=[[0.0, 0, 0], [1000.0, 2000, 3000]], scales=[2.0, 50.0])
    assert several.position_encoder.mlp[0].in_features == 4 * 13
    place = torch.tensor([[1.0, 0, 0], [1025.0, 2000, 3000]])
    seen: list[torch.Tensor] = []
    several.position_encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    latents = several.position_latents(place, torch.tensor([0, 1]))
    torch.testing.assert_close(seen[0], torch.tensor([[0.5, 0, 0, -1], [0.5, 0, 0, 1]]))
    assert not torch.allclose(latents[0], latents[1])


def test_gradients_go_through_the_frozen_heads_and_leave_them_alone() -> None:
    network = autoencoder().train()
    assert not network.teacher.training and network.position_encoder.training
    before = {name: value.clone() for name, value in network.teacher.state_dict().items()}
    learnt = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learnt, lr=1e-2)
    position, orientation = poses(4, seed=3)
    output = network.teacher.regress(network.latents(position, orientation))  # the pose loss alone, no MSE of latents
    loss = (output["position"] - position).norm(dim=-1).mean() + (output["orientation"] - orientation).norm(
        dim=-1
    ).mean()
    loss.backward()
    reached = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {name for name, p in network.named_parameters() if "_encoder.mlp" in name}
    optimizer.step()
    for name, value in network.teacher.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


SMALLEST: dict[str, tuple[dict, tuple[int, int]]] = {
    "posenet": ({"feature_width": 64}, (72, 80)),
    "poselstm": ({"feature_width": 64}, (72, 80)),
    "bayesian_posenet": ({"feature_width": 64, "samples": 12}, (72, 80)),
    "multiscene_transformer": (NARROW, SIZE),
    "coarse_to_fine": (NARROW, SIZE),
}


@pytest.mark.parametrize("teacher", names_where(lambda model: model.HAS_LATENTS))
def test_every_teacher_regresses_from_its_latents_and_passes_the_gradient(teacher: str) -> None:
    options, size = SMALLEST.get(teacher, (SMALL, SIZE))
    network = autoencoder(teacher=teacher, teacher_options=options, image_size=size, neighbours=0)
    image = torch.rand(2, 3, *size)
    with torch.no_grad():
        output, alone = network(image, with_attention=True), network.teacher(image)
    for name in {"position", "orientation", "covariance"} & set(alone):
        torch.testing.assert_close(output[name], alone[name], rtol=0, atol=1e-6)
    position, orientation = poses(4)
    # Another latent in one half changes only that half of the output: the halves are independent.
    latents = {name: value.detach() for name, value in network.latents(position, orientation).items()}
    moved = network.teacher.regress({**latents, "position_latent": latents["position_latent"] + 1})
    kept = network.teacher.regress(latents)
    torch.testing.assert_close(moved["orientation"], kept["orientation"], rtol=0, atol=0)
    assert (moved["position"] - kept["position"]).norm(dim=-1).min() > 1e-4
    target = {**latents, "scene": torch.zeros(4, dtype=torch.int64)}
    AutoencoderLoss(TrainConfig(), network)(network, target, position, orientation)["loss"].backward()
    for encoder in (network.position_encoder, network.orientation_encoder):
        gradients = [p.grad for p in encoder.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients) and any(g.any() for g in gradients)
    assert all(p.grad is None for p in network.teacher.parameters())


def test_the_pose_loss_takes_the_sign_of_the_teachers_output() -> None:
    """A teacher of several scenes returns q or -q, with the sign of its cluster centres."""
    network = autoencoder(**SEVERAL, centres=[[0.0, 0, 0]] * 2, scales=[1.0, 1.0]).eval()
    position, orientation = poses(6)
    target = network.latents(position, orientation, torch.arange(6) % 2)
    network.teacher.regress = lambda _: {"position": position, "orientation": -orientation}
    loss = AutoencoderLoss(TrainConfig(), network)
    for sign in (1, -1):
        assert loss(network, target, position, sign * orientation)["orientation"] < 1e-6


def test_without_neighbours_it_returns_its_teachers_pose() -> None:
    network, image = autoencoder(neighbours=0), torch.rand(3, 3, *SIZE)
    alone, refined = network.teacher(image), autoencoder()(image)
    for name in ("position", "orientation"):
        torch.testing.assert_close(network(image)[name], alone[name], rtol=0, atol=0)
    torch.testing.assert_close(refined["orientation"], alone["orientation"], rtol=0, atol=0)
    assert (refined["position"] - alone["position"]).norm(dim=-1).min() > 1e-3


def test_a_latent_that_is_a_combination_gives_the_combined_position() -> None:
    network = autoencoder(ridge=1e-9)
    near = torch.tensor([2, 5, 7])
    weights = torch.tensor([0.6, 0.7, -0.3])
    latents = network.position_latents(network.positions_N3[near], torch.zeros(3, dtype=torch.int64))
    first = network.positions_N3[near].mean(dim=0)
    network.teacher.regress = lambda _: {"position": first[None], "orientation": network.orientations_N4[near[:1]]}
    network.positions_N3[[i for i in range(12) if i not in near]] += 100
    output = network.poses_from_latents({"position_latent": (weights @ latents)[None]})
    torch.testing.assert_close(output["position"][0], weights @ network.positions_N3[near], atol=1e-3, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.01, 100))
def test_the_refined_position_moves_with_the_map_and_ignores_the_order(seed: int, count: int, ridge: float) -> None:
    """Weights add up to 1, so a translated map translates the output; far from its origin, too."""
    generator = torch.Generator().manual_seed(seed)
    latent, near = torch.randn(2, 8, generator=generator), torch.randn(2, count, 8, generator=generator)
    place = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    found = combined_position(latent, near, place, ridge)
    translation = torch.tensor([5e5, -4e6, 30.0], dtype=torch.float64)
    torch.testing.assert_close(
        combined_position(latent, near, place + translation, ridge), found + translation, rtol=0, atol=1e-5
    )
    order = torch.randperm(count, generator=generator)
    again = combined_position(latent, near[:, order], place[:, order], ridge)
    torch.testing.assert_close(again, found, rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50))
def test_pose_distance_is_what_it_says(seed: int, scale: float) -> None:
    (p, q), (known_p, known_q) = poses(1, seed), poses(6, seed + 1)
    found = pose_distance(p, q, known_p, known_q, torch.tensor([scale]))[0].numpy()
    angles = np.radians(rotation_angle_deg(q.numpy(), known_q.numpy()))
    expected = (np.linalg.norm(p.numpy() - known_p.numpy(), axis=1) / scale) ** 2 + 4 * np.sin(angles / 4) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_a_scene_of_few_poses_has_no_more_neighbours_than_those() -> None:
    several = autoencoder(12, **SEVERAL, centres=[[0.0, 0, 0]] * 2, scales=[1.0, 1.0], neighbours=10, ridge=100.0)
    several.scenes_N[9:] = 1
    several.positions_N3[:9], several.positions_N3[9:] = torch.tensor([1.0, 0, 0]), torch.tensor([500.0, 0, 0])
    assert several.eval().most_neighbours == 3
    found = several.poses_from_latents(several.teacher.encode(torch.rand(2, 3, *SIZE), scene_B=torch.tensor([1, 0])))[
        "position"
    ]
    torch.testing.assert_close(found[:, 0], torch.tensor([500.0, 1.0]), atol=1e-3, rtol=0)


def test_neighbours_are_of_the_scene_that_was_found() -> None:
    network = autoencoder(12, **SEVERAL, centres=[[0.0, 0, 0]] * 2, scales=[1.0, 1.0], ridge=100.0)
    network.scenes_N[6:] = 1
    network.positions_N3[:6], network.positions_N3[6:] = torch.tensor([1.0, 0, 0]), torch.tensor([9.0, 0, 0])
    latents = network.teacher.encode(torch.rand(2, 3, *SIZE))
    found = network.poses_from_latents({**latents, "scene": torch.tensor([1, 0])})["position"]
    torch.testing.assert_close(found[:, 0], torch.tensor([9.0, 1.0]), atol=1e-4, rtol=0)


def test_an_output_that_is_not_finite_raises_nothing() -> None:
    """The localizer names it: `non_finite_output`."""
    network = autoencoder()
    latents = network.teacher.encode(torch.rand(2, 3, *SIZE))
    latents["position_latent"][1] = torch.nan
    output = network.poses_from_latents(latents)["position"]
    assert output[0].isfinite().all() and not output[1].isfinite().any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"teacher": "retrieval", "teacher_options": {}}, "model 'retrieval' has no latents of position and orient"),
        ({"teacher": "scene_coordinates", "teacher_options": {}}, "cannot be a teacher; use one of .*transposenet"),
        ({"teacher": "pose_autoencoder", "teacher_options": {}}, "model 'pose_autoencoder' has no latents"),
        ({"scales": [1.0, 1.0], "centres": [[0.0, 0, 0]] * 2}, "are of 2 scenes, the teacher has 1"),
        ({"neighbours": -2}, "neighbours is -2, a whole number from -1 to 1000"),
        ({"ridge": -1.0}, r"ridge is -1.0, a number from 0 to 1e.06"),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(options: dict, sentence: str) -> None:
    with pytest.raises((UserError, ValueError), match=sentence):
        autoencoder(**options)


def test_which_models_have_latents() -> None:
    names = names_where(lambda model: model.HAS_LATENTS)
    assert {"transposenet", "transposenet_fast", "multiscene_transformer", "coarse_to_fine"} <= set(names)
    assert {"posenet", "poselstm", "bayesian_posenet"} <= set(names)
    assert not {"retrieval", "scene_coordinates", "pose_autoencoder"} & set(names)
    with pytest.raises(ValueError, match="no decoder"):
        autoencoder().render(*poses(1))
