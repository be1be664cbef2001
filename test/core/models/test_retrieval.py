"""Retrieval: weights that explain the query, a memory that travels with the scene model, one epoch of memorising."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from overfit import arguments
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from training_runs import figures, train

from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options, describe_option
from transposenet_core.models.retrieval import affine_weights, thumbnails
from transposenet_core.preprocessing import normalise
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.validation import predict

SIZE = (72, 96)


def random_images(count: int, seed: int = 0) -> torch.Tensor:
    small = torch.rand(count, 3, 6, 8, generator=torch.Generator().manual_seed(seed)) * 255
    return normalise(torch.nn.functional.interpolate(small, SIZE, mode="bicubic").clamp(0, 255))


def poses(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    rotations = Rotation.from_rotvec(rng.normal(0, 0.4, (count, 3))).as_quat(scalar_first=True)
    return torch.from_numpy(rng.normal(size=(count, 3))).float(), torch.from_numpy(rotations).float()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(1e-3, 1))
def test_the_weights_are_the_constrained_minimum(seed: int, count: int, ridge: float) -> None:
    rng = np.random.default_rng(seed)
    query, near = rng.normal(size=8), rng.normal(size=(count, 8))
    found = affine_weights(torch.from_numpy(query)[None], torch.from_numpy(near)[None], ridge)[0].numpy()
    penalty = ridge * np.mean(np.sum((near - query) ** 2, axis=1))

    def cost(w: np.ndarray) -> float:
        return float(np.sum((query - w @ near) ** 2) + penalty * np.sum(w**2))

    assert found.sum() == pytest.approx(1)
    other = minimize(cost, np.full(count, 1 / count), constraints={"type": "eq", "fun": lambda w: w.sum() - 1})
    assert cost(found) <= cost(other.x) + 1e-6


def test_weights_at_the_edges() -> None:
    near = torch.eye(3, dtype=torch.float64)[None]
    exact = affine_weights(near[:, 1], near, 1e-6)[0]
    assert exact[1] > 0.999  # a neighbour that equals the query
    same = affine_weights(near[:, 0], near[:, :1].expand(1, 4, 3), 0.1)[0]
    torch.testing.assert_close(same, torch.full((4,), 0.25, dtype=torch.float64))  # all alike: none is preferred


def test_a_query_between_two_images_gets_the_pose_between_theirs() -> None:
    network = build_model("retrieval", image_size=SIZE, neighbours=2, ridge=1e-6).eval()
    position, rotation = torch.tensor([[0.0, 0, 0], [1, 2, 4]]), Rotation.from_euler("z", [[0], [40]], degrees=True)
    orientation = torch.from_numpy(rotation.as_quat(scalar_first=True)).float() * torch.tensor([[1.0], [-1]])
    network.memorise(random_images(2), position, orientation)
    first, second = network.descriptors_ND
    network.descriptor = lambda _: (0.25 * first + 0.75 * second)[None]
    output = network(random_images(1))
    torch.testing.assert_close(output["position"], 0.75 * position[1:], atol=1e-3, rtol=0)
    expected = Rotation.from_euler("z", 30, degrees=True).as_quat(scalar_first=True)
    assert rotation_angle_deg(output["orientation"][0].numpy(), expected) < 1.5  # the chordal mean, not the slerp
    assert sorted(output["neighbours"][0].tolist()) == [0, 1]


def test_one_neighbour_is_the_nearest_images_pose() -> None:
    network = build_model("retrieval", image_size=SIZE, neighbours=1).eval()
    images, (position, orientation) = random_images(9), poses(9)
    for part in torch.arange(9).split(4):
        network.memorise(images[part], position[part], orientation[part])
    output = network(images)
    torch.testing.assert_close(output["position"], position)
    assert rotation_angle_deg(output["orientation"].numpy(), orientation.numpy()).max() < 1e-3
    assert output["neighbours"][:, 0].tolist() == list(range(9))
    network.forget()
    with pytest.raises(ValueError, match="the memory holds no images"):
        network(images)


def test_a_thumbnail_does_not_depend_on_brightness_and_contrast() -> None:
    grey = random_images(4).mean(dim=1, keepdim=True).expand(-1, 3, -1, -1) * torch.tensor([0.224] * 3).view(1, 3, 1, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def descriptors(rgb: torch.Tensor) -> torch.Tensor:
        return thumbnails((rgb - mean) / std)

    plain, darker = descriptors(0.5 + grey), descriptors(0.3 + 0.5 * grey)
    torch.testing.assert_close((plain * darker).sum(dim=-1), torch.ones(4), atol=1e-3, rtol=0)
    assert (plain[0] @ plain[1]).abs() < 0.9 and plain.shape == (4, 3 * 24 * 32)
    assert all(describe_option("retrieval", name) for name in default_options("retrieval"))


def test_memorised_from_the_command_line_and_validated_as_it_runs(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments("retrieval", small_scene, out, "epochs=1", "model.options.neighbours=4")) == 0
    assert len(figures(out, "val_score")) == 1
    localizer, scene = Localizer(out, device="cpu"), load_scene(f"7scenes:{small_scene}")
    model = localizer.scene_model
    assert model.network.descriptors_ND.shape == (24, 2304)
    images = scene.select("train")
    running = [localizer.localize(read_image(image.path)).pose for image in images]
    assert np.median(pose_errors(running, [image.pose for image in images])[0]) < 0.2  # a step of the camera is 0.17 m
    images = scene.select("test")
    running = [localizer.localize(read_image(image.path)).pose for image in images]
    predicted = predict(model.network, load_pixels(images, model.preprocessing), model.preprocessing)
    for one, other in zip(running, predicted, strict=True):
        np.testing.assert_allclose(one.position, other.position, atol=1e-5)
    loaded = SceneModel.load(out)
    loaded.save(tmp_path / "again")
    for name, tensor in SceneModel.load(tmp_path / "again").network.state_dict().items():
        torch.testing.assert_close(tensor, model.network.state_dict()[name], rtol=0, atol=0)
    assert train(arguments("retrieval", small_scene, out, "epochs=1", "model.options.neighbours=4", "--resume")) == 0


def test_a_backbones_descriptors(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["epochs=2", "model.options.backbone=efficientnet-b0", "validate_every=2"]
    assert train(arguments("retrieval", small_scene, out, *more)) == 0
    network = SceneModel.load(out).network
    assert network.descriptors_ND.shape == (24, 320)  # two epochs, and each image once
    torch.testing.assert_close(network.descriptors_ND.norm(dim=-1), torch.ones(24))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["model.options.neighbours=0"], "neighbours is 0, a whole number from 1 to 1000"),
        (["model.options.ridge=0"], "ridge is 0, a number above 0 and at most"),
        (["ema_decay=0.9"], "memorises images, which does not work with ema_decay 0.9"),
        (["backbone.weights=FILE"], "has no backbone; set backbone.weights=none"),
        (["model.options.backbone=vgg"], "backbone is 'vgg', one of none, googlenet"),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], sentence: str
) -> None:
    assert train(arguments("retrieval", small_scene, tmp_path / "out", "epochs=1", *more)) == 2
    assert sentence in capsys.readouterr().err


def test_candidates_are_the_poses_of_the_nearest_images_and_change_no_other_output() -> None:
    image_N3HW, (position_N3, orientation_N4) = random_images(12), poses(12)
    plain, naming = (
        build_model("retrieval", image_size=SIZE, neighbours=4, candidates=count).eval() for count in (0, 7)
    )
    for network in (plain, naming):
        network.memorise(image_N3HW, position_N3, orientation_N4)
    without, found = plain(image_N3HW[3:5]), naming(image_N3HW[3:5])
    assert "candidate_position" not in without and found["candidate_position"].shape == (2, 7, 3)
    for name, value in without.items():
        torch.testing.assert_close(found[name], value, atol=0, rtol=0)
    torch.testing.assert_close(found["candidate_position"][:, 0], position_N3[3:5])
    torch.testing.assert_close(found["candidate_orientation"][:, 0], orientation_N4[3:5])
    torch.testing.assert_close(found["candidate_position"][:, :4], position_N3[found["neighbours"]])
