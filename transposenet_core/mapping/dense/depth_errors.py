"""How far depth from motion is from a sensor's or a renderer's depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_SAMPLES = 20_000  # of one frame: of thousands of frames a median needs no more
MOST_OF_ALL = 20_000_000  # 80 MB: all pixels of a thousand frames


@dataclass(frozen=True)
class DepthErrors:
    """Relative errors of depth where both have some; ``covered`` is the share of the reference's pixels that have a
    depth at all, ``bias`` the median signed error, ``beyond_20`` the share that is off by more than 20 %."""

    pixels: int
    covered: float
    within_5: float
    within_10: float
    median: float
    bias: float
    beyond_20: float

    def to_text(self) -> str:
        return (
            f"covers {self.covered:.1%} of the reference's pixels; {self.within_5:.1%} within 5 %, "
            f"{self.within_10:.1%} within 10 %, median {self.median:.2%}, bias {self.bias:+.2%}, "
            f"{self.beyond_20:.2%} off by more than 20 %"
        )


class DepthErrorCounter:
    """Takes frames one at a time; memory is bounded: of many frames fewer and fewer samples are kept, of all alike."""

    def __init__(self) -> None:
        self._reference = self._both = 0
        self._samples: list[np.ndarray] = []
        self._kept, self._every = 0, 1

    def add(self, depth_HW: np.ndarray, reference_HW: np.ndarray) -> np.ndarray:
        """Relative errors (N,) of a frame's depth; 0 is none in both."""
        both_HW = (depth_HW > 0) & (reference_HW > 0)
        error_N = depth_HW[both_HW].astype(np.float64) / reference_HW[both_HW] - 1
        self._reference += int(np.count_nonzero(reference_HW))
        self._both += len(error_N)
        step = max(1, -(-len(error_N) // MOST_SAMPLES)) * self._every
        self._samples.append(error_N[::step].astype(np.float32))
        self._kept += len(self._samples[-1])
        if self._kept > MOST_OF_ALL:
            self._samples, self._every = [np.concatenate(self._samples)[::2]], 2 * self._every
            self._kept = len(self._samples[0])
        return error_N

    def result(self) -> DepthErrors | None:
        """None where no pixel has both."""
        if not self._both:
            return None
        error_N = np.concatenate(self._samples)
        off_N = np.abs(error_N)
        within_5, within_10 = (float(np.mean(off_N < limit)) for limit in (0.05, 0.1))
        covered, bias, beyond_20 = self._both / self._reference, float(np.median(error_N)), float(np.mean(off_N > 0.2))
        return DepthErrors(self._both, covered, within_5, within_10, float(np.median(off_N)), bias, beyond_20)
