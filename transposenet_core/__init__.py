"""Train on posed images of a place, localize images in it, evaluate the result. No ROS import anywhere."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Loaded on first use: `import transposenet_core` must stay quick, and torch alone takes seconds.
_PUBLIC = {
    "Estimate": "estimate",
    "Localizer": "localizer",
    "Pose": "geometry.pose",
    "Scene": "scene",
    "SceneModel": "scene_model",
    "UserError": "errors",
    "load_scene": "formats",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'transposenet_core' has no attribute '{name}'")
    return getattr(importlib.import_module(f"transposenet_core.{_PUBLIC[name]}"), name)
