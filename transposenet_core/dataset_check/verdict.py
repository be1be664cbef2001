"""The result of the motion test: how well each pose convention explains the images, and the verdict in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from transposenet_core.dataset_check.mounting import Mounting
from transposenet_core.formats.declared_convention import PoseConvention

FEWEST_PAIRS = 6
LEAST_MARGIN, LEAST_SIGMAS = 0.1, 3.0
SMALL_ROTATION_DEG = 30.0  # the usual axes are 90, 120 or 180 degrees apart

Outcome = Literal["as given", "another convention", "another body", "undecided", "no convention fits", "too few pairs"]


@dataclass(frozen=True, eq=False)
class Score:
    """How well one convention explains the matches: mean over the pairs of the share within the tolerance, in 0..1.

    ``median_px`` is the median distance of all matches; ``shares_K`` holds each pair's share.
    """

    convention: PoseConvention | Mounting
    shares_K: np.ndarray
    median_px: float

    @property
    def share(self) -> float:
        return float(self.shares_K.mean()) if len(self.shares_K) else 0.0

    def beats(self, other: Score, margin: float = LEAST_MARGIN) -> bool:
        """Clearly better: by `margin`, and by three standard errors of the pairs' differences."""
        gain_K = self.shares_K - other.shares_K
        return bool(gain_K.mean() >= max(margin, LEAST_SIGMAS * gain_K.std() / np.sqrt(len(gain_K))))

    def __str__(self) -> str:
        return f"{self.share:.0%}, median {self.median_px:.1f} px"


@dataclass(frozen=True, eq=False)
class ConventionVerdict:
    """The result for the poses. ``scores`` has all conventions, the best first.

    ``contenders`` are the conventions that are not clearly worse than the best: one where the motion decides.
    """

    outcome: Outcome
    given: PoseConvention
    scores: list[Score]
    contenders: list[Score]
    mounting: Score | None
    pairs: int
    tried: int
    matches: int
    tolerance_px: float
    camera: str

    @property
    def wrong(self) -> bool:
        """The convention as given is contradicted by the images."""
        return self.outcome in ("another convention", "another body", "no convention fits")

    @property
    def winner(self) -> Score | None:
        """The convention, or the mounting, that explains the motion; None where none does or several do."""
        if self.outcome == "another body":
            return self.mounting
        return self.contenders[0] if self.outcome in ("as given", "another convention") else None

    @property
    def margin(self) -> float:
        """By how much the best convention's share is above that of the next."""
        return self.scores[0].share - self.scores[1].share if len(self.scores) > 1 else 0.0

    def score(self, convention: PoseConvention) -> Score:
        """The score of one convention. StopIteration where it was not tried."""
        return next(score for score in self.scores if score.convention == convention)

    def advice(self) -> str:
        """What to do about poses that the images contradict; "" for others."""
        if self.outcome == "another convention":
            return (
                "read them so (option convention= of --data, where the format has it: docs/formats.md) or write them "
                f"again as {self.given}"
            )
        if self.outcome == "another body":
            assert self.mounting is not None and isinstance(self.mounting.convention, Mounting)
            little = self.mounting.convention.angle_deg < SMALL_ROTATION_DEG
            lens = "; so small a rotation may also be due to wrong intrinsics: check fx fy cx cy" if little else ""
            return f"compose them with the camera's pose on that body (bag_to_dataset: --pose-frame, --extrinsic){lens}"
        return "fix what is named, the order of images and poses first" if self.wrong else ""

    def sentence(self) -> str:
        """The verdict in words, with its figures."""
        if self.outcome == "too few pairs":
            return (
                f"undecided: only {self.pairs} of {self.tried} places had two frames with enough motion and matches "
                f"between them, {FEWEST_PAIRS} are needed; the poses are taken as {self.given}"
            )
        best, declared = self.scores[0], self.score(self.given)
        evidence = (
            f"counted are the matches within {self.tolerance_px:.1f} px of where the poses predict them, of "
            f"{self.matches} in {self.pairs} pairs of frames; {self.camera}"
        )
        if self.outcome == "undecided":
            names = "; ".join(f"{score.convention} ({score})" for score in self.contenders[:4])
            more = f"; and {len(self.contenders) - 4} more" if len(self.contenders) > 4 else ""
            fits = f"undecided: the motion fits more than one convention: {names}{more}"
            return f"{fits}; declared is {self.given}; {evidence}"
        if self.outcome == "no convention fits":
            return (
                f"no pose convention explains the motion of the images: the best is {best.convention} ({best}), "
                f"{self.given} ({declared}) was declared; check whether images and poses belong together (order, "
                f"time offset) and whether the camera's intrinsics are right; {evidence}"
            )
        if (body := self.winner) is not None and self.outcome == "another body":
            return (
                f"these poses look like those of another body than the camera: {body.convention} ({body}); declared is "
                f"{self.given} ({declared}); {evidence}"
            )
        if self.outcome == "another convention":
            found = f"these poses look like {best.convention} ({best})"
            return f"{found}, declared is {self.given} ({declared}); {evidence}"
        second = self.scores[1]
        return (
            f"these poses look like {best.convention}, as declared ({best}); the next best convention is "
            f"{second.convention} ({second}); {evidence}"
        )
