"""How many messages never arrived, by the sequence numbers of their publisher."""

from __future__ import annotations


class ArrivalGaps:
    """Counts what is missing between the messages of one publisher.

    DDS reports only some losses: a message that its reader drops because a newer one needs the place is dropped
    without an event (Fast DDS). A message does not identify its sender, so nothing is counted while several publish.
    """

    def __init__(self) -> None:
        self._alone, self._last = False, 0

    def match(self, publishers: int) -> None:
        """Called when the number of publishers has changed: another one counts from 1."""
        self._alone, self._last = publishers == 1, 0

    def before(self, number: int | None) -> int:
        """How many were lost just before the message of this number (None where the middleware has no numbers)."""
        if not self._alone or number is None:
            return 0
        # Messages before the first one were sent before we subscribed.
        lost = max(number - self._last - 1, 0) if self._last else 0
        self._last = number
        return lost
