"""What replay_evaluation passes to its replayer process, and what it returns. No ROS import: both sides read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

MIN_MATCH = 0.9  # of the frames sent: with less ground truth the figures are those of a part


@dataclass(frozen=True)
class ReplayJob:
    """What to replay, and to which node: `node` is the fully qualified name of the localizer."""

    bag: str
    image_topic: str
    node: str
    rate: float = 1.0
    max_frames: int | None = None
    wait_each: bool = False
    start_timeout: float = 60.0
    pose_timeout: float = 10.0
    progress: bool = False


@dataclass
class ReplayRecord:
    """One replay, as plain numbers that JSON can hold.

    Every time is in ns. ``sent`` and ``received`` map an image's stamp to the moment, on one steady clock, at which the
    image was published and its pose arrived. Poses are x y z (metres) and w x y z; ``transforms`` are those of the same
    stamp and parent frame as a pose, where the node's ``tf_mode`` makes them the camera's. ``before`` and ``after`` are
    the node's own counts around the replay, ``node_ms`` its own latencies by stage (inference_p50_ms ...). ``not_sent``
    counts frames of the bag left out, by reason. ``refined`` tells of each frame that was compared with keyframes
    whether its pose was refined.
    """

    map_frame: str = ""
    sent: dict[int, int] = field(default_factory=dict)
    not_sent: dict[str, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)
    poses: dict[int, list[float]] = field(default_factory=dict)
    covariances: dict[int, list[float]] = field(default_factory=dict)
    transforms: dict[int, list[float]] = field(default_factory=dict)
    not_localized: dict[int, str] = field(default_factory=dict)
    refined: dict[int, bool] = field(default_factory=dict)
    tf_mode: str = ""
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    node_ms: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> ReplayRecord:
        """The inverse of `to_dict`, also after JSON made text of the stamps."""
        by_stamp = ("sent", "received", "poses", "covariances", "transforms", "not_localized", "refined")
        fields: dict[str, Any] = dict(values)
        for name in by_stamp:
            fields[name] = {int(stamp): value for stamp, value in values[name].items()}
        return cls(**fields)
