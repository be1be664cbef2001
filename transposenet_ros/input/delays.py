"""How long a message took to this process, by the stamps that DDS gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST_S = 10.0  # more is a difference of clocks


def delays(info: Mapping[str, Any], now_ns: int) -> dict[str, float]:
    """Seconds of `transport` (published to received by DDS here) and `executor` (received to the callback, which
    includes making a Python object of it); `now_ns` is the wall clock, which DDS uses, in the callback.

    Between two computers `transport` includes the difference of their clocks. A delay that cannot be one, negative or
    beyond `LONGEST_S`, is left out, and both where DDS does not say.
    """
    sent_ns, received_ns = info.get("source_timestamp", 0), info.get("received_timestamp", 0)
    if not (sent_ns and received_ns):
        return {}
    found = {"transport": (received_ns - sent_ns) * 1e-9, "executor": (now_ns - received_ns) * 1e-9}
    return {stage: seconds for stage, seconds in found.items() if 0 <= seconds <= LONGEST_S}
