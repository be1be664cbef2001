"""PoseLSTM: regressors as listed, four directions that all matter, trained and run as any other model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from overfit import arguments, training_errors
from some_labels import labels
from torch import nn
from training_runs import figures, train

from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options, describe_option
from transposenet_core.models.poselstm import LSTMRegressor
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.losses.pose import FixedWeightPoseLoss
from transposenet_core.training.validation import predict

SIZE = (72, 96)


def test_the_regressors_are_as_listed() -> None:
    network = build_model("poselstm")

    def shapes(regressor: nn.Module) -> list[tuple]:
        linear = [tuple(m.weight.shape) for m in regressor.modules() if isinstance(m, nn.Linear)]
        lstms = [m for m in regressor.modules() if isinstance(m, nn.LSTM)]
        assert all(m.bidirectional and m.num_layers == 1 for m in lstms)
        return [*linear, *((m.input_size, m.hidden_size) for m in lstms)]

    ends = [(3, 1024), (4, 1024)]
    assert [shapes(r) for r in network.auxiliary] == [[(1024, 2048), *ends, (32, 256), (32, 256)]] * 2
    assert shapes(network.regressor) == [(2048, 1024), *ends, (64, 256), (32, 256)]
    assert all(describe_option("poselstm", name) for name in default_options("poselstm"))


def test_each_direction_reads_the_matrix_from_its_side() -> None:
    """The final state of each direction is its output at the last step: row 32 or 1, last or first column."""
    torch.manual_seed(0)
    regressor = LSTMRegressor(16, 2048, 0.0)
    matrix = torch.rand(2, 32, 64)
    down, up, right, left = regressor.reduced(matrix.flatten(1)).split(256, dim=1)
    outputs, _ = regressor.over_rows(matrix)
    torch.testing.assert_close(down, outputs[:, -1, :256])  # after row 32
    torch.testing.assert_close(up, outputs[:, 0, 256:])  # after row 1
    outputs, _ = regressor.over_columns(matrix.mT)
    torch.testing.assert_close(right, outputs[:, -1, :256])
    torch.testing.assert_close(left, outputs[:, 0, 256:])


def test_outputs_and_gradients() -> None:
    torch.manual_seed(0)
    network = build_model("poselstm", image_size=SIZE, feature_width=64)
    network.start_from(torch.tensor([3.0, -2, 1]), torch.tensor([0.5, 0.5, -0.5, 0.5]))
    output = network.train()(torch.rand(4, 3, *SIZE))
    assert output["auxiliary_position"].shape == (4, 2, 3) and output["auxiliary_orientation"].shape == (4, 2, 4)
    torch.testing.assert_close(output["position"], torch.tensor([[3.0, -2, 1]]).expand(4, 3), atol=0.5, rtol=0)
    FixedWeightPoseLoss(500)(output, labels(torch.zeros(4, 3), torch.tensor([[1.0, 0, 0, 0]] * 4)))["loss"].backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    with torch.inference_mode():
        running = network.eval()(torch.rand(2, 3, 100, 141))
    assert set(running) == {"position", "orientation"}
    torch.testing.assert_close(running["orientation"].norm(dim=-1), torch.ones(2))


def test_trained_from_the_command_line_and_validated_as_it_runs(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ["epochs=2", "validate_every=1", "model.options.feature_width=64", "batch_size=24"]
    assert train(arguments("poselstm", small_scene, out, *more)) == 0
    assert len(figures(out)) == len(figures(out, "val_score")) == 2
    localizer, images = Localizer(out, device="cpu"), load_scene(f"7scenes:{small_scene}").select("test")[:3]
    model = localizer.scene_model
    assert model.architecture == "poselstm"
    predicted = predict(model.network, load_pixels(images, model.preprocessing), model.preprocessing)
    for image, pose in zip(images, predicted, strict=True):
        estimate = localizer.localize(read_image(image.path), with_attention=True)
        np.testing.assert_allclose(estimate.pose.position, pose.position, atol=1e-5)
        assert rotation_angle_deg(estimate.pose.orientation, pose.orientation) < 1e-3
        np.testing.assert_array_equal(estimate.covariance_66, model.scenes[0].held_out_error.covariance_66())


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("model.options.feature_width=100", "feature_width is 100, a multiple of 32 is allowed"),
        ("model.options.lstm_width=100", "model 'poselstm' has no option 'lstm_width'"),
        ("image.height=64", "needs a height and width of at least 65"),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: str, sentence: str
) -> None:
    assert train(arguments("poselstm", small_scene, tmp_path / "out", "epochs=1", more)) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_it_memorises_32_images(tmp_path: Path) -> None:
    more = ["epochs=120", "model.options.dropout=0", "model.options.auxiliary_dropout=0", "schedule.kind=cosine"]
    more += ["optimizer.learning_rate=5e-4", "optimizer.weight_decay=0", "loss.beta=20"]
    metres, degrees = training_errors("poselstm", tmp_path, *more)
    assert metres < 0.02 and degrees < 1
