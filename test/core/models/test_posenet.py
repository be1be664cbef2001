"""PoseNet: GoogLeNet as listed, three regressors and their weights, many crops, trained and run as any other model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import arguments, training_errors
from safetensors.torch import save_file
from some_labels import labels
from torch import nn
from training_runs import figures, train
from untrained import HELD_OUT, one_scene

from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options, describe_option
from transposenet_core.models.googlenet import from_minus_1_to_1
from transposenet_core.models.posenet import Regressor
from transposenet_core.models.posenet_backbones import build_posenet_backbone, posenet_backbone_names
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.losses.pose import FixedWeightPoseLoss, LearnedWeightPoseLoss
from transposenet_core.training.stages import plan
from transposenet_core.training.validation import predict

SIZE = (72, 96)
IMAGE = np.random.default_rng(4).integers(0, 256, (120, 160, 3), np.uint8)


def small(**options: object) -> nn.Module:
    torch.manual_seed(0)
    return build_model("posenet", image_size=SIZE, feature_width=64, **options)


def test_the_backbone_is_googlenet_as_listed() -> None:
    network = build_model("posenet").eval()
    seen = {}
    network.backbone.stem.register_forward_hook(lambda _, __, out: seen.update({"stem": tuple(out.shape[1:])}))
    for name, block in network.backbone.blocks.items():
        block.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    with torch.inference_mode():
        network(torch.rand(1, 3, 224, 224))
    middle, last = ((512, 14, 14), (512, 14, 14), (512, 14, 14), (528, 14, 14), (832, 14, 14)), (832, 7, 7)
    assert seen == {"stem": (192, 28, 28), "3a": (256, 28, 28), "3b": (480, 28, 28)} | dict(
        zip(("4a", "4b", "4c", "4d", "4e"), middle, strict=True)
    ) | {"5a": last, "5b": (1024, 7, 7)}
    assert not [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert [m.kernel_size for m in network.backbone.blocks["3a"].x5.modules() if isinstance(m, nn.Conv2d)][1] == (5, 5)


def test_the_regressors_are_as_listed() -> None:
    network = build_model("posenet")

    def shapes(regressor: nn.Module) -> list[tuple[int, ...]]:
        return [tuple(m.weight.shape) for m in regressor.modules() if isinstance(m, nn.Linear)]

    assert [shapes(r) for r in network.auxiliary] == [[(1024, 2048), (3, 1024), (4, 1024)]] * 2
    assert shapes(network.regressor) == [(2048, 1024), (3, 2048), (4, 2048)]
    assert [tuple(p[1].weight.shape[:2]) for p in network.projections] == [(128, 512), (128, 528)]
    assert (network.regressor.dropout.p, network.auxiliary[0].dropout.p) == (0.5, 0.7)
    assert all(describe_option("posenet", name) for name in default_options("posenet"))


def test_outputs_and_gradients() -> None:
    network = small()
    network.start_from(torch.tensor([3.0, -2, 1]), torch.tensor([0.5, 0.5, -0.5, 0.5]))
    output = network.train()(torch.rand(4, 3, *SIZE))
    assert output["auxiliary_position"].shape == (4, 2, 3) and output["auxiliary_orientation"].shape == (4, 2, 4)
    torch.testing.assert_close(output["position"], torch.tensor([[3.0, -2, 1]]).expand(4, 3), atol=0.5, rtol=0)
    FixedWeightPoseLoss(500)(output, labels(torch.zeros(4, 3), torch.tensor([[1.0, 0, 0, 0]] * 4)))["loss"].backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    with torch.inference_mode():
        running = network.eval()(torch.rand(2, 3, 100, 141))  # any size: the auxiliary regressors are for training
    assert set(running) == {"position", "orientation"}
    torch.testing.assert_close(running["orientation"].norm(dim=-1), torch.ones(2))


def test_the_loss_is_eq_2_with_the_auxiliary_regressors_at_a_third() -> None:
    output = {"position": torch.tensor([[3.0, 4, 0]]), "orientation": torch.tensor([[2.0, 0, 0, 0]])}
    output["auxiliary_position"] = torch.tensor([[[1.0, 0, 0], [0, 0, 2]]])
    output["auxiliary_orientation"] = torch.tensor([[[1.0, 0, 0, 0], [1.0, 0.5, 0, 0]]])
    ground_truth = torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]])
    terms = FixedWeightPoseLoss(100)(output, labels(*ground_truth))
    assert terms["loss"].item() == pytest.approx(5 + 100 * 1 + 0.3 * (1 + 0) + 0.3 * (2 + 100 * 0.5))
    assert (terms["position"].item(), terms["orientation"].item()) == (5, 1)  # the last regressor's
    learned = LearnedWeightPoseLoss(0, 0)(output, labels(*ground_truth))
    assert learned["loss"].item() == pytest.approx(5 + 1 + 0.3 * (1 + 0) + 0.3 * (2 + 0.5))


def test_beta_or_the_learned_weighting() -> None:
    for override, kind in (("loss.beta=120", FixedWeightPoseLoss), ("loss.beta=0", LearnedWeightPoseLoss)):
        config = load_config("config/train/posenet.yaml", [override])
        assert type(plan(config)[0].build_loss(config, small())) is kind
    assert 120 <= load_config("config/train/posenet.yaml").loss.beta <= 750  # section 3.1, indoors
    with pytest.raises(UserError, match=r"loss.beta is -1.0, allowed is a finite value at least 0"):
        load_config("config/train/posenet.yaml", ["loss.beta=-1"])


def test_torchvisions_googlenet_gets_the_pixels_its_weights_were_trained_on() -> None:
    for value, expected in ((0, -1), (255, 1)):
        found = from_minus_1_to_1(normalise(torch.full((1, 3, 2, 2), float(value))))
        torch.testing.assert_close(found, torch.full((1, 3, 2, 2), float(expected)))
    grey = from_minus_1_to_1(normalise(torch.tensor([51.0, 102, 204]).view(1, 3, 1, 1))).flatten()
    assert grey.tolist() == pytest.approx([-0.6, -0.2, 0.6], abs=1e-6)


@pytest.mark.parametrize("backbone", ["efficientnet-b0", "resnet50", "googlenet_tv"])
def test_other_backbones(backbone: str) -> None:
    try:
        network = small(backbone=backbone)
    except UserError as error:
        assert "torchvision" in str(error) and backbone != "efficientnet-b0"
        pytest.skip(str(error))
    output = network(torch.rand(2, 3, *SIZE))
    assert ("auxiliary_position" in output) is backbone.startswith("googlenet")
    assert output["position"].shape == (2, 3) and output["orientation"].shape == (2, 4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backbone": "vgg"}, "backbone is 'vgg', one of " + ", ".join(posenet_backbone_names())),
        ({"feature_width": 50}, "feature_width is 50, a multiple of 32 is allowed"),
        ({"image_size": (64, 64)}, "needs a height and width of at least 65"),
    ],
)
def test_bad_options_are_named(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_model("posenet", **options)


def test_a_training_image_of_another_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"a training image of \(80, 96\) pixels, .* are for \(72, 96\)"):
        small().train()(torch.rand(1, 3, 80, 96))


def test_crops_are_spread_over_the_whole_image() -> None:
    marked = torch.arange(100 * 150).reshape(1, 1, 100, 150)
    views = Preprocessing(100, SIZE, crops=128).views(marked)
    assert views.shape == (128, 1, *SIZE)
    tops, lefts = views[:, 0, 0, 0] // 150, views[:, 0, 0, 0] % 150
    for starts, spare in ((tops, 28), (lefts, 54)):
        distinct = starts.unique()
        assert (distinct[0], distinct[-1]) == (0, spare)
        assert distinct.diff().max() - distinct.diff().min() <= 1
    both = Preprocessing(100, SIZE, crops=6).views(torch.stack((marked[0], -marked[0])))
    assert (both[:6] >= 0).all() and (both[6:] <= 0).all()  # an image's windows in a row
    assert len(Preprocessing(72, SIZE, crops=128).views(torch.zeros(1, 3, *SIZE))) == 1  # nothing to spare


@pytest.mark.parametrize("crops", [1, 8])
def test_it_is_a_scene_model_that_runs_as_it_was_validated(tmp_path: Path, crops: int) -> None:
    options = {"image_size": list(SIZE), "feature_width": 64}
    preprocessing = Preprocessing(90, SIZE, crops)
    SceneModel("posenet", options, preprocessing, small().eval(), one_scene("desk")).save(tmp_path / "model")
    localizer = Localizer(tmp_path / "model", device="cpu")
    assert localizer.scene_model.preprocessing == preprocessing
    estimate = localizer.localize(IMAGE, with_attention=True)  # it has none, but the node may request it
    assert estimate.localized and estimate.attention == {}
    np.testing.assert_array_equal(estimate.covariance_66, HELD_OUT.covariance_66())
    network, views = localizer.scene_model.network, preprocessing.views(preprocessing.resize(IMAGE)[None])
    with torch.inference_mode():
        outputs = [network(normalise(view[None])) for view in views]
    mean = torch.stack([output["position"][0] for output in outputs]).mean(dim=0)
    np.testing.assert_allclose(estimate.pose.position, mean, atol=1e-5)
    if crops == 1:
        assert rotation_angle_deg(estimate.pose.orientation, outputs[0]["orientation"][0].numpy()) < 1e-3


def test_trained_from_the_command_line_and_validated_as_it_runs(small_scene: Path, tmp_path: Path) -> None:
    out, more = tmp_path / "out", ["epochs=2", "validate_every=1", "image.smaller_edge=84", "image.crops=4"]
    assert train(arguments("posenet", small_scene, out, *more, "model.options.feature_width=64")) == 0
    assert len(figures(out)) == len(figures(out, "train_orientation")) == len(figures(out, "val_score")) == 2
    localizer, images = Localizer(out, device="cpu"), load_scene(f"7scenes:{small_scene}").select("test")[:3]
    model = localizer.scene_model
    assert (model.preprocessing.crops, model.options["backbone"]) == (4, "googlenet")
    predicted = predict(model.network, load_pixels(images, model.preprocessing), model.preprocessing)
    for image, pose in zip(images, predicted, strict=True):
        running = localizer.localize(read_image(image.path)).pose
        np.testing.assert_allclose(running.position, pose.position, atol=1e-5)
        assert rotation_angle_deg(running.orientation, pose.orientation) < 1e-3
    again = tmp_path / "again"  # its backbone as the FILE of another training
    more = ["epochs=1", f"backbone.weights={out}", "model.options.feature_width=64"]
    assert train(arguments("posenet", small_scene, again, *more)) == 0


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_the_backbone_is_loaded_from_a_file_whatever_surrounds_it(tmp_path: Path, suffix: str) -> None:
    """As another program saves it: wrapped, with its own classifier."""
    source, path = build_posenet_backbone("googlenet", 0.0), tmp_path / f"googlenet{suffix}"
    state = {f"module.backbone.{key}": value for key, value in source.state_dict().items()}
    state |= {"module.classifier.weight": torch.zeros(10, 1024)}

    def save(tensors: dict[str, torch.Tensor]) -> None:
        save_file(tensors, path) if suffix == ".safetensors" else torch.save({"state_dict": tensors}, path)

    save(state)
    network = small()
    assert path.name in load_pretrained_backbone(network.backbone, "googlenet", str(path))
    for key, value in source.state_dict().items():
        torch.testing.assert_close(network.backbone.state_dict()[key], value, rtol=0, atol=0)
    first = next(iter(state))
    save({key: value for key, value in state.items() if key != first})
    with pytest.raises(
        UserError, match=f"not weights of googlenet: {first.removeprefix('module.backbone.')} is missing"
    ):
        load_pretrained_backbone(network.backbone, "googlenet", str(path))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("backbone.weights=imagenet", "there is no published file for the backbone googlenet"),
        (
            "heads.epochs=3",
            "model 'posenet' has no heads to train alone (transposenet, transposenet_fast",
        ),
        ("image.crops=0", "image.crops is 0, allowed is a finite value at least 1"),
        ("model.options.dropout=2", "cannot be built: dropout is 2, a number from 0 to 1"),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str, sentence: str
) -> None:
    assert train(arguments("posenet", small_scene, tmp_path / "out", "epochs=1", more)) == 2
    assert sentence in capsys.readouterr().err


def test_a_regressor_starts_at_the_mean_pose() -> None:
    regressor = Regressor(16, 32, 0.0)
    regressor.start_from(torch.tensor([1.0, 2, 3]), torch.tensor([0.0, 0, 10, 0]))
    position, orientation = regressor(torch.rand(5, 16))
    torch.testing.assert_close(position, torch.tensor([[1.0, 2, 3]]).expand(5, 3), atol=0.05, rtol=0)
    torch.testing.assert_close(orientation, torch.tensor([[0.0, 0, 1, 0]]).expand(5, 4), atol=0.05, rtol=0)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_it_memorises_32_images(tmp_path: Path) -> None:
    more = ["epochs=120", "model.options.dropout=0", "model.options.auxiliary_dropout=0", "schedule.kind=cosine"]
    more += ["optimizer.learning_rate=5e-4", "optimizer.weight_decay=0", "loss.beta=20"]
    metres, degrees = training_errors("posenet", tmp_path, *more)
    assert metres < 0.02 and degrees < 1
