"""Work in threads: in order, ended by the first failure, and one sentence where the system allows no more of them."""

from __future__ import annotations

import threading
import time

import pytest

from transposenet_core.errors import UserError
from transposenet_core.threads import in_threads


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order_and_a_failure_ends_the_work(threads: int) -> None:
    with in_threads(threads, "advice") as each:
        assert list(each(lambda number: number * number, range(20))) == [number * number for number in range(20)]
    begun: list[int] = []
    goes_on = threading.Event()

    def fail_at_first(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise OSError("the first")
        goes_on.wait(5)

    with pytest.raises(OSError, match="the first"), in_threads(threads, "advice") as each:
        try:
            list(each(fail_at_first, range(1000)))
        finally:
            goes_on.set()
    assert len(begun) < 1000


def test_threads_that_cannot_be_started_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    sentence = "2 threads cannot be started .can't start new thread.; leave out --skip-bad"
    with pytest.raises(UserError, match=sentence), in_threads(2, "leave out --skip-bad") as each:
        list(each(len, ["a", "b"]))


def test_a_failure_of_who_takes_the_results_ends_the_work() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.002)
        return number

    with pytest.raises(KeyboardInterrupt), in_threads(2, "advice") as each:
        results = each(work, range(1000))
        if next(results) == 0:
            raise KeyboardInterrupt
    assert len(begun) < 500 and results is not None
