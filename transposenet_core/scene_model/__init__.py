"""The scene model: a folder `model.safetensors` + `scene.json` that is self-contained; a node only needs its path."""

from __future__ import annotations

from transposenet_core.scene_model.keyframes import Keyframes
from transposenet_core.scene_model.known_frames import KnownFrames
from transposenet_core.scene_model.lower_precision import LowerPrecision
from transposenet_core.scene_model.mapped_scene import KEPT, Calibration, HeldOutError, MappedScene, RefinementError
from transposenet_core.scene_model.model import DESCRIPTION, SCHEMA, WEIGHTS, SceneModel
from transposenet_core.scene_model.parity import Parity

__all__ = [
    "DESCRIPTION",
    "KEPT",
    "SCHEMA",
    "WEIGHTS",
    "Calibration",
    "HeldOutError",
    "Keyframes",
    "KnownFrames",
    "LowerPrecision",
    "MappedScene",
    "Parity",
    "RefinementError",
    "SceneModel",
]
