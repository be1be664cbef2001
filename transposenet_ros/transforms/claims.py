"""Which publishers claim which parent of a frame: two parents of one child break a robot; tf2 silently takes both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A parent of a child as claimed by a publisher: how often so far, and the newest stamp (ns) of the claim."""

    parent: str
    publisher: str
    static: bool
    count: int
    stamp_ns: int

    def __str__(self) -> str:
        topic = "/tf_static" if self.static else "/tf"
        return f"'{self.parent}' on {topic}" + (f" by {self.publisher}" if self.publisher else "")


class Claims:
    """The claims by child; one by moving transforms lapses when the child's newest stamp is `lapse_ns` ahead of it.

    Not locked: the buffer that keeps it is.
    """

    def __init__(self, lapse_ns: int) -> None:
        self._lapse_ns = lapse_ns
        self._claims: dict[str, dict[tuple[str, str, bool], Claim]] = {}

    def note(self, child: str, parent: str, publisher: str, static: bool, stamp_ns: int) -> None:
        claims, key = self._claims.get(child, {}), (parent, publisher, static)
        count, newest_ns = (claims[key].count, claims[key].stamp_ns) if key in claims else (0, stamp_ns)
        claims[key] = Claim(parent, publisher, static, count + 1, max(newest_ns, stamp_ns))
        lapsed_ns = max((claim.stamp_ns for claim in claims.values() if not claim.static), default=0) - self._lapse_ns
        self._claims[child] = {k: claim for k, claim in claims.items() if claim.static or claim.stamp_ns >= lapsed_ns}

    def of(self, child: str) -> tuple[Claim, ...]:
        return tuple(self._claims.get(child, {}).values())

    def conflicts(self) -> dict[str, tuple[Claim, ...]]:
        return {child: tuple(claims.values()) for child, claims in self._claims.items() if len(claims) > 1}

    def clear_moving(self) -> None:
        for child, claims in self._claims.items():
            self._claims[child] = {key: claim for key, claim in claims.items() if claim.static}
