"""Images of another place, which a localizer should not localize: how many it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from transposenet_core.evaluation.offline import image_reader
from transposenet_core.localizer import Localizer
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import Scene


@dataclass(frozen=True)
class OtherPlaceResult:
    """How many of the ``images`` of ``scene``, which the model does not know, were ``not_localized``."""

    scene: str
    images: int
    not_localized: int

    @property
    def share(self) -> float:
        """Of the images that were not localized, 0 to 1; NaN where there are no images."""
        return self.not_localized / self.images if self.images else float("nan")

    def to_dict(self) -> dict:
        share = self.share if self.images else None
        return {"scene": self.scene, "images": self.images, "not_localized": self.not_localized, "share": share}

    def __str__(self) -> str:
        counts = f"not localized {self.not_localized} of {self.images} frames of {self.scene}"
        return f"{counts}, another place: {self.share:.1%}"


def evaluate_other_place(localizer: Localizer, scene: Scene, *, progress: bool = False) -> OtherPlaceResult:
    """Localize all images of a place that the model does not know. UserError for one that cannot be read.

    They are read as those of the model's first scene. With `progress` a bar goes to stderr.
    """
    read = image_reader(scene, localizer.scene_model.scenes[0])
    shown = ProgressBar(scene.images, desc="other", unit="img", disable=not progress)
    refused = [not localizer.localize(read(image)).localized for image in shown]
    return OtherPlaceResult(scene.name, len(refused), sum(refused))
