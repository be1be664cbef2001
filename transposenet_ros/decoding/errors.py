"""One error per reason why a message gives no picture."""


class DecodeError(Exception):
    """A message that is no picture; `reason` is the name it is counted under, the text says what was found."""

    reason = "decode_failed"


class BadDims(DecodeError):
    """A side of zero or one that the encoding cannot have, too many pixels, or a strip."""

    reason = "bad_dims"


class BadStep(DecodeError):
    """Rows that are shorter than their pixels or end within one."""

    reason = "bad_step"


class BadSize(DecodeError):
    """Fewer bytes than the rows take."""

    reason = "bad_size"


class BadEncoding(DecodeError):
    """An encoding or compressed format that is not in the table."""

    reason = "bad_encoding"


class DecodeFailed(DecodeError):
    """Compressed bytes that are damaged, cut off or no picture; a message that cv_bridge refuses."""

    reason = "decode_failed"
