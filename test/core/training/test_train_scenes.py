"""Several scenes from the command line: trained, described, evaluated and localized; mistakes are one sentence."""

import json
import runpy
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from overfit import arguments as preset_arguments
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_scene import write_small_scene
from training_runs import ROOT, figures, train
from untrained import show_to_batch_norms

from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.geometry.pose_averaging import mean_over_views
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing, normalise
from transposenet_core.scene import PosedImage
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.augmentation.views import training_views, views_of_scene
from transposenet_core.training.batches import batches
from transposenet_core.training.checkpoint import Checkpoint
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixels import load_pixels
from transposenet_core.training.data.scene_pixels import ScenePixels
from transposenet_core.training.distributed import World
from transposenet_core.training.loop import Training
from transposenet_core.training.validation import predict_in_scenes

evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]
WORLD = World(torch.device("cpu"))
NARROW = ["encoder_layers=1", "decoder_layers=1", "width=32", "mlp_width=32", "head_width=64", "heads=2"]
TINY = [f"model.options.{option}" for option in NARROW] + ["image.smaller_edge=34", "image.height=32"]
TINY += ["image.width=40", "device=cpu", "validate_every=1", "augmentation.colour_jitter=0", "cache_dir=none"]
CLUSTERS = ["model.options.position_clusters=1", "model.options.orientation_clusters=2"]  # so few images


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scene, and a smaller one with wider, inverted images, 100 m away in its map."""
    root = tmp_path_factory.mktemp("scenes")
    desk, shelf = write_small_scene(root / "desk", frames=12), write_small_scene(root / "shelf", frames=5)
    for path in shelf.rglob("*.png"):
        cv2.imwrite(str(path), cv2.resize(255 - cv2.imread(str(path)), (96, 60)))
    for path in shelf.rglob("*.pose.txt"):  # somewhere else in its map
        T_map_camera = np.loadtxt(path)
        T_map_camera[:3, 3] += 100
        np.savetxt(path, T_map_camera)
    return desk, shelf


def arguments(scenes: tuple[Path, ...], out: Path, *more: str, preset: str = "coarse_to_fine") -> list[str]:
    data = [item for scene in scenes for item in ("--data", f"7scenes:{scene}")]
    return ["--config", str(ROOT / f"config/train/{preset}.yaml"), *data, "--out", str(out), *TINY, *CLUSTERS, *more]


@torch.no_grad()
def tell_apart(folder: Path, images: list[list[PosedImage]]) -> None:
    """Give a model of two scenes, trained too little to know its images, a classifier that does."""
    model = SceneModel.load(folder)
    network = model.network
    seen = [model.preprocessing.crop(load_pixels(part, model.preprocessing).image_N3HW) for part in images]
    show_to_batch_norms(network, normalise(torch.cat(seen)))
    for transformer in (network.position_transformer, network.orientation_transformer):
        transformer.query.mul_(10)  # large queries give different outputs for different images
    ways = []  # from the latent of one query to that of the other, in a scene's images
    for image_B3HW in seen:
        latents = network._latents(normalise(image_B3HW))
        first, second = torch.cat(latents[:2], dim=-1).mean(dim=0)
        ways.append(first - second)
    between, common = ways[0] - ways[1], (ways[0] + ways[1]) / 2
    weight = between - (between @ common) / (common @ common) * common
    network.scene.weight.copy_(8 * weight / (weight @ between))  # +4 for images of the first scene, -4 of the second
    model.save(folder)


@pytest.fixture(scope="module")
def trained(two_scenes: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    assert train(arguments(two_scenes, out, "epochs=2", "hold_out=false")) == 0
    tell_apart(out, [load_scene(f"7scenes:{path}").images for path in two_scenes])
    return out


def test_every_scene_gives_as_many_images_as_the_largest() -> None:
    seen = [Counter(torch.cat([b.index_B for b in batches([3, 7, 4], 3, 0, e, WORLD)]).tolist()) for e in range(40)]
    for counts in seen:
        assert [sum(counts[i] for i in part) for part in (range(3), range(3, 10), range(10, 14))] == [7, 7, 7]
        assert {counts[i] for i in range(3)} == {2, 3} and {counts[i] for i in range(3, 10)} == {1}
    again = [{i for i in range(3) if counts[i] == 3} for counts in seen]
    assert {0, 1, 2} == set().union(*again)  # not always the same image comes again
    one = [b.index_B.tolist() for b in batches([9], 4, 3, 1, WORLD)]
    assert one == [b.index_B.tolist() for b in batches([9], 4, 3, 1, WORLD)]


@pytest.mark.parametrize("more", [[], ["augmentation.virtual_rotation.yaw=20"]])
def test_each_image_is_seen_with_its_own_camera_and_label(two_scenes: tuple[Path, Path], more: list[str]) -> None:
    """What a batch of two scenes shows is what each scene alone would show."""
    config = load_config(None, ["augmentation.colour_jitter=0", *more])
    preprocessing = Preprocessing(34, (32, 40))
    parts = []
    for path in two_scenes:
        scene = load_scene(f"7scenes:{path}")
        parts.append(load_pixels(scene.select("train"), preprocessing, camera=scene.intrinsics))
    assert parts[0].image_N3HW.shape[-1] != parts[1].image_N3HW.shape[-1]
    both = ScenePixels(parts)
    index, random_numbers = torch.tensor([13, 2, 12, 7, 16]), torch.rand(5, 10)
    views = training_views(both, index, random_numbers, preprocessing, config.augmentation)
    assert views.scene_B is not None and views.scene_B.tolist() == [0, 0, 1, 1, 1]
    alone = [
        views_of_scene(parts[0], torch.tensor([2, 7]), random_numbers[[1, 3]], preprocessing, config.augmentation),
        views_of_scene(
            parts[1], torch.tensor([1, 0, 4]), random_numbers[[0, 2, 4]], preprocessing, config.augmentation
        ),
    ]
    for name in ("image_B3HW", "position_B3", "orientation_B4"):
        assert torch.equal(getattr(views, name), torch.cat([getattr(view, name) for view in alone]))
    few = both.chosen(index, torch.device("cpu"))
    assert few.counts == [2, 3] and torch.equal(few.scenes[1].position_N3, views.position_B3[2:])
    again = training_views(
        few, torch.arange(5), random_numbers[both.sorted_by_scene(index)], preprocessing, config.augmentation
    )
    assert torch.equal(again.image_B3HW, views.image_B3HW) and torch.equal(again.position_B3, views.position_B3)


def test_the_scene_model_describes_each_scene(trained: Path, two_scenes: tuple[Path, Path]) -> None:
    model = SceneModel.load(trained)
    assert [(s.name, s.map_frame) for s in model.scenes] == [("desk", "desk_map"), ("shelf", "shelf_map")]
    assert [len(s.training_positions_N3) for s in model.scenes] == [12, 5]
    assert model.options["scenes"] == 2 and model.network.orientation.centre_SKP.shape == (2, 2, 4)
    validation = model.provenance["validation"]
    assert set(validation["scenes"]) == {"desk", "shelf"} and 0 <= validation["scene_accuracy"] <= 1
    assert len(figures(trained, "train_scene")) == len(figures(trained, "val_scene_accuracy")) == 2
    assert len(figures(trained, "train_orientation_cluster")) == 2


def test_inference_is_as_in_validation(trained: Path, two_scenes: tuple[Path, Path]) -> None:
    localizer = Localizer(trained, device="cpu")
    model = localizer.scene_model
    for path in two_scenes:
        images = load_scene(f"7scenes:{path}").select("test")[:4]
        seen = predict_in_scenes(model.network, load_pixels(images, model.preprocessing), model.preprocessing)
        poses, scenes = seen.poses, seen.scenes
        for image, pose, scene in zip(images, poses, scenes, strict=True):
            estimate = localizer.localize(read_image(image.path), with_attention=True)
            assert (estimate.scene, estimate.map_frame) == (model.scenes[scene].name, model.scenes[scene].map_frame)
            np.testing.assert_allclose(estimate.pose.position, pose.position, atol=5e-5)  # float32 at 100 m
            assert rotation_angle_deg(estimate.pose.orientation, pose.orientation) < 1e-3


def test_predictions_do_not_read_the_test_labels(
    trained: Path, two_scenes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """With the labels of the test frames permuted the predictions file is the same to the bit; the errors are not."""
    written, reports = [], []
    for name in ("true", "permuted"):
        scenes = [shutil.copytree(path, tmp_path / name / path.name) for path in two_scenes]
        if name == "permuted":
            for scene in scenes:
                labels = sorted((scene / "seq-02").glob("*.pose.txt"))
                texts = [label.read_text() for label in labels]
                for label, text in zip(labels, reversed(texts), strict=True):
                    label.write_text(text)
        out = tmp_path / f"{name}.csv"
        data = [item for scene in scenes for item in ("--data", f"7scenes:{scene}")]
        assert evaluate([str(trained), *data, "--predictions", str(out), "--json", str(out.with_suffix(".json"))]) == 0
        written.append(out.read_bytes())
        reports.append(json.loads(out.with_suffix(".json").read_text()))
    assert written[0] == written[1] and len(written[0].splitlines()) == 1 + 12 + 5
    assert written[0].splitlines()[1].startswith(b"desk/seq-02/")
    assert reports[0]["desk"]["constant pose"] == pytest.approx(reports[1]["desk"]["constant pose"])
    accuracies = [reports[0][scene]["scene_accuracy"] for scene in ("desk", "shelf")]
    printed = capsys.readouterr().out
    assert f"scene found in {round(12 * accuracies[0])} of 12 frames" in printed
    assert f"scene found in {round(5 * accuracies[1])} of 5 frames" in printed


def test_a_frame_of_another_scene_counts_as_not_localized(
    trained: Path, two_scenes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data, out = ["--data", f"7scenes:{two_scenes[0]}"], tmp_path / "out.csv"
    found = {}
    for name in ("desk", "shelf"):
        assert evaluate([str(trained), *data, "--name", name, "--predictions", str(out)]) == 0
        found[name] = sum(int(line.split(",")[-3]) for line in out.read_text().splitlines()[1:])
    assert found["desk"] + found["shelf"] == 12
    assert evaluate([str(trained), *data, "--name", "attic"]) == 2
    assert "scene 'attic'" in (error := capsys.readouterr().err) and "which are desk + shelf" in error


def test_coarse_to_fine_learns_one_scene_too(two_scenes: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(two_scenes[:1], out, "epochs=1", "model.options.position_clusters=3")) == 0
    model = SceneModel.load(out)
    assert [s.map_frame for s in model.scenes] == ["map"] and model.network.position.centre_SKP.shape == (1, 3, 3)
    assert len(figures(out, "train_position_cluster")) == 1 and not figures(out, "train_scene")
    estimate = Localizer(out, device="cpu").localize(np.zeros((60, 80, 3), np.uint8))
    assert estimate.scene == "desk" and estimate.scene_probability is None


@pytest.mark.parametrize(
    ("preset", "more", "sentence"),
    [
        (
            "transposenet_cpu",
            [],
            "model 'transposenet' is for one scene, but --data is given 2 times; for several use coarse",
        ),
        ("coarse_to_fine", ["model.options.scenes=3"], "model.options.scenes is 3, but --data is given 2 times"),
        ("coarse_to_fine", ["model.options.position_clusters=9"], "9 position clusters are asked for, the training"),
        ("coarse_to_fine", ["model.options.orientation_clusters=0"], "orientation_clusters is 0, a whole number"),
        (
            "coarse_to_fine",
            ["heads.epochs=1"],
            "has no heads to train alone (transposenet, transposenet_fast",
        ),
        ("coarse_to_fine", ["--split", "own"], "--data is given 2 times and --split 1 times; give it once for each"),
        ("coarse_to_fine", ["--name", "a", "--name", "a"], "two scenes are called 'a'; name each with --name"),
        ("coarse_to_fine", ["--auto-batch"], "--auto-batch measures one scene, and --data is given several times"),
    ],
)
def test_t11_what_cannot_be_is_one_sentence(
    two_scenes: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    preset: str,
    more: list[str],
    sentence: str,
) -> None:
    given = arguments(two_scenes, tmp_path / "out", "epochs=1", *more, preset=preset)
    given = [item for item in given if preset == "coarse_to_fine" or not item.startswith("model.options")]
    assert train(given) == 2
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("preset", ["multiscene_transformer", "coarse_to_fine"])
def test_it_memorises_32_images(tmp_path: Path, preset: str) -> None:
    """16 of either scene, the second one's inverted."""
    scenes = write_small_scene(tmp_path / "desk", frames=16), write_small_scene(tmp_path / "shelf", frames=16)
    for path in scenes[1].rglob("*.png"):
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    more = ["epochs=150", "optimizer.weight_decay=0", "optimizer.learning_rate=5e-4", "model.options.drop_connect=0"]
    more += ["image.smaller_edge=48", "image.height=48", "image.width=64", "model.options.width=128"]
    more += ["model.options.encoder_layers=1", "model.options.decoder_layers=1"]
    more += CLUSTERS if preset == "coarse_to_fine" else []
    more += [f"backbone.weights={ROOT / 'demo' / 'model'}"]  # from scratch batch norm's statistics need 1000 steps
    given = preset_arguments(preset, scenes[0], tmp_path / "out", "--data", f"7scenes:{scenes[1]}", *more)
    assert train(given) == 0
    localizer, metres, degrees = Localizer(tmp_path / "out", device="cpu"), [], []
    for scene in scenes:
        for image in load_scene(f"7scenes:{scene}").select("train"):
            estimate = localizer.localize(read_image(image.path))
            assert estimate.scene == scene.name
            metres.append(np.linalg.norm(estimate.pose.position - image.pose.position))
            degrees.append(rotation_angle_deg(estimate.pose.orientation, image.pose.orientation))
    print(f"{preset}: median {np.median(metres):.4f} m {np.median(degrees):.3f} deg")
    assert len(metres) == 32 and np.median(metres) < 0.02 and np.median(degrees) < 1


@pytest.fixture(scope="module")
def autoencoder(two_scenes: tuple[Path, Path], trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of the model of both scenes, with a decoder."""
    out = tmp_path_factory.mktemp("student") / "out"
    assert train(student(two_scenes, out, trained, "decoder.epochs=1")) == 0
    return out


def student(scenes: tuple[Path, ...], out: Path, teacher: Path, *more: str) -> list[str]:
    data = [item for scene in scenes for item in ("--data", f"7scenes:{scene}")]
    budget = ["epochs=30", "validate_every=30", "batch_size=4", "hold_out=false", "device=cpu", "cache_dir=none"]
    refined = ["model.options.neighbours=8", "model.options.ridge=0.1", f"teacher={teacher}", "decoder.epochs=0"]
    preset = str(ROOT / "config/train/pose_autoencoder.yaml")
    return ["--config", preset, *data, "--out", str(out), *budget, *refined, *more]


def test_an_autoencoder_knows_the_scenes_of_its_teacher(
    two_scenes: tuple[Path, Path], trained: Path, autoencoder: Path
) -> None:
    model, teacher = SceneModel.load(autoencoder), Localizer(trained, device="cpu")
    network = model.network
    assert [scene.name for scene in model.scenes] == ["desk", "shelf"] and network.scenes == 2
    scenes = [load_scene(f"7scenes:{path}") for path in two_scenes]
    counts = [len(scene.select("train")) for scene in scenes]
    assert network.scenes_N.tolist() == [0] * counts[0] + [1] * counts[1]
    labels = np.concatenate([[image.pose.position for image in scene.select("train")] for scene in scenes])
    np.testing.assert_allclose(network.positions_N3.numpy(), labels, atol=1e-6)
    localizer = Localizer(autoencoder, device="cpu")
    for image in [image for scene in scenes for image in scene.select("test")[:3]]:
        mine, its = (each.localize(read_image(image.path)) for each in (localizer, teacher))
        assert (mine.scene, mine.map_frame) == (its.scene, its.map_frame)
        assert mine.scene_probability == pytest.approx(its.scene_probability, abs=0.02)  # weights of half precision
        number = [scene.name for scene in model.scenes].index(mine.scene)
        known_N3 = network.positions_N3[network.scenes_N == number].numpy()
        # A combination of that scene's training poses, of which the smaller has five: weights add up to 1
        assert np.linalg.norm(mine.pose.position - known_N3.mean(axis=0)) < 5 * np.ptp(known_N3, axis=0).max() < 50


def test_each_scene_is_rendered_from_its_own_poses(
    two_scenes: tuple[Path, Path], autoencoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    render = runpy.run_path(str(ROOT / "training" / "render_pose.py"))["main"]
    pose = ["--pose", "0.5", "0", "0.25", "1", "0", "0", "0"]
    images = []
    for scene in ("desk", "shelf"):
        out = tmp_path / f"{scene}.png"
        assert render([str(autoencoder), *pose, "--out", str(out), "--scene", scene]) == 0
        images.append(read_image(out).astype(int))
    assert np.abs(images[0] - images[1]).max() > 5
    for more, sentence in ((), "no scene is given"), (("--scene", "attic"), "scene 'attic' is none"):
        assert render([str(autoencoder), *pose, "--out", str(tmp_path / "a.png"), *more]) == 2
        assert sentence in (message := capsys.readouterr().err) and "(--scene): desk, shelf" in message
    data = [item for scene in two_scenes for item in ("--data", f"7scenes:{scene}")]
    assert evaluate([str(autoencoder), *data, "--report", str(tmp_path / "report"), "--device", "cpu"]) == 0
    for scene in ("desk", "shelf"):
        assert (tmp_path / "report" / scene / "reconstructions.png").stat().st_size > 10_000


def test_a_student_with_crops_returns_a_scene_that_a_crop_was_taken_for(autoencoder: Path) -> None:
    network = SceneModel.load(autoencoder).network
    image_B3HW = torch.randn(6, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output = network(image_B3HW)
        mean = mean_over_views(output, images=2)
    for image, scene in enumerate(mean["scene"].tolist()):
        views = [view for view in range(3 * image, 3 * image + 3) if output["scene"][view] == scene]
        assert views  # at least one of the three
        torch.testing.assert_close(mean["position"][image], output["position"][views].mean(dim=0))


def test_t11_a_student_needs_its_teachers_scenes(
    two_scenes: tuple[Path, Path], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for scenes, sentence in (
        (two_scenes[:1], "a scene model of desk + shelf, but --data is given 1 times; give it once for each scene"),
        (two_scenes[::-1], "frames it was trained on are not training frames of 'shelf' here"),
    ):
        assert train(student(scenes, tmp_path / "out", trained)) == 2
        assert sentence in capsys.readouterr().err


def test_t09_a_start_of_the_same_scenes_in_another_order_is_refused(
    trained: Path, two_scenes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert train(arguments(two_scenes[::-1], tmp_path / "out", f"start_from={trained}")) == 2
    assert "a model of desk, shelf, but --data gives shelf, desk; give the same" in capsys.readouterr().err


def test_a_resumed_loss_has_the_clusters_that_the_network_has(two_scenes: tuple[Path, Path], tmp_path: Path) -> None:
    """Clusters that k-means would number otherwise today are still the checkpoint's, for the loss as well."""
    out = tmp_path / "out"
    call = arguments(two_scenes, out, "epochs=1", "hold_out=false")
    assert train(call) == 0
    path = out / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["network.orientation.centre_SKP"] = swapped = tensors["network.orientation.centre_SKP"].flip(1).contiguous()
    save_file(tensors, path, metadata=metadata)
    config = load_config(call[1], call[call.index("--out") + 2 :])
    scenes = [load_scene(f"7scenes:{scene}") for scene in two_scenes]
    run = Training(config, scenes, out, {}, WORLD, Checkpoint.read(path))
    state = run._begin(run.stages[0])
    assert torch.equal(state.loss.orientation_centre_SKP, swapped)
    assert torch.equal(state.network.orientation.centre_SKP, swapped)
