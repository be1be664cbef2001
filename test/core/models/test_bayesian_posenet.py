"""Bayesian PoseNet: mean and covariance of dropout samples, the same each time, also from the localizer."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import arguments, training_errors
from scipy.spatial.transform import Rotation
from some_labels import labels
from torch import nn
from training_runs import figures, train
from untrained import HELD_OUT, one_scene

from transposenet_core.estimate import LOST_VARIANCE
from transposenet_core.formats import load_scene
from transposenet_core.geometry.covariance import scaled
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options, describe_option
from transposenet_core.models.bayesian_posenet import FLOOR, SampledRegressor
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import Calibration, SceneModel
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.losses.pose import FixedWeightPoseLoss
from transposenet_core.training.validation import predict

SIZE = (72, 96)
SCALE = (150.0, 30.0)
IMAGE = np.random.default_rng(4).integers(0, 256, (72, 96, 3), np.uint8)


def small(**options: object) -> nn.Module:
    torch.manual_seed(0)
    return build_model("bayesian_posenet", image_size=SIZE, feature_width=64, **options)


def test_a_mask_is_dropouts() -> None:
    """With the same units dropped in PyTorch's own way, one by one."""
    torch.manual_seed(0)
    regressor = SampledRegressor(24, 64, 0.25)
    regressor.sample_masks(500)
    for mask, width in ((regressor.before_SC, 24), (regressor.after_SF, 64)):
        assert mask.shape == (500, width) and mask.unique().tolist() == pytest.approx([0, 1 / 0.75])
        assert (mask > 0).float().mean().item() == pytest.approx(0.75, abs=0.02)
    pooled = torch.rand(3, 24)
    position, orientation = regressor.sampled(pooled)
    assert position.shape == (3, 500, 3) and orientation.shape == (3, 500, 4)
    for sample in (0, 7, 499):
        hidden = regressor.feature(pooled * regressor.before_SC[sample]) * regressor.after_SF[sample]
        torch.testing.assert_close(position[:, sample], regressor.position(hidden))
    # The same spread as random dropout, within the accuracy of 500 samples of each.
    sampled = torch.stack([regressor.train()(pooled)[0] for _ in range(500)], dim=1)
    torch.testing.assert_close(sampled.std(dim=1), position.std(dim=1), rtol=0.25, atol=0)


def test_mean_and_covariance_are_those_of_the_samples() -> None:
    network = small(samples=30).eval()
    network.start_from(torch.tensor([3.0, -2, 1]), torch.tensor([0.5, 0.5, -0.5, 0.5]))
    with torch.no_grad():
        network.regressor.position.weight *= 20
        network.regressor.orientation.weight *= 20
    image = torch.rand(2, 3, *SIZE)
    with torch.inference_mode():
        output, again = network(image), network(image)
        pooled = network.backbone(image)["5b"].mean(dim=(2, 3))
        positions, orientations = (t.double().numpy() for t in network.regressor.sampled(pooled))
    for name, tensor in output.items():
        assert torch.equal(tensor, again[name])  # to the bit
    for index in range(2):
        np.testing.assert_allclose(output["position"][index], positions[index].mean(axis=0), atol=1e-5)
        rotations = Rotation.from_quat(orientations[index], scalar_first=True)
        mean = rotations.mean()
        assert rotation_angle_deg(output["orientation"][index].numpy(), mean.as_quat(scalar_first=True)) < 1e-3
        drawn = np.hstack((positions[index], (rotations * mean.inv()).as_rotvec()))
        away = drawn - np.r_[positions[index].mean(axis=0), 0, 0, 0]
        expected = away.T @ away / 29 + FLOOR**2 * np.eye(6)
        np.testing.assert_allclose(output["covariance"][index], expected, rtol=1e-3, atol=1e-9)
        assert np.linalg.eigvalsh(expected).min() >= FLOOR**2 * 0.99
    torch.manual_seed(99)  # other weights, the same masks: a scene model runs everywhere alike
    other = build_model("bayesian_posenet", image_size=SIZE, feature_width=64, samples=30)
    assert torch.equal(other.regressor.before_SC, network.regressor.before_SC)
    assert not [key for key in network.state_dict() if "before_SC" in key or "after_SF" in key]


def test_outputs_and_gradients() -> None:
    network = small(dropout=0.2)
    output = network.train()(torch.rand(4, 3, *SIZE))
    assert output["auxiliary_position"].shape == (4, 2, 3) and "covariance" not in output
    FixedWeightPoseLoss(500)(output, labels(torch.zeros(4, 3), torch.tensor([[1.0, 0, 0, 0]] * 4)))["loss"].backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all(describe_option("bayesian_posenet", name) for name in default_options("bayesian_posenet"))


def scene_model(folder: Path, network: nn.Module, crops: int = 1) -> Localizer:
    options = {"image_size": list(SIZE), "feature_width": 64}
    preprocessing = Preprocessing(90 if crops > 1 else 72, SIZE, crops)
    scenes = one_scene("desk", calibration={"bayesian_posenet": Calibration(SCALE)})
    SceneModel("bayesian_posenet", options, preprocessing, network, scenes).save(folder)
    return Localizer(folder, device="cpu")


@pytest.mark.parametrize("crops", [1, 4])
def test_the_localizer_returns_the_networks_own_covariance(tmp_path: Path, crops: int) -> None:
    localizer = scene_model(tmp_path / "model", small().eval(), crops)
    estimate, model = localizer.localize(IMAGE), localizer.scene_model
    with torch.inference_mode():
        expected = model.network(model.preprocessing(IMAGE))["covariance"].mean(dim=0)
    np.testing.assert_allclose(estimate.covariance_66, scaled(expected.numpy(), SCALE), rtol=1e-6)
    assert estimate.covariance_source.endswith(f"covariance of this frame, scaled to its error on {HELD_OUT.source}")
    assert not np.allclose(estimate.covariance_66, HELD_OUT.covariance_66())
    other = localizer.localize(255 - IMAGE)
    assert not np.allclose(other.covariance_66, estimate.covariance_66)  # each frame's own


def test_a_covariance_that_is_not_finite_is_no_estimate(tmp_path: Path) -> None:
    network = small().eval()
    with torch.no_grad():
        network.regressor.orientation.bias.fill_(torch.inf)
    estimate = scene_model(tmp_path / "model", network).localize(IMAGE)
    assert (estimate.pose, estimate.localized, estimate.reason) == (None, False, "non_finite_output")
    np.testing.assert_array_equal(estimate.covariance_66, LOST_VARIANCE * np.eye(6))


def test_samples_cost_little_beside_the_backbone() -> None:
    """40 samples share the backbone's pass; measured at the papers' 224 x 224: about 4 ms beside 70."""
    network = build_model("bayesian_posenet").eval()
    with torch.inference_mode():

        def seconds(function: object, given: torch.Tensor) -> float:
            times = []
            for _ in range(5):
                started = time.process_time()
                function(given)  # type: ignore[operator]
                times.append(time.process_time() - started)
            return sorted(times)[2]

        regressor = network.regressor
        whole = seconds(network, torch.rand(1, 3, 224, 224))
        samples = seconds(lambda pooled: regressor.poses_from_latents(pooled, pooled), torch.rand(1, 1024))
    assert samples < 0.5 * whole


@pytest.mark.long
def test_trained_from_the_command_line_and_validated_as_it_runs(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["epochs=2", "validate_every=1", "model.options.feature_width=64", "batch_size=24"]
    assert train(arguments("bayesian_posenet", small_scene, out, *more)) == 0
    assert len(figures(out)) == len(figures(out, "val_score")) == 2
    localizer, images = Localizer(out, device="cpu"), load_scene(f"7scenes:{small_scene}").select("test")[:3]
    model = localizer.scene_model
    assert (model.architecture, model.options["samples"]) == ("bayesian_posenet", 40)
    evaluated = predict(model.network, load_pixels(images, model.preprocessing), model.preprocessing)
    for image, pose in zip(images, evaluated, strict=True):
        running = localizer.localize(read_image(image.path)).pose
        np.testing.assert_allclose(running.position, pose.position, atol=1e-5)
        assert rotation_angle_deg(running.orientation, pose.orientation) < 1e-3


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("model.options.dropout=0", "dropout is 0, a number above 0 and at most 1"),
        ("model.options.samples=3", "samples is 3, a whole number from 7 to 500"),
        (
            "heads.epochs=3",
            "model 'bayesian_posenet' has no heads to train alone (transposenet, transposenet_fast",
        ),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str, sentence: str
) -> None:
    assert train(arguments("bayesian_posenet", small_scene, tmp_path / "out", "epochs=1", more)) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_it_memorises_32_images(tmp_path: Path) -> None:
    """The mean of the samples: dropout's noise in it is a fortieth of its variance, which is why it may be low here."""
    more = ["epochs=160", "model.options.dropout=0.02", "model.options.auxiliary_dropout=0", "schedule.kind=cosine"]
    more += ["optimizer.learning_rate=5e-4", "optimizer.weight_decay=0", "loss.beta=20"]
    metres, degrees = training_errors("bayesian_posenet", tmp_path, *more)
    assert metres < 0.02 and degrees < 1
