"""Models: each takes ``image_B3HW`` and returns named tensors (`contract`); `registry` builds them by name."""

from __future__ import annotations

from transposenet_core.models.registry import (
    build_model,
    build_teacher,
    default_options,
    describe_option,
    model_class,
    model_names,
    names_where,
)

__all__ = [
    "build_model",
    "build_teacher",
    "default_options",
    "describe_option",
    "model_class",
    "model_names",
    "names_where",
]
