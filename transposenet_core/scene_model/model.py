"""A trained network with all that is needed to run and evaluate it, and its two files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors

from transposenet_core import __version__, checked
from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.models import build_model, model_class
from transposenet_core.models.allowed import MOST_SCENES
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model.known_frames import KnownFrames, checked_counts
from transposenet_core.scene_model.lower_precision import LowerPrecision
from transposenet_core.scene_model.mapped_scene import MappedScene
from transposenet_core.scene_model.parity import Parity, in_single_precision
from transposenet_core.scene_model.weights import (
    FRAMES_PREFIX,
    MODEL_PREFIX,
    MOST_BYTES,
    PARITY_PREFIX,
    WEIGHTS,
    Tensors,
    check_header,
    read_weights,
)
from transposenet_core.tensor_header import TensorHeader, below

SCHEMA = 2
DESCRIPTION, KEYFRAMES = "scene.json", "keyframes_{}.safetensors"
MAX_DESCRIPTION_BYTES = 4 * checked.MEBIBYTE
# Poses among the weights: float16 is 0.25 m off at 500 m. Vectors are kept whole anyway: a head's bias is a position.
EXACT = ("positions_N3", "orientations_N4", "centre_SKP")


@dataclass(eq=False)
class SceneModel:
    """A trained model of one scene or several.

    ``network`` is a `PoseModel` built by ``build_model(architecture, **options)``; ``scenes`` are those it knows, in
    its own order. ``parity_image_P3HW`` are windows (P, 3, h, w) uint8 whose poses are stored on saving and are
    in ``parity`` after loading; ``weights_sha256`` is the hash of the file that they were loaded from. ``bfloat16`` is
    None where that was not measured.
    """

    architecture: str
    options: dict
    preprocessing: Preprocessing
    network: Any
    scenes: tuple[MappedScene, ...]
    provenance: dict = field(default_factory=dict)
    parity_image_P3HW: torch.Tensor | None = None
    parity: Parity | None = None
    weights_sha256: str = ""
    bfloat16: LowerPrecision | None = None

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
        if len(data) > MOST_BYTES:
            raise UserError(
                f"{folder / WEIGHTS}: {len(data)} bytes, at most {MOST_BYTES} are read; take a smaller model"
            )
        description = json.dumps(self._describe(hashlib.sha256(data).hexdigest()), indent=1, allow_nan=False)
        # All are on disk before any gets its name: they are inconsistent only during a few renames.
        with ExitStack() as files:
            text, weights = (files.enter_context(write_atomically(folder / n)) for n in (DESCRIPTION, WEIGHTS))
            self._write_keyframes(folder, files)
            weights.write_bytes(data)
            text.write_text(description + "\n")

    def save_beside_weights(self, folder: str | Path) -> None:
        """Write all but the weights, which are those that the model was loaded with: its description and keyframes."""
        folder = Path(folder)
        description = json.dumps(self._describe(self.weights_sha256), indent=1, allow_nan=False)
        with ExitStack() as files:
            text = files.enter_context(write_atomically(folder / DESCRIPTION))
            self._write_keyframes(folder, files)
            text.write_text(description + "\n")
        for number, scene in enumerate(self.scenes):
            if scene.keyframes is None:
                (folder / KEYFRAMES.format(number)).unlink(missing_ok=True)

    def _write_keyframes(self, folder: Path, files: ExitStack) -> None:
        for number, scene in enumerate(self.scenes):
            if scene.keyframes:
                path = files.enter_context(write_atomically(folder / KEYFRAMES.format(number)))
                path.write_bytes(scene.keyframes.data())

    def _describe(self, weights_sha256: str) -> dict:
        return {
            "schema": SCHEMA,
            "architecture": {"name": self.architecture, "options": self.options},
            "preprocessing": asdict(self.preprocessing),
            "scenes": [scene.describe(KEYFRAMES.format(number)) for number, scene in enumerate(self.scenes)],
            "weights_sha256": weights_sha256,
            "versions": {"transposenet_ros": __version__, "torch": torch.__version__},
            **({"bfloat16": self.bfloat16.to_dict()} if self.bfloat16 else {}),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "provenance": self.provenance,
        }

    @classmethod
    def described(cls, folder: str | Path) -> SceneModel:
        """What the description of a scene model says, without network and frames. UserError as of `load`, but for the
        weights, which are not read."""
        folder = Path(folder)
        description = _read_description(folder)
        with _fitting(folder):
            return _described(cls, description, folder)

    @classmethod
    def load(cls, folder: str | Path) -> SceneModel:
        """Read a scene model onto the CPU, in float32 and evaluation mode. UserError names the file and its fault."""
        folder = Path(folder)
        description, path = _read_description(folder), folder / WEIGHTS
        header = TensorHeader.of(path, MOST_BYTES)
        with _fitting(folder):
            model = _described(cls, description, folder)
            counts = [checked_counts(scene["frames"]) for scene in description["scenes"]]
            tests = [scene.get("test_frames", 0) for scene in description["scenes"]]
            check_header(header.tensors, model.architecture, model.options, model.preprocessing, counts)
        tensors = read_weights(path, description.get("weights_sha256"))
        model.weights_sha256 = description["weights_sha256"]
        with _fitting(folder):
            return _filled(model, tensors, counts, tests)


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    """One sentence of whatever is found wrong while a scene model is put together."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, UserError) as error:
        # torch names the tensor that does not fit on its second line.
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{folder}: {DESCRIPTION} and {WEIGHTS} do not fit together ({type(error).__name__}: {reason}); "
            "train the scene again or copy the whole folder again"
        ) from None


def _described(cls: type[SceneModel], description: dict, folder: Path) -> SceneModel:
    """What the description alone says, every value within its bounds; the network is still missing."""
    scenes = checked.sequence("scenes", description["scenes"], 1, MOST_SCENES)
    architecture = checked.mapping("architecture", description["architecture"])
    name = checked.text("architecture.name", architecture["name"])
    options = checked.mapping("options", architecture["options"])
    preprocessing = Preprocessing(**checked.mapping("preprocessing", description["preprocessing"]))
    if preprocessing.crops > 1 and model_class(name).has_fixed_window(options):
        raise ValueError(f"crops is {preprocessing.crops}, and {name} knows the rays of the centre's window alone")
    return cls(
        architecture=name,
        options=options,
        preprocessing=preprocessing,
        network=None,
        scenes=tuple(MappedScene.read(checked.mapping("scene", each), folder) for each in scenes),
        provenance=checked.mapping("provenance", description.get("provenance", {})),
        bfloat16=LowerPrecision.read(description["bfloat16"]) if "bfloat16" in description else None,
    )


def _filled(model: SceneModel, tensors: Tensors, counts: list[dict[str, int]], tests: list[int]) -> SceneModel:
    """The same with the network, the known frames and the parity inputs."""
    for number, (scene, expected, test_frames) in enumerate(zip(model.scenes, counts, tests, strict=True)):
        scene.frames = KnownFrames.read(below(tensors, FRAMES_PREFIX.format(number)))
        if (found := scene.frames.counts()) != expected:
            raise ValueError(f"frames are {expected} in the description, {found} beside it")
        if (names := len(scene.frames.test_names)) != test_frames:
            raise ValueError(f"test_frames is {test_frames} in the description, {names} names are beside it")
    network = build_model(model.architecture, **model.options)
    network.load_state_dict(in_single_precision(below(tensors, MODEL_PREFIX)))
    network.check_loaded()
    model.network = network.eval()
    if parity := below(tensors, PARITY_PREFIX):
        model.parity = Parity.read(parity)
        model.parity_image_P3HW = model.parity.image_P3HW
    return model


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
        description = checked.parsed_json(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); copy the scene model again") from None
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema != SCHEMA:
        found = f"schema {schema!r:.80} found, this version reads schema {SCHEMA}"
        raise UserError(f"{path}: {found}; train the scene again")
    return description
