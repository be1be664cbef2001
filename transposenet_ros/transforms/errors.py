"""Why a transform cannot be looked up or is not accepted: one type per reason, with its name in tf2."""

from __future__ import annotations


class TransformError(Exception):
    """The base class of them (TransformException). The text names the frames and the times in seconds."""


class UnknownFrameError(TransformError):
    """No transform has named the frame yet (LookupException)."""


class LoopError(TransformError):
    """The frames above one of the two form a loop (LookupException)."""


class ConnectivityError(TransformError):
    """The two frames have no common ancestor (ConnectivityException)."""


class ExtrapolationError(TransformError):
    """A transform on the way is not known at that time (ExtrapolationException).

    `requested_ns` is the time asked for and `available_ns` the oldest and newest stamp of the transform that is missing
    there, None where it has none at all; both in nanoseconds.
    """

    def __init__(self, text: str, requested_ns: int | None, available_ns: tuple[int, int] | None) -> None:
        super().__init__(text)
        self.requested_ns, self.available_ns = requested_ns, available_ns


class ForwardExtrapolationError(ExtrapolationError):
    """The time is later than the newest stamp (ForwardExtrapolationException): waiting may help."""


class BackwardExtrapolationError(ExtrapolationError):
    """The time is earlier than the oldest stamp (BackwardExtrapolationException): waiting does not help."""


class NoDataForExtrapolationError(ExtrapolationError):
    """The transform has no stamp, or one that is not this time (NoDataForExtrapolationException)."""


class InvalidArgumentError(TransformError):
    """A frame's name or a transform that tf2 refuses (InvalidArgumentException, or TF_NAN_INPUT and its like)."""


class OldTransformError(TransformError):
    """A transform older than all that the buffer keeps of its child (TF_OLD_DATA)."""


def seconds_text(stamp_ns: int) -> str:
    """A stamp in seconds with all its nine digits, which a float would lose."""
    return f"{stamp_ns // 10**9}.{stamp_ns % 10**9:09d} s"
