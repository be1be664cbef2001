"""How much a network's poses change in bfloat16, measured on its validation frames: whether a back end may use it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from transposenet_core import checked

LARGEST = 1e6
RISES = ("position_rise", "orientation_rise")
MOST_RISE = 0.02  # of the median errors


@dataclass(frozen=True)
class LowerPrecision:
    """In bfloat16 instead of float32: by what share the median errors rise, position and orientation, and the 95th
    percentile of the difference between both poses of a frame, in the scene's units and degrees."""

    position_rise: float
    orientation_rise: float
    p95_m: float
    p95_deg: float

    @property
    def allowed(self) -> bool:
        """Whether a back end may use it."""
        return max(self.position_rise, self.orientation_rise) < MOST_RISE

    @classmethod
    def of(cls, position_rise: float, orientation_rise: float, p95_m: float, p95_deg: float) -> LowerPrecision:
        """Of measured numbers, bounded as those in a file are."""
        return cls(min(position_rise, LARGEST), min(orientation_rise, LARGEST), min(p95_m, LARGEST), p95_deg)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def read(cls, values: object) -> LowerPrecision:
        """The inverse of `to_dict`. KeyError or ValueError where something is missing or out of bounds."""
        found = checked.mapping("bfloat16", values)
        position, orientation = (checked.number(f"bfloat16.{name}", found[name], -1, LARGEST) for name in RISES)
        far = checked.number("bfloat16.p95_m", found["p95_m"], 0, LARGEST)
        return cls(position, orientation, far, checked.number("bfloat16.p95_deg", found["p95_deg"], 0, 180))
