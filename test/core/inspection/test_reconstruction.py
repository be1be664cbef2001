"""Images from poses: what the decoder learns, what is drawn, written and shown, and what is refused."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scene import write_small_scene
from training_runs import ROOT
from untrained import save_drawing, save_untrained, with_scene

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.inspection.reconstruction import has_decoder, nearest_training_pose, reconstruct
from transposenet_core.inspection.reconstruction_error import difference
from transposenet_core.inspection.reconstruction_figure import ShownFrame, draw_reconstructions
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import KnownFrames, SceneModel
from transposenet_core.training.autoencoder.decoder import learn_decoder, small_images
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.curves import Curves
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.data.scene_pixels import SeenPoses
from transposenet_core.training.distributed import World

render = runpy.run_path(str(ROOT / "training" / "render_pose.py"))["main"]
evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]
HERE = ["0.5", "-1e-05", "0.25", "1", "0", "0", "0"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small scene, a plain model of it and one that draws, both with random weights and two training poses."""
    folder = tmp_path_factory.mktemp("place")
    images = load_scene(f"7scenes:{write_small_scene(folder / 'desk', 6)}").images
    save_untrained(folder / "plain", [read_image(image.path) for image in images], Preprocessing(32, (32, 40)))
    model = SceneModel.load(folder / "plain")
    positions_N3 = np.array([[0.5, 0, 0.5], [9, 9, 9]])
    orientations_N4 = np.array([[np.sqrt(0.5), 0, 0, np.sqrt(0.5)], [1, 0, 0, 0]])
    frames = KnownFrames.trained_on(positions_N3, orientations_N4)
    save_drawing(folder / "drawing", with_scene(model, frames=frames))
    return folder


def test_an_image_has_the_windows_size_and_belongs_to_its_pose(place: Path) -> None:
    model = SceneModel.load(place / "drawing")
    assert has_decoder(model) and not has_decoder(SceneModel.load(place / "plain"))
    here, there = Pose(np.zeros(3), np.array([1.0, 0, 0, 0])), Pose(np.ones(3), np.array([1.0, 0.2, 0, 0]))
    drawn, other = reconstruct(model, here), reconstruct(model, there)
    assert (drawn.shape, drawn.dtype) == ((32, 40, 3), np.uint8)
    assert abs(drawn.astype(int) - other).max() > 5
    with torch.inference_mode():
        small = model.network.render(torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]))[0]
    means = small.mean(dim=(1, 2)).numpy() * 255
    np.testing.assert_allclose(drawn.mean(axis=(0, 1)), means, atol=3)  # red is red, and nothing was cut off
    metres, degrees = nearest_training_pose(model, Pose(np.array([0.5, 0, 0.25]), np.array([1.0, 0, 0, 0])))
    assert (metres, degrees) == (pytest.approx(0.25), pytest.approx(90))
    with pytest.raises(UserError, match=r"'textures' \(transposenet\) draws no images; one of pose_autoencoder does"):
        reconstruct(SceneModel.load(place / "plain"), here)


def test_the_decoder_learns_what_poses_look_like(tmp_path: Path) -> None:
    """Black on the left, white on the right."""
    torch.manual_seed(0)
    options = {"layers": 1, "width": 32, "mlp_width": 32, "head_width": 32}
    network = build_model("pose_autoencoder", image_size=(32, 40), teacher_options=options).eval()
    image_N3HW = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 32, 40)
    orientation_N4 = torch.tensor([[1.0, 0, 0, 0]]).expand(2, 4)
    pixels = PosedPixels(image_N3HW, torch.tensor([[-1.0, 0, 0], [1, 0, 0]]), orientation_N4)
    preprocessing = Preprocessing(32, (32, 40))
    small, known = small_images([pixels], preprocessing, torch.device("cpu")), SeenPoses.of([pixels])
    assert small.unique().tolist() == [0, 1]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    config = load_config(None, ["decoder.epochs=16", "decoder.learning_rate=2e-3", "epochs=0", "batch_size=2"])
    curves = Curves(tmp_path)
    learn_decoder(network, small, known, small, known, config, World(torch.device("cpu")), curves)
    curves.close()
    with torch.no_grad():
        drawn = network.render(pixels.position_N3, pixels.orientation_N4).mean(dim=(1, 2, 3))
    assert drawn[0] < 0.2 and drawn[1] > 0.8
    for name, value in before.items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=0)


def test_render_pose_writes_the_image(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "new" / "image.png"
    assert render([str(place / "drawing"), "--pose", *HERE, "--out", str(out)]) == 0
    assert "40x32 pixels; the nearest training view is 0.25 m and 90.0 deg away" in capsys.readouterr().out
    expected = reconstruct(SceneModel.load(place / "drawing"), Pose(np.array([0.5, -1e-5, 0.25]), np.eye(4)[0]))
    np.testing.assert_array_equal(read_image(out), expected)
    assert [path.name for path in out.parent.iterdir()] == ["image.png"]


@pytest.mark.parametrize(
    ("model", "pose", "out", "sentence"),
    [
        ("drawing", ["0"] * 7, "a.png", "--pose 0 0 0 0 0 0 0: not a pose; three metres and a quaternion w x y z"),
        ("drawing", ["nan", *HERE[1:]], "a.png", "--pose nan -1e-05 0.25 1 0 0 0: not a pose"),
        ("drawing", HERE, "a.bmp", "suffix '.bmp', allowed are .png, .jpg, .jpeg"),
        (
            "plain",
            HERE,
            "a.png",
            "draws no images; one of pose_autoencoder does, trained with decoder.epochs above 0",
        ),
        ("absent", HERE, "a.png", "absent: no such folder"),
    ],
)
def test_t11_what_cannot_be_drawn_is_one_sentence(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    model: str,
    pose: list[str],
    out: str,
    sentence: str,
) -> None:
    assert render([str(place / model), "--pose", *pose, "--out", str(tmp_path / out)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_the_report_has_true_and_drawn_images_side_by_side(place: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    there = ["--data", f"7scenes:{place / 'desk'}", "--device", "cpu", "--report", str(report)]
    assert evaluate([str(place / "drawing"), *there]) == 0
    assert read_image(report / "reconstructions.png").shape[1] == 1100
    assert evaluate([str(place / "plain"), *there[:-1], str(tmp_path / "plain")]) == 0
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["report.png"]


def test_evaluate_prints_the_errors_of_drawn_images(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "figures.json"
    there = ["--data", f"7scenes:{place / 'desk'}", "--device", "cpu", "--json", str(out)]
    assert evaluate([str(place / "drawing"), *there]) == 0
    found = json.loads(out.read_text())["reconstruction"]
    assert f"from the true poses {found['true_poses']:.3f}, from 6 estimates " in capsys.readouterr().out
    model, scene = SceneModel.load(place / "drawing"), load_scene(f"7scenes:{place / 'desk'}")
    test_N, training_N = (
        np.array([model.preprocessing.seen(read_image(i.path)) for i in scene.select(split)], float)
        for split in ("test", "train")
    )
    drawn_N = np.array([reconstruct(model, image.pose) for image in scene.select("test")], float)
    assert found["frames"] == len(test_N) == 6
    assert found["mean_image"] == pytest.approx(np.abs(test_N - training_N.mean(axis=0)).mean() / 255, rel=1e-9)
    assert found["true_poses"] == pytest.approx(expected := np.abs(test_N - drawn_N).mean() / 255, rel=1e-9)
    assert found["estimates"] != pytest.approx(expected, rel=1e-3)  # random weights stand elsewhere
    assert difference(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)) == 1


def test_a_frame_that_was_not_localized_is_shown_without_its_estimate(place: Path, tmp_path: Path) -> None:
    model = SceneModel.load(place / "drawing")
    here, image_HW3 = Pose(np.zeros(3), np.eye(4)[0]), np.full((60, 80, 3), 255, np.uint8)
    shapes = []
    for frames in ([ShownFrame("a", image_HW3, here, None)], [ShownFrame("a", image_HW3, here, here)] * 2):
        draw_reconstructions(tmp_path / "figure.png", model, frames)
        shapes.append(read_image(tmp_path / "figure.png").shape)
    assert shapes[0][1] == shapes[1][1] and shapes[0][0] < shapes[1][0]
    with pytest.raises(ValueError, match="no frame to draw"):
        draw_reconstructions(tmp_path / "figure.png", model, [])
