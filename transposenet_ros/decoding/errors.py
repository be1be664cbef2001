"""One error per reason why a message gives no image."""

from __future__ import annotations

from transposenet_ros import reasons


class DecodeError(Exception):
    """A message that is no image; `reason` is the name it is counted under, the text says what was found."""

    reason = reasons.DECODE_FAILED


class BadDims(DecodeError):
    """A side of zero or one that the encoding cannot have, too many pixels, or a strip."""

    reason = reasons.BAD_DIMS


class BadStep(DecodeError):
    """Rows that are shorter than their pixels or end within one."""

    reason = reasons.BAD_STEP


class BadSize(DecodeError):
    """Fewer bytes than the rows take."""

    reason = reasons.BAD_SIZE


class BadEncoding(DecodeError):
    """An encoding or compressed format that is not in the table."""

    reason = reasons.BAD_ENCODING


class DecodeFailed(DecodeError):
    """Compressed bytes that are damaged, cut off or no image; a message that cv_bridge refuses."""

    reason = reasons.DECODE_FAILED
