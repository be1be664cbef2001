"""The rows of the recipe's table: what each changes, and what it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROTATIONS = {"yaw": 20, "pitch": 13, "roll": 13}  # degrees
VIRTUAL = tuple(f"augmentation.virtual_rotation.{axis}={limit}" for axis, limit in ROTATIONS.items())
HALF = tuple(f"augmentation.virtual_rotation.{axis}={limit / 2}" for axis, limit in ROTATIONS.items())
LONGER = 3


@dataclass(frozen=True)
class RecipeRow:
    """`changes` are overrides beside those of the row `base` ('' for none); `margin` is the resized image's height as
    a multiple of the window's, `length` the epochs and `size` the window's height as multiples of the budget's; a
    `square` window discards the sides of the image."""

    name: str
    base: str = ""
    changes: tuple[str, ...] = ()
    margin: float | None = None
    length: float = 1.0
    size: float = 1.0
    square: bool = False

    def described(self) -> str:
        """What differs from the base, for the table."""
        parts = [f"window {1 / self.margin:.3g} of the image"] if self.margin else []
        parts += ["square"] if self.square else []
        parts += [f"{self.size:.3g} x height"] if self.size != 1 else []
        parts += [f"{self.length:.3g} x epochs"] if self.length != 1 else []
        return " ".join((*self.changes, ", ".join(parts))).strip() or "-"

    def overrides(self, height: int, epochs: int, given: Sequence[str] = ()) -> list[str]:
        """Overrides for training/train.py: the budget, the user's for all rows, the base's, the row's own."""
        bases, row = [self], self
        while row.base:
            row = _row(row.base)
            bases.insert(0, row)
        margin = next((row.margin for row in reversed(bases) if row.margin is not None), 1.0)
        epochs, height = math.ceil(epochs * self.length), round(height * self.size)
        width = height if self.square else round(height * 4 / 3)
        budget = [
            f"epochs={epochs}",
            f"validate_every={max(epochs, 1)}",
            f"image.smaller_edge={round(margin * height)}",
        ]
        budget += [f"image.height={height}", f"image.width={width}", "workers=0"]
        return [*budget, *given, *(change for row in bases for change in row.changes)]


def _row(name: str) -> RecipeRow:
    return next(row for row in ROWS if row.name == name)


ROWS = [
    # The papers' augmentation: random crop and colour jitter.
    RecipeRow("crop", margin=9 / 8),
    RecipeRow("crop_seed1", "crop", ("seed=1",)),
    RecipeRow("crop_papers_rate", "crop", ("optimizer.learning_rate=1e-4", "schedule.kind=step")),
    RecipeRow("whole_image", "crop", ("augmentation.random_crop=false",), margin=1.0),
    # Virtual rotation instead of the crop, on the whole image: the base of what follows.
    RecipeRow("virtual", "", VIRTUAL),
    RecipeRow("virtual_seed1", "virtual", ("seed=1",)),
    RecipeRow("virtual_seed2", "virtual", ("seed=2",)),
    RecipeRow("virtual_half", "virtual", HALF),
    RecipeRow("virtual_margin", "virtual", margin=9 / 8),
    # Which part of the image to see, for as many pixels in total: the papers' 224 of 256, to scale; 256x341; wider.
    RecipeRow("square", "virtual", margin=8 / 7, size=7 / 6, square=True),
    RecipeRow("wide", "virtual", size=4 / 3, length=9 / 16),
    RecipeRow("wider", "virtual", size=2.0, length=1 / 4),
    RecipeRow("as_recorded", "virtual", ("augmentation.as_recorded=0.3",)),
    RecipeRow("rate_1e-3", "virtual", ("optimizer.learning_rate=1e-3", "optimizer.clip_norm=5")),
    RecipeRow("rate_1e-3_no_clip", "virtual", ("optimizer.learning_rate=1e-3",)),
    RecipeRow("papers_rate", "virtual", ("optimizer.learning_rate=1e-4", "schedule.kind=step")),
    RecipeRow("step_schedule", "virtual", ("schedule.kind=step", "schedule.warmup_epochs=0")),
    RecipeRow("no_warm_up", "virtual", ("schedule.warmup_epochs=0",)),
    RecipeRow("ema", "virtual", ("ema_decay=0.99",)),
    RecipeRow("batch_16", "virtual", ("batch_size=16",)),
    RecipeRow("batch_32", "virtual", ("batch_size=32",)),
    RecipeRow("longer", "virtual", length=LONGER),
    RecipeRow("beta_120", "virtual", ("loss.beta=120",)),
    RecipeRow("no_dropout", "virtual", ("model.options.dropout=0.0",)),
    RecipeRow("no_colour", "virtual", ("augmentation.colour_jitter=0.0",)),
    RecipeRow("colour_0.25", "virtual", ("augmentation.colour_jitter=0.25",)),
    RecipeRow("gamma", "virtual", ("augmentation.gamma=0.3",)),
    RecipeRow("blur", "virtual", ("augmentation.blur=1.0",)),
    RecipeRow("noise", "virtual", ("augmentation.noise=10",)),
    RecipeRow("erasing", "virtual", ("augmentation.erasing=0.4",)),
    RecipeRow("adamw", "virtual", ("optimizer.kind=adamw", "optimizer.weight_decay=0.05")),
    RecipeRow("normalise_position", "virtual", ("model.options.normalise_position=true",)),
    RecipeRow("sign_invariant", "virtual", ("loss.rotation=sign_invariant",)),
    RecipeRow("geodesic", "virtual", ("loss.rotation=geodesic",)),
    RecipeRow("rotation_6d", "virtual", ("model.options.rotation=6d", "loss.rotation=geodesic")),
    RecipeRow("drop_path", "virtual", ("model.options.drop_path=0.1",)),
    RecipeRow("rays", "virtual", ("model.options.position_encoding=rays",)),
    RecipeRow("neighbours", "virtual", ("loss.neighbours=1",)),
    RecipeRow("neighbours_crop", "crop", ("loss.neighbours=1",)),
    # From a recording with depth: the camera is translated as well; a scene-coordinate head that is discarded.
    RecipeRow("translation", "virtual", ("augmentation.virtual_translation=0.2",)),
    RecipeRow("translation_completed", "translation", ("augmentation.view_completion=1",)),
    RecipeRow("points", "virtual", ("loss.points=1",)),
    RecipeRow("translation_points", "translation", ("loss.points=1",)),
]
