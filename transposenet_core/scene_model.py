"""The scene model: a folder `model.safetensors` + `scene.json` that describes itself; a node needs its path alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from transposenet_core import __version__
from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapped_scene import HeldOutError, MappedScene
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Intrinsics

SCHEMA = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "scene.json"
MAX_DESCRIPTION_BYTES = 16 * 2**20
MODEL_PREFIX = "model."
# Poses among the weights: float16 is 0.25 m off at 500 m. Vectors are kept whole anyway: a head's bias is a position.
EXACT = ("positions_N3", "orientations_N4", "centre_SKP")


@dataclass(eq=False)
class SceneModel:
    """A trained network with all it needs to be run and judged: what a scene is to a robot.

    Training poses (thinned): positions (N, 3) in metres and orientations (N, 4) w x y z, as they were labelled. A
    network of several scenes numbers them as ``scenes`` does: the first is the model's own, the others are
    ``further_scenes``.
    """

    name: str
    map_frame: str
    architecture: str
    options: dict
    preprocessing: Preprocessing
    network: nn.Module
    held_out_error: HeldOutError
    intrinsics: Intrinsics | None = None
    training_positions_N3: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    training_orientations_N4: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    T_pose_camera: Pose | None = None
    provenance: dict = field(default_factory=dict)
    further_scenes: tuple[MappedScene, ...] = ()

    @property
    def scenes(self) -> tuple[MappedScene, ...]:
        """All scenes, in the network's order."""
        poses = self.training_positions_N3, self.training_orientations_N4
        first = MappedScene(self.name, self.map_frame, self.held_out_error, self.intrinsics, *poses, self.T_pose_camera)
        return (first, *self.further_scenes)

    @property
    def title(self) -> str:
        """The names of all scenes."""
        return " + ".join(scene.name for scene in self.scenes)

    @property
    def camera(self) -> Intrinsics | None:
        """The camera that all scenes were recorded with; None where they were not, or it is not known."""
        cameras = {scene.intrinsics and replace(scene.intrinsics, source="") for scene in self.scenes}
        return self.intrinsics if len(cameras) == 1 else None

    def save(self, folder: str | Path, half_precision: bool = False) -> None:
        """Write both files; each appears whole or not at all, and the description carries the hash of its weights."""
        folder = Path(folder)
        tensors = {MODEL_PREFIX + key: value.detach().cpu() for key, value in self.network.state_dict().items()}
        if half_precision:
            halved = {k for k, v in tensors.items() if v.is_floating_point() and v.dim() > 1 and not k.endswith(EXACT)}
            tensors = {k: v.half() if k in halved else v for k, v in tensors.items()}
        for number, scene in enumerate(self.scenes):
            tensors |= scene.tensors(number)
        data = save_tensors({key: value.contiguous() for key, value in tensors.items()})
        description = json.dumps(self._describe(hashlib.sha256(data).hexdigest()), indent=1, allow_nan=False)
        # Both are on the disk before either gets its name: the moment in which the two do not fit is two renames long.
        with write_atomically(folder / DESCRIPTION) as text, write_atomically(folder / WEIGHTS) as weights:
            weights.write_bytes(data)
            text.write_text(description + "\n")

    def _describe(self, weights_sha256: str) -> dict:
        first, *further = (scene.describe() for scene in self.scenes)
        return {
            "schema": SCHEMA,
            **first,
            **({"further_scenes": further} if further else {}),
            "architecture": {"name": self.architecture, "options": self.options},
            "preprocessing": asdict(self.preprocessing),
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
            options = description["architecture"]["options"]
            network = build_model(description["architecture"]["name"], **options)
            state = {k[len(MODEL_PREFIX) :]: v for k, v in tensors.items() if k.startswith(MODEL_PREFIX)}
            network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
            described = [description, *description.get("further_scenes", [])]
            first, *further = (MappedScene.read(each, tensors, number) for number, each in enumerate(described))
            if len(described) != (known := getattr(network, "scenes", 1)):
                raise ValueError(f"{len(described)} scenes are described, the network is for {known}")
            return cls(
                **vars(first),
                architecture=description["architecture"]["name"],
                options=options,
                preprocessing=Preprocessing(**description["preprocessing"]),
                network=network.eval(),
                provenance=description.get("provenance", {}),
                further_scenes=tuple(further),
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            # torch names the tensor that does not fit on its second line.
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{folder}: {DESCRIPTION} and {WEIGHTS} do not fit together ({type(error).__name__}: {reason}); "
                "train the scene again or copy the whole folder again"
            ) from None


def _read_description(folder: Path) -> dict:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a scene model is a folder with {WEIGHTS} and {DESCRIPTION}")
    path = folder / DESCRIPTION
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        missing = " and ".join(name for name in (DESCRIPTION, WEIGHTS) if not (folder / name).is_file())
        raise UserError(f"{folder}: {missing} missing; a scene model is the folder that training/train.py --out wrote")
    if path.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise UserError(f"{path}: {path.stat().st_size} bytes, a description has at most {MAX_DESCRIPTION_BYTES}")
    try:
        description = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: no valid JSON ({error}); copy the scene model again") from None
    schema = description.get("schema") if isinstance(description, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path}: schema {schema!r} found, this version reads schema {SCHEMA}; train the scene again")
    return description


def _read_weights(path: Path, description: dict) -> dict[str, torch.Tensor]:
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
