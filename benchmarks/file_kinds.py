"""Kinds of files for `file_fuzz.py` that hold tensors: good ones of each, small, and who reads them in this project."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from reference_layout import Reference
from safetensors.torch import save_file
from small_models import SIZE, small_model
from untrained import one_scene

from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.checkpoints.reference_checkpoint import convert
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.localizer import Localizer
from transposenet_core.models.backbone import build_backbone
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import DESCRIPTION, WEIGHTS, Keyframes, KnownFrames, SceneModel
from transposenet_core.scene_model.keyframes import KeyframesFile
from transposenet_core.training.checkpoint import Checkpoint, Progress, State, save_checkpoint
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.pixel_cache import PixelCache
from transposenet_core.training.optimization import build_optimizer
from transposenet_core.training.stages import plan

IMAGE_HW3 = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
MODELS = (
    "transposenet_fast",
    "scene_coordinates",
    "multiscene_transformer",
    "pose_autoencoder",
    "retrieval",
    "posenet",
)
KEYFRAMES, CHECKPOINT = "keyframes_0.safetensors", "checkpoint.safetensors"
FILES = ("new.pth", "old.pth", "plain.safetensors")
UNUSED = re.compile(r"_blocks\.1[1-5]\.|body\._(conv_head|bn1|fc)\.")
CACHED, KEY = (6, 3, 12, 16), "0" * 32


class Good(NamedTuple):
    """The good file `file` in `folder`, and what else is written with its bytes (a hash in another file)."""

    folder: Path
    file: str
    follow: Callable[[Path, bytes], None] | None = None


class Kind(NamedTuple):
    """`write` makes good files below a folder, `read` does with a file in a folder what the project does."""

    write: Callable[[Path], list[Good]]
    read: Callable[[Path, str], object]


def _models(root: Path, names: Sequence[str] = MODELS) -> list[Path]:
    """Scene models of several architectures, with all parts that one may have."""
    rng = np.random.default_rng(1)
    camera = Intrinsics(128, 96, 100.0, 100.0, 63.5, 47.5, "made up", True)
    frames = KnownFrames(("a.png", "b\u00fc.png"), np.array([0, 1]), rng.normal(size=(2, 3)), np.eye(4)[:2])
    keyframes = Keyframes(
        rng.integers(0, 256, (3, 12, 16), dtype=np.uint8),
        rng.uniform(0, 200, (3, 6, 8)).astype(np.float16),
        rng.normal(size=(3, 3)),
        np.tile([0.5, 0.5, -0.5, 0.5], (3, 1)),
        Intrinsics(16, 12, 20.0, 20.0, 7.5, 5.5),
    )
    scenes = one_scene("desk", frames=frames, intrinsics=camera, keyframes=KeyframesFile.of(keyframes))
    for name in names:
        network, options = small_model(name, **({"decoder": False} if name == "pose_autoencoder" else {}))
        if network.MEMORISES:
            orientation_B4 = torch.nn.functional.normalize(torch.randn(5, 4), dim=-1)
            network.memorise(torch.randn(5, 3, *SIZE), torch.randn(5, 3), orientation_B4)
        preprocessing = Preprocessing(72, SIZE, crops=2 if name == "posenet" else 1)
        model = SceneModel(name, options, preprocessing, network.eval(), scenes)
        model.parity_image_P3HW = torch.zeros(1, 3, *SIZE, dtype=torch.uint8)
        model.provenance = {"config": load_config(None).to_dict()}
        model.save(root / name, half_precision=name == "retrieval")
    return [root / name for name in names]


def _forge(folder: Path, data: bytes) -> None:
    """Give damaged weights their new hash, as whoever means harm would."""
    path = folder / DESCRIPTION
    description = json.loads(path.read_text())
    path.write_text(json.dumps(description | {"weights_sha256": hashlib.sha256(data).hexdigest()}))


def _localize(folder: Path, _: str) -> None:
    estimate = Localizer(folder, "cpu").localize(IMAGE_HW3)
    assert np.isfinite(estimate.covariance_66).all(), "a covariance that is not finite"
    assert estimate.pose is None or np.isfinite(estimate.pose.position).all(), "a position that is not finite"


def _keyframes(folder: Path, file: str) -> None:
    data = (folder / file).read_bytes()
    KeyframesFile(3, hashlib.sha256(data).hexdigest(), folder / file).load()


@cache
def _run() -> tuple[Any, State]:
    """A configuration and a small network with all that moves in a training."""
    config = load_config(None, ["epochs=3"])
    network, _ = small_model("transposenet")
    (stage,) = plan(config)
    loss = stage.build_loss(config, network)
    return config, State(network, loss, build_optimizer(network, loss, stage, config.optimizer, torch.device("cpu")))


def _checkpoint(root: Path) -> list[Good]:
    config, state = _run()
    for parameter in state.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimizer.step()
    progress = Progress(0, 1, 0, 0.5, {"all": {"epoch": 1, "m": 0.5, "deg": 9.0}}, ["all"], "from scratch")
    save_checkpoint(root / CHECKPOINT, state, progress, config.to_dict() | {"frames": "abc"})
    return [Good(root, CHECKPOINT)]


def _resume(folder: Path, file: str) -> None:
    config, state = _run()
    checkpoint = Checkpoint.read(folder / file)
    checkpoint.check(config.to_dict() | {"frames": "abc"}, override=True)
    checkpoint.progress_in(["all"], config.epochs)
    checkpoint.load_network(state.network)
    checkpoint.load_into(state)


def _weights(root: Path) -> list[Good]:
    state = build_backbone("efficientnet-b0", (2,), 0.2).state_dict()
    torch.save(state, root / FILES[0])
    torch.save({"state_dict": state}, root / FILES[1], _use_new_zipfile_serialization=False)
    save_file(state, root / FILES[2])
    return [Good(root, name) for name in FILES]


def _import(folder: Path, file: str) -> None:
    load_pretrained_backbone(build_backbone("efficientnet-b0", (2,), 0.2), "efficientnet-b0", str(folder / file))


def _reference(root: Path) -> list[Good]:
    """Without what the backbone has after its last map in use: nothing reads it."""
    for name, scenes in (("one.pth", 0), ("several.pth", 2)):
        torch.manual_seed(7)
        state = Reference(layers=2, scenes=scenes, width=32).state_dict()
        torch.save({key: value for key, value in state.items() if not UNUSED.search(key)}, root / name)
    return [Good(root, name) for name in ("one.pth", "several.pth")]


def _cache(root: Path) -> list[Good]:
    def fill(store: Callable[[int, torch.Tensor], None]) -> None:
        for number in range(CACHED[0]):
            store(number, torch.full(CACHED[1:], number, dtype=torch.uint8))

    PixelCache(root).put(KEY, CACHED, fill)
    return [Good(root, f"{KEY}.npy")]


def _read_cache(folder: Path, _: str) -> None:
    entry = PixelCache(folder).get(KEY, CACHED)
    assert entry is None or (tuple(entry.shape) == CACHED and entry.sum() >= 0), "an entry of another shape"


KINDS: dict[str, Kind] = {
    DESCRIPTION: Kind(lambda root: [Good(folder, DESCRIPTION) for folder in _models(root)], _localize),
    WEIGHTS: Kind(lambda root: [Good(folder, WEIGHTS, _forge) for folder in _models(root)], _localize),
    "keyframes": Kind(lambda root: [Good(_models(root, ["retrieval"])[0], KEYFRAMES)], _keyframes),
    "checkpoint": Kind(_checkpoint, _resume),
    "imported weights": Kind(_weights, _import),
    "public checkpoint": Kind(_reference, lambda folder, file: convert(folder / file)),
    "pixel cache": Kind(_cache, _read_cache),
}
