"""A trained network with all that is needed to run and evaluate it, and its two files."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from transposenet_core import __version__
from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import checked
from transposenet_core.scene_model.mapped_scene import MappedScene
from transposenet_core.scene_model.parity import Parity

SCHEMA = 2
WEIGHTS, DESCRIPTION, KEYFRAMES = "model.safetensors", "scene.json", "keyframes_{}.safetensors"
MAX_DESCRIPTION_BYTES = 16 * 2**20
MODEL_PREFIX, FRAMES_PREFIX, PARITY_PREFIX = "model.", "frames.{}.", "parity."
MOST_SCENES = 1000
# Poses among the weights: float16 is 0.25 m off at 500 m. Vectors are kept whole anyway: a head's bias is a position.
EXACT = ("positions_N3", "orientations_N4", "centre_SKP")

Tensors = dict[str, torch.Tensor]


@dataclass(eq=False)
class SceneModel:
    """A trained model of one scene or several.

    ``network`` is a `PoseModel` built by ``build_model(architecture, **options)``; ``scenes`` are those it knows, in
    its own order. ``parity_image_P3HW`` are windows (P, 3, h, w) uint8 whose poses are stored on saving and are
    in ``parity`` after loading.
    """

    architecture: str
    options: dict
    preprocessing: Preprocessing
    network: Any
    scenes: tuple[MappedScene, ...]
    provenance: dict = field(default_factory=dict)
    parity_image_P3HW: torch.Tensor | None = None
    parity: Parity | None = None

    @property
    def title(self) -> str:
        """The names of all scenes."""
        return " + ".join(scene.name for scene in self.scenes)

    @property
    def camera(self) -> Intrinsics | None:
        """The camera that all scenes were recorded with; None where they differ, or it is unknown."""
        cameras = {scene.intrinsics and replace(scene.intrinsics, source="") for scene in self.scenes}
        return self.scenes[0].intrinsics if len(cameras) == 1 else None

    def save(self, folder: str | Path, half_precision: bool = False) -> None:
        """Write its files; each appears whole or not at all, and the description has the hashes of the others."""
        folder = Path(folder)
        state = {key: value.detach().cpu() for key, value in self.network.state_dict().items()}
        if half_precision:
            halved = {k for k, v in state.items() if v.is_floating_point() and v.dim() > 1 and not k.endswith(EXACT)}
            state = {k: v.half() if k in halved else v for k, v in state.items()}
        tensors = {MODEL_PREFIX + key: value for key, value in state.items()}
        for number, scene in enumerate(self.scenes):
            tensors |= {FRAMES_PREFIX.format(number) + key: value for key, value in scene.frames.tensors().items()}
        if self.parity_image_P3HW is not None:
            parity = Parity.of(self.network, state, self.parity_image_P3HW)
            tensors |= {PARITY_PREFIX + key: value for key, value in parity.tensors().items()}
        data = save_tensors({key: value.contiguous() for key, value in tensors.items()})
        description = json.dumps(self._describe(hashlib.sha256(data).hexdigest()), indent=1, allow_nan=False)
        # All are on disk before any gets its name: they are inconsistent only during a few renames.
        with ExitStack() as files:
            text, weights = (files.enter_context(write_atomically(folder / n)) for n in (DESCRIPTION, WEIGHTS))
            for number, scene in enumerate(self.scenes):
                if scene.keyframes:
                    path = files.enter_context(write_atomically(folder / KEYFRAMES.format(number)))
                    path.write_bytes(scene.keyframes.data())
            weights.write_bytes(data)
            text.write_text(description + "\n")

    def _describe(self, weights_sha256: str) -> dict:
        return {
            "schema": SCHEMA,
            "architecture": {"name": self.architecture, "options": self.options},
            "preprocessing": asdict(self.preprocessing),
            "scenes": [scene.describe(KEYFRAMES.format(number)) for number, scene in enumerate(self.scenes)],
            "weights_sha256": weights_sha256,
            "versions": {"transposenet_ros": __version__, "torch": torch.__version__},
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "provenance": self.provenance,
        }

    @classmethod
    def load(cls, folder: str | Path) -> SceneModel:
        """Read a scene model onto the CPU, in float32 and evaluation mode. UserError names the file and its fault."""
        folder = Path(folder)
        description = _read_description(folder)
        tensors = _read_weights(folder / WEIGHTS, description)
        try:
            return _assembled(cls, description, tensors, folder)
        except (KeyError, TypeError, ValueError, RuntimeError, UserError) as error:
            # torch names the tensor that does not fit on its second line.
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{folder}: {DESCRIPTION} and {WEIGHTS} do not fit together ({type(error).__name__}: {reason}); "
                "train the scene again or copy the whole folder again"
            ) from None


def _assembled(cls: type[SceneModel], description: dict, tensors: Tensors, folder: Path) -> SceneModel:
    described = description["scenes"]
    if not isinstance(described, list) or not 1 <= len(described) <= MOST_SCENES:
        raise ValueError(f"scenes are not a list of 1 to {MOST_SCENES}")
    scenes = tuple(
        MappedScene.read(checked.mapping("scene", each), _below(tensors, FRAMES_PREFIX.format(number)), folder)
        for number, each in enumerate(described)
    )
    architecture = checked.mapping("architecture", description["architecture"])
    name, options = checked.text("architecture.name", architecture["name"]), architecture["options"]
    network = build_model(name, **checked.every_number("options", checked.mapping("options", options)))
    state = _below(tensors, MODEL_PREFIX)
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    if len(scenes) != network.scenes:
        raise ValueError(f"{len(scenes)} scenes are described, the network is for {network.scenes}")
    parity = _below(tensors, PARITY_PREFIX)
    read = Parity.read(parity) if parity else None
    return cls(
        architecture=name,
        options=options,
        preprocessing=_preprocessing(checked.mapping("preprocessing", description["preprocessing"])),
        network=network.eval(),
        scenes=scenes,
        provenance=checked.mapping("provenance", description.get("provenance", {})),
        parity_image_P3HW=read.image_P3HW if read else None,
        parity=read,
    )


def _preprocessing(values: dict) -> Preprocessing:
    checked.whole("smaller_edge", values["smaller_edge"], 1, 4096)
    checked.numbers("image_size", values["image_size"], 2, 1, 4096)
    checked.whole("crops", values.get("crops", 1), 1, 1024)
    return Preprocessing(**values)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _read_description(folder: Path) -> dict:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a scene model is a folder with {WEIGHTS} and {DESCRIPTION}")
    path = folder / DESCRIPTION
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        missing = " and ".join(name for name in (DESCRIPTION, WEIGHTS) if not (folder / name).is_file())
        raise UserError(f"{folder}: {missing} missing; a scene model is the folder that transposenet train --out wrote")
    if path.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise UserError(f"{path}: {path.stat().st_size} bytes, a description has at most {MAX_DESCRIPTION_BYTES}")
    try:
        description = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); copy the scene model again") from None
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path}: schema {schema!r} found, this version reads schema {SCHEMA}; train the scene again")
    return description


def _read_weights(path: Path, description: dict) -> Tensors:
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != description.get("weights_sha256"):
            raise UserError(
                f"{path}: {len(data)} bytes whose hash is not the one in {DESCRIPTION}, the file is truncated or of "
                "another model; copy the whole folder again"
            )
        return load_tensors(data)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: the weights cannot be read ({error}); copy the scene model again") from None
