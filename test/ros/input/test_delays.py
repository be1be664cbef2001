"""How long a message took is stated where the stamps of DDS can mean it, and left out where they cannot."""

import pytest

from transposenet_ros.input.delays import delays

MS = 10**6


@pytest.mark.parametrize(
    ("sent", "received", "now", "expected"),
    [
        (1000 * MS, 1002 * MS, 1005 * MS, {"transport": 0.002, "executor": 0.003}),
        (1010 * MS, 1002 * MS, 1005 * MS, {"executor": 0.003}),  # the publisher's clock is ahead
        (1000 * MS, 12_000 * MS, 12_001 * MS, {"executor": 0.001}),  # or behind by more than a message can take
        (1000 * MS, 1002 * MS, 1001 * MS, {"transport": 0.002}),  # this clock was set back meanwhile
        (0, 1002 * MS, 1005 * MS, {}),
        (1000 * MS, 0, 1005 * MS, {}),
    ],
)
def test_delays_are_those_of_the_stamps(sent: int, received: int, now: int, expected: dict[str, float]) -> None:
    found = delays({"source_timestamp": sent, "received_timestamp": received}, now)
    assert found == pytest.approx(expected)


def test_a_middleware_without_stamps_has_none() -> None:
    assert delays({}, 5) == {}
