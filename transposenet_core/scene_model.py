"""The scene model: a folder `model.safetensors` + `scene.json` that describes itself; a node needs its path alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
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
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Intrinsics

SCHEMA = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "scene.json"
MAX_DESCRIPTION_BYTES = 16 * 2**20
MODEL_PREFIX, POSES_PREFIX = "model.", "training_poses."
EXACT = ("positions_N3", "orientations_N4")  # poses among the weights: float16 is 0.25 m off at 500 m


@dataclass(frozen=True)
class HeldOutError:
    """Standard deviations of the error on frames the weights were not fitted to: along the map's axes, metres and
    radians (rotation vector). ``source`` says which frames these were."""

    position_std: tuple[float, float, float]
    rotation_std: tuple[float, float, float]
    source: str

    def covariance_66(self) -> np.ndarray:
        return np.diag(np.square([*self.position_std, *self.rotation_std]))


@dataclass(eq=False)
class SceneModel:
    """A trained network with all it needs to be run and judged: what a scene is to a robot.

    Training poses (thinned): positions (N, 3) in metres and orientations (N, 4) w x y z, ``T_map_camera``.
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
    provenance: dict = field(default_factory=dict)

    def save(self, folder: str | Path, half_precision: bool = False) -> None:
        """Write both files; each appears whole or not at all, and the description carries the hash of its weights."""
        folder = Path(folder)
        tensors = {MODEL_PREFIX + key: value.detach().cpu() for key, value in self.network.state_dict().items()}
        if half_precision:
            halved = {k for k, v in tensors.items() if v.is_floating_point() and not k.endswith(EXACT)}
            tensors = {k: v.half() if k in halved else v for k, v in tensors.items()}
        tensors[POSES_PREFIX + "positions"] = torch.from_numpy(self.training_positions_N3.astype(np.float32))
        tensors[POSES_PREFIX + "orientations"] = torch.from_numpy(self.training_orientations_N4.astype(np.float32))
        data = save_tensors({key: value.contiguous() for key, value in tensors.items()})
        description = json.dumps(self._describe(hashlib.sha256(data).hexdigest()), indent=1, allow_nan=False)
        # Both are on the disk before either gets its name: the moment in which the two do not fit is two renames long.
        with write_atomically(folder / DESCRIPTION) as text, write_atomically(folder / WEIGHTS) as weights:
            weights.write_bytes(data)
            text.write_text(description + "\n")

    def _describe(self, weights_sha256: str) -> dict:
        poses = self.training_positions_N3
        return {
            "schema": SCHEMA,
            "name": self.name,
            "map_frame": self.map_frame,
            "architecture": {"name": self.architecture, "options": self.options},
            "preprocessing": asdict(self.preprocessing),
            "intrinsics": None if self.intrinsics is None else self.intrinsics.to_dict(),
            "held_out_error": asdict(self.held_out_error),
            "hull": {"min": poses.min(0).tolist(), "max": poses.max(0).tolist()} if len(poses) else None,
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
            intrinsics, held_out = description["intrinsics"], description["held_out_error"]
            position_std, rotation_std = (tuple(map(float, held_out[k])) for k in ("position_std", "rotation_std"))
            return cls(
                name=str(description["name"]),
                map_frame=str(description["map_frame"]),
                architecture=description["architecture"]["name"],
                options=options,
                preprocessing=Preprocessing(**description["preprocessing"]),
                network=network.eval(),
                held_out_error=HeldOutError(**{**held_out, "position_std": position_std, "rotation_std": rotation_std}),
                intrinsics=None if intrinsics is None else Intrinsics(**intrinsics),
                training_positions_N3=tensors[POSES_PREFIX + "positions"].double().numpy(),
                training_orientations_N4=tensors[POSES_PREFIX + "orientations"].double().numpy(),
                provenance=description.get("provenance", {}),
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
