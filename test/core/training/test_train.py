"""Training from the command line on a small scene: it learns, writes its results, and names mistakes."""

import copy
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_runs import ROOT, TRAIN, arguments, figures, train

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.localizer import Localizer
from transposenet_core.models import default_options
from transposenet_core.presets import preset_path
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import SceneModel
from transposenet_core.tensor_header import TensorHeader
from transposenet_core.training.auto_batch import with_batch
from transposenet_core.training.checkpoint import Checkpoint, Progress, difference
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.distributed import World
from transposenet_core.training.loop import Training
from transposenet_core.training.memory import names_the_images
from transposenet_core.training.network import preprocessing_of
from transposenet_core.training.outcome import frames_digest
from transposenet_core.training.scene_data import load_scene_data


def test_it_leaves_a_model_curves_and_a_checkpoint(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=2")) == 0
    assert len(figures(out, "train_position")) == 2 == len(figures(out, "val_score"))
    assert any((out / "tensorboard").iterdir()) and (out / "checkpoint.safetensors").is_file()
    model = Localizer(out, device="cpu").scene_model
    assert len(model.scenes[0].training_positions_N3) == 24
    assert "none were held out" in model.scenes[0].held_out_error.source
    assert model.provenance["config"]["epochs"] == 2
    assert model.bfloat16 is not None and 0 < model.bfloat16.p95_m < 1 and model.bfloat16.p95_deg > 0
    # Whole in itself: a later version's other defaults must not change what this one is.
    assert model.options["heads"] == 4 and set(model.options) == set(default_options("transposenet"))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["transposenet", "transposenet_fast"])
def test_it_fits_a_small_scene(small_scene: Path, tmp_path: Path, name: str) -> None:
    """At the paper's width, in a minute or two: a tenth of the constant pose's error on its own 24 views."""
    out = tmp_path / "out"
    config = str(ROOT / "config" / "train" / "transposenet_cpu.yaml")
    more = ["augmentation.colour_jitter=0.0", "augmentation.random_crop=false", "optimizer.learning_rate=5e-4"]
    more += ["image.smaller_edge=60", "image.height=60", "image.width=80", "model.options.layers=1"]
    more += ["epochs=200", "validate_every=100", "device=cpu", f"model.name={name}"]
    assert train(["--config", config, "--data", str(small_scene), "--out", str(out), *more]) == 0
    # The sum of both medians as shares of the constant pose's, which itself has 2.
    assert min(figures(out, "val_score")) < 0.2


def test_a_moving_average_is_validated_and_saved(small_scene: Path, tmp_path: Path) -> None:
    for name, decay in (("plain", "0.0"), ("averaged", "0.9")):
        assert train(arguments(small_scene, tmp_path / name, "epochs=2", f"ema_decay={decay}")) == 0
    # It changes what is validated, not what is learnt.
    assert figures(tmp_path / "plain") == figures(tmp_path / "averaged")
    assert figures(tmp_path / "plain", "val_score") != figures(tmp_path / "averaged", "val_score")


def test_auto_batch_measures_chooses_and_resumes_with_its_choice(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1", "--auto-batch")) == 0
    # 24 images leave batches of 4 alone to choose from, at 3e-4 * sqrt(4 / 8).
    assert "chosen: batch_size=4 optimizer.learning_rate=0.000212" in capsys.readouterr().out
    assert "batch_size: 4" in (out / "config.yaml").read_text()
    again = ["--auto-batch", "--resume"]
    assert train(arguments(small_scene, out, "epochs=1", *again)) == 0
    # A rate given with --resume takes effect: the message of a run that diverged suggests it.
    slower = ["epochs=2", "schedule.kind=step", "optimizer.learning_rate=1e-6", *again]
    assert train(arguments(small_scene, out, *slower)) == 2
    assert "optimizer.learning_rate was 0.000212132" in capsys.readouterr().err
    assert train(arguments(small_scene, out, *slower, "schedule.warmup_epochs=0", "--override")) == 0
    assert figures(out, "learning_rate")[-1] == pytest.approx(1e-6 * 0.5**0.5)


def test_auto_batch_scales_the_rates_of_both_stages() -> None:
    config = with_batch(TrainConfig(), 32)
    assert (config.batch_size, config.optimizer.learning_rate, config.heads.learning_rate) == (32, 2e-4, 2e-3)


def test_a_batch_of_one_learns(small_scene: Path, tmp_path: Path) -> None:
    assert train(arguments(small_scene, tmp_path / "out", "epochs=1", "batch_size=1")) == 0
    assert figures(tmp_path / "out", "train_position")[0] > 0


def test_images_without_held_out_frames_are_kept_once(small_scene: Path, tmp_path: Path) -> None:
    config = load_config(None, ["image.smaller_edge=32", "image.height=32", "image.width=32", "device=cpu"])
    world = World(torch.device("cpu"))
    training = Training(config, [load_scene(f"7scenes:{small_scene}")], tmp_path / "out", {}, world)
    (validator,), (pixels,) = training.outcome.validators.validators, training.pixels.scenes
    assert validator.pixels is pixels and len(training.pixels) == 24
    with pytest.raises(UserError, match="25 processes cannot share 24 training frames"):
        Training(config, [load_scene(f"7scenes:{small_scene}")], tmp_path / "out", {}, World(world.device, 0, 25))


@pytest.mark.parametrize(
    ("number", "code", "background"),
    [
        ("SIGINT", 130, True),
        pytest.param("SIGTERM", 143, False, marks=pytest.mark.long),
    ],
)
def test_t14_a_stopped_process_leaves_a_usable_model(
    small_scene: Path, tmp_path: Path, number: str, code: int, background: bool
) -> None:
    """Before the first validation; a shell starts what is in the background with SIGINT ignored."""
    out = tmp_path / "out"
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"] if background else []
    words = [sys.executable, str(TRAIN), *arguments(small_scene, out, "epochs=100000", "validate_every=90000")]
    process = subprocess.Popen([*shell, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 90
    while not (out / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.Signals[number])
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"{number}: stops and leaves a scene model" in complaint
    assert "is usable, --resume continues" in complaint and "Traceback" not in complaint
    assert Localizer(out, device="cpu").scene_model.title == "desk"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["learing_rate=1"], "unknown key 'learing_rate'"),
        (["--resume"], "there is no checkpoint to resume"),
        (["--split", "absent.csv"], "absent.csv: the split file cannot be read"),
        (["model.options.layer=2"], "did you mean 'layers'"),
        (["model.options.layers=two"], "cannot be built"),
        (["model.options.heads=3"], "width 32 is not divisible by 3 heads"),
        (["model.name=foo"], "unknown model 'foo'"),
        (["model.options.layers=0"], "layers is 0, a whole number from 1 to 48"),
        (["model.options.orientation_stride=0"], "orientation_stride is 0, a whole number from 1 to 64"),
        (["model.options.width=33", "model.options.heads=3"], "width 33 is odd"),
        (["model.options.attention_dropout=2"], "attention_dropout is 2, a number from 0 to 1"),
        (["model.options.drop_connect=5"], "drop_connect is 5, a number from 0 to 1"),
        (["seed=99999999999999999"], "seed is 99999999999999999, allowed is"),
        (["batch_size=100000000000000000000"], "batch_size is 100000000000000000000, allowed is"),
        (["image.smaller_edge=200000"], "image.smaller_edge is 200000, allowed is a finite value at least 1 and"),
        (["image.height=4096", "image.width=4096"], "image_size is 4096 x 4096, at most 2097152 pixels are allowed"),
        (["epochs=0"], "epochs and heads.epochs are both 0"),
        (["epochs=0", "heads.epochs=1"], "start_from is empty"),
        (["start_from=absent"], "absent: no such folder"),
        (["start_from=absent", "backbone.weights=imagenet"], "a scene model has its own backbone"),
        (["backbone.weights=absent.pth"], "absent.pth"),
    ],
)
def test_mistakes_are_one_sentence(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], sentence: str
) -> None:
    assert train(arguments(small_scene, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and sentence in error


def test_images_that_do_not_fit_into_the_memory_are_counted() -> None:
    sentence = "24 images with a smaller edge of 256 pixels do not fit into the memory"
    with pytest.raises(UserError, match=sentence), names_the_images(24, load_config(None)):
        torch.empty(2**60, dtype=torch.uint8)


def test_difference_names_nested_keys() -> None:
    old, new = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert difference(old, new) == ["a.c was 2, is 4", "d was 3, is None", "e was None, is 5"]


def test_t09_other_labels_are_another_beginning() -> None:
    """Which images, in which split, where they were taken, and of which body the labels are."""
    images = [
        PosedImage(f"{n}.png", Path(f"{n}.png"), Pose([n, 0, 0], [1.0, 0, 0, 0]), "train", "a", 0.1 * n)
        for n in range(3)
    ]
    scene = Scene("desk", images)
    moved = replace(images[1], pose=Pose([1.001, 0, 0], [1.0, 0, 0, 0]))
    rounded = replace(images[1], pose=Pose([1 + 1e-12, -1e-12, -0.0], [1.0, -1e-14, 1e-14, 0]))
    others = [
        replace(scene, images=[images[0], moved, images[2]]),
        replace(scene, images=[images[0], replace(images[1], split="val"), images[2]]),
        replace(scene, images=images[:2]),
        replace(scene, T_pose_camera=Pose([0.025, 0, 0], [1.0, 0, 0, 0])),
    ]
    digests = {frames_digest(each) for each in (scene, *others)}
    assert len(digests) == 5
    assert frames_digest(replace(scene, images=[images[0], rounded, images[2]])) == frames_digest(scene)


def test_a_name_that_no_scene_model_may_have_is_refused_before_an_image_is_read() -> None:
    """Python stands half characters for the bytes of a file's name that are no UTF-8."""
    here = Pose([0, 0, 0], [1.0, 0, 0, 0])
    scene = Scene("desk", [PosedImage("\udcff.png", Path("absent.png"), here, "train", "s", 0.0)])
    assert len(frames_digest(scene)) == 16
    config = load_config(preset_path("transposenet_cpu"), [])
    with pytest.raises(UserError, match=r"scene desk .*a name is '.udcff.png', in which half a character .* rename"):
        load_scene_data(scene, config, preprocessing_of(config), World(torch.device("cpu")))


def test_a_run_from_before_a_key_was_there_had_its_default(tmp_path: Path) -> None:
    now = load_config(None, ["epochs=3"]).to_dict() | {"frames": "abc"}
    before = copy.deepcopy(now)
    del before["augmentation"]["view_completion"]
    checkpoint = Checkpoint(tmp_path, Progress(stages=["all"]), before, 0, TensorHeader({}, {}))
    checkpoint.check(now, override=False)
    now["augmentation"] |= {"virtual_translation": 0.1, "view_completion": 1.0}
    with pytest.raises(UserError, match="augmentation.view_completion was 0.0, is 1.0"):
        checkpoint.check(now, override=False)


def test_pretrained_backbones_are_taken_and_named_in_the_scene_model(small_scene: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(arguments(small_scene, first, "epochs=1")) == 0
    source = arguments(small_scene, second, "epochs=1", "optimizer.learning_rate=1e-12", f"backbone.weights={first}")
    assert train(source) == 0
    given, taken = (SceneModel.load(folder) for folder in (first, second))
    key = "backbone.stem.weight"
    torch.testing.assert_close(taken.network.state_dict()[key], given.network.state_dict()[key])
    assert "sha256" in taken.provenance["backbone"] and given.provenance["backbone"] == "from scratch"
