"""Refines a predicted pose against keyframes of the scene: it knows poses, images, depth and lenses, and no network.

An image is warped into a keyframe's view at the predicted pose, the keyframe's corners are tracked into it, and the
pose is fitted to them. `Refiner` is the way in; the other modules are its steps, in the order of the data: `levels`,
`selection`, `template`, `rotating` (only for predictions that are far off), `warp`, `tracking`, `gauss_newton`,
`covariance`, `acceptance`.
"""

from __future__ import annotations

from transposenet_core.refinement.refiner import Refinement, Refiner

__all__ = ["Refinement", "Refiner"]
