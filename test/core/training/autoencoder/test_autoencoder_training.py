"""train.py with the preset pose_autoencoder: what it learns, must not read, writes and refuses."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scene import write_small_scene
from training_runs import ROOT, figures, train
from untrained import save_untrained, with_scene

from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.models.pose_autoencoder import PoseAutoencoder
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Scene
from transposenet_core.scene_model import KnownFrames, SceneModel
from transposenet_core.training.autoencoder.refinement_choice import NEIGHBOURS, RIDGES, choose_refinement
from transposenet_core.training.autoencoder.training import AutoencoderTraining
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.distributed import World
from transposenet_core.training.validation import predict

PRESET = ROOT / "config" / "train" / "pose_autoencoder.yaml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small scene with its own split, and a teacher with random weights that distinguish its images."""
    folder = tmp_path_factory.mktemp("place")
    images = load_scene(f"7scenes:{write_small_scene(folder / 'desk')}").images
    rows = [
        f"{'val' if image.split == 'train' and n % 4 == 3 else image.split},{image.name}"
        for n, image in enumerate(images)
    ]
    (folder / "split.csv").write_text("\n".join(["split,image", *rows]) + "\n")
    images_HW3 = [read_image(image.path) for image in images]
    save_untrained(folder / "teacher", images_HW3, Preprocessing(32, (32, 40)))
    return folder


def arguments(place: Path, out: Path, *more: str) -> list[str]:
    there = ["--data", f"7scenes:{place / 'desk'}", "--split", str(place / "split.csv"), "--no-check"]
    return ["--config", str(PRESET), *there, "--out", str(out), "device=cpu", "decoder.epochs=0", *more]


@pytest.fixture(scope="module")
def trained(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "autoencoder"
    more = ["epochs=60", "batch_size=4", "validate_every=30", "decoder.epochs=2", f"teacher={place / 'teacher'}"]
    more += ["loss.s_position=6", "loss.s_orientation=6"]  # random heads know no pose: the latents are what counts
    assert train(arguments(place, out, *more)) == 0
    return out


def test_it_learns_the_latents_and_leaves_the_teacher_alone(place: Path, trained: Path) -> None:
    network, teacher = SceneModel.load(trained).network, SceneModel.load(place / "teacher").network
    for name, value in teacher.state_dict().items():
        halved = value.is_floating_point() and value.dim() > 1  # the preset's half precision: matrices
        expected = value.half().float() if halved else value
        torch.testing.assert_close(network.teacher.state_dict()[name], expected, rtol=0, atol=0)
    assert figures(trained, "train_latents")[-1] < 0.5  # the latents' variance is 1 each, 2 together
    assert figures(trained, "train_l1")[-1] < 0.3


def test_the_scene_model_holds_training_poses_and_what_was_chosen(place: Path, trained: Path, tmp_path: Path) -> None:
    model = SceneModel.load(trained)
    network = model.network
    images = load_scene(f"7scenes:{place / 'desk'}", str(place / "split.csv")).select("train")
    positions_N3 = np.array([image.pose.position for image in images], np.float32)
    np.testing.assert_array_equal(network.positions_N3.numpy(), positions_N3)  # in full, at half precision, too
    np.testing.assert_allclose(network.centres_S3[0].numpy(), np.median(positions_N3, axis=0), atol=1e-6)
    assert model.options["neighbours"] in (0, *NEIGHBOURS) and model.options["ridge"] in (0, *RIDGES)
    assert model.preprocessing == Preprocessing(32, (32, 40)) and model.options["teacher"] == "transposenet"
    model.save(tmp_path / "again", half_precision=True)
    again = SceneModel.load(tmp_path / "again")
    for name, value in again.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=0, atol=0)
    pose = network.positions_N3[:2], network.orientations_N4[:2]
    torch.testing.assert_close(again.network.render(*pose), network.render(*pose), rtol=0, atol=0)


def test_it_runs_as_it_was_validated(place: Path, tmp_path: Path) -> None:
    options = ["epochs=5", "model.options.neighbours=5", "model.options.ridge=0.3"]
    assert train(arguments(place, tmp_path / "out", *options, f"teacher={place / 'teacher'}")) == 0
    localizer = Localizer(tmp_path / "out", device="cpu")
    model = localizer.scene_model
    assert (model.options["neighbours"], model.options["ridge"]) == (5, 0.3) and not model.options["decoder"]
    images = load_scene(f"7scenes:{place / 'desk'}").select("test")
    predicted = predict(model.network, load_pixels(images, model.preprocessing), model.preprocessing)
    teacher = Localizer(place / "teacher", device="cpu")
    for image, expected in zip(images, predicted, strict=True):
        image_HW3 = read_image(image.path)
        estimate = localizer.localize(image_HW3, with_attention=True)
        np.testing.assert_allclose(estimate.pose.position, expected.position, atol=1e-5)
        assert set(estimate.attention) == {"position", "orientation"}
        assert np.linalg.norm(estimate.pose.position - teacher.localize(image_HW3).pose.position) > 1e-4


def test_the_poses_of_test_frames_are_never_read(place: Path, tmp_path: Path) -> None:
    """Permuted and moved, they leave weights and predictions as they are, to the bit."""
    images_HW3 = [read_image(image.path) for image in load_scene(f"7scenes:{place / 'desk'}").select("test")]
    poses = sorted((place / "desk" / "seq-02").glob("*.pose.txt"))
    written = [path.read_text() for path in poses]
    found = []
    options = ["epochs=3", "model.options.neighbours=3", "model.options.ridge=0.1", f"teacher={place / 'teacher'}"]
    try:
        for name in ("as they are", "altered"):
            assert train(arguments(place, tmp_path / name, *options)) == 0
            localizer = Localizer(tmp_path / name, device="cpu")
            found.append(np.array([localizer.localize(image_HW3).pose.matrix_44 for image_HW3 in images_HW3]))
            for path, text in zip(poses, reversed(written), strict=True):
                T = np.loadtxt(text.splitlines())
                T[:3, 3] += 7
                np.savetxt(path, T)
    finally:
        for path, text in zip(poses, written, strict=True):
            path.write_text(text)
    np.testing.assert_array_equal(found[0], found[1])


def test_the_benchmark_evaluates_it_as_it_runs(place: Path, trained: Path, capsys: pytest.CaptureFixture) -> None:
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "test_time_optimization.py"))["main"]
    capsys.readouterr()
    assert benchmark([str(trained), "--data", f"7scenes:{place / 'desk'}", "--grid"]) == 0
    text = capsys.readouterr().out
    localizer, images = Localizer(trained, device="cpu"), load_scene(f"7scenes:{place / 'desk'}").select("test")
    poses = [localizer.localize(read_image(image.path)).pose for image in images]
    median = np.median(pose_errors(poses, [image.pose for image in images])[0])
    assert re.search(rf"^as chosen: .* 24 +{median:.3f} m", text, re.MULTILINE)
    assert re.search(r"^as chosen [+-]\d\.\d{4} m in the median on 24 test frames of desk$", text, re.MULTILINE)
    assert len(re.findall(r"^\d+ neighbours( +\d+\.\d{4}){5}$", text, re.MULTILINE)) == 3  # of 18 training poses
    assert benchmark([str(place / "teacher"), "--data", f"7scenes:{place / 'desk'}"]) == 2
    assert "a scene model of 'transposenet'; give one of pose_autoencoder" in capsys.readouterr().err


class TeacherThatIsOff(PoseAutoencoder):
    """Positions are off by `error` without neighbours, by 0.5 m with the best combination, by 1 m with others."""

    def __init__(self, ground_truth_N3: torch.Tensor, error: float) -> None:
        super().__init__(image_size=(32, 48), teacher_options={"layers": 1}, poses=len(ground_truth_N3))
        self.positions_N3[:], self.orientations_N4[:] = ground_truth_N3, torch.tensor([1.0, 0, 0, 0])
        self.ground_truth_N3, self.error = ground_truth_N3, error

    def poses_from_latents(self, latents: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        better = 0.5 if self.neighbours == 5 and self.ridge == 0.1 else 1.0
        error = self.error if self.neighbours == 0 else better
        return {"position": self.ground_truth_N3 + torch.tensor([error, 0, 0])}


def test_neighbours_and_ridge_are_the_best_of_the_held_out_frames_or_none() -> None:
    ground_truth_N3 = torch.rand(8, 3)

    def choice(error: float, held_out: bool = True, neighbours: int = -1, ridge: float = 0.0) -> tuple[int, float]:
        network = TeacherThatIsOff(ground_truth_N3, error)
        network.neighbours, network.ridge = neighbours, ridge
        chosen = choose_refinement(network, {}, ground_truth_N3, held_out)
        return chosen.neighbours, chosen.ridge

    assert choice(1.0) == (5, 0.1)
    assert choice(0.4) == (0, 0.0)  # the teacher is better than any
    assert choice(0.4, neighbours=5) == (5, 0.1)  # but it was asked for
    assert choice(1.0, neighbours=3, ridge=0.7) == (3, 0.7)
    assert choice(1.0, held_out=False) == (0, 0.0)  # nothing to choose by
    assert choice(1.0, held_out=False, neighbours=3, ridge=0.7) == (3, 0.7)
    assert choice(1.0, neighbours=0) == (0, 0.0)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "teacher is empty; set teacher=FOLDER to the trained scene model whose latents are learnt"),
        (["teacher=NOWHERE"], "NOWHERE: no such folder"),
        (["teacher=TEACHER", "model.options.neighbours=-3"], "neighbours is -3"),
        (["teacher=TEACHER", "model.name=transposenet"], "'transposenet' does not use one; pose_autoencoder does"),
        (["teacher=TEACHER", "--auto-batch"], "--auto-batch works for networks trained on images"),
        (["teacher=TEACHER", "--resume"], "there is no checkpoint to resume; start without --resume"),
        (["teacher=STRANGE"], "1 of the 1 frames it was trained on are not training frames of 'desk' here"),
        (
            ["teacher=BASELINE"],
            "a scene model of 'retrieval' has no latents of position and orientation; use a teacher",
        ),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], sentence: str
) -> None:
    model = SceneModel.load(place / "teacher")
    strange = KnownFrames.trained_on(np.full((1, 3), 9.0), np.eye(4)[:1], ["attic.png"])
    with_scene(model, frames=strange).save(tmp_path / "STRANGE")
    if "teacher=BASELINE" in more:
        preset = ROOT / "config" / "train" / "retrieval.yaml"
        there = [*arguments(place, tmp_path / "BASELINE")[2:-1], "image.smaller_edge=96"]
        assert train(["--config", str(preset), *there]) == 0
    given = [
        part.replace("TEACHER", str(place / "teacher")).replace("=S", f"={tmp_path}/S").replace("=B", f"={tmp_path}/B")
        for part in more
    ]
    assert train(arguments(place, tmp_path / "out", "epochs=1", *given)) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("error: ") == 1 and "Traceback" not in error


def test_t11_no_model_is_overwritten_and_one_process_is_enough(
    place: Path, trained: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (trained / "scene.json").read_bytes()
    assert train(arguments(place, trained, f"teacher={place / 'teacher'}")) == 2
    assert "contains a scene model already; choose another --out" in capsys.readouterr().err
    assert (trained / "scene.json").read_bytes() == before
    config = load_config(PRESET, [f"teacher={place / 'teacher'}"])
    scene = load_scene(f"7scenes:{place / 'desk'}")
    with pytest.raises(UserError, match="an auto-encoder is trained by one process, found 2"):
        AutoencoderTraining(config, [scene], place / "never", {}, World(torch.device("cpu"), 0, 2))


@pytest.mark.parametrize(
    "given",
    [
        *("loss.points=1", "loss.neighbours=1", "optimizer.kind=adamw", "optimizer.clip_norm=5", "ema_decay=0.9"),
        *("precision=bfloat16", "start_from=there", "backbone.weights=imagenet", "heads.epochs=3"),
        *("augmentation.blur=1", "augmentation.virtual_rotation.yaw=20", "image.height=96"),
        *("labels.position_noise=0.1", "cuda_graph=false"),
    ],
)
def test_t11_a_key_that_an_autoencoder_has_no_use_for_is_one_sentence(tmp_path: Path, given: str) -> None:
    config, key = load_config(PRESET, [given, "batch_size=8"]), given.split("=")[0]
    with pytest.raises(
        UserError, match=rf"^{key} is .*, but the training of an auto-encoder, .* does not use it; leave it out$"
    ):
        AutoencoderTraining(config, [Scene("desk", [])], tmp_path, {}, World(torch.device("cpu")))
