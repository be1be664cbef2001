"""The slot keeps the newest, its worker misses no wake-up and ends when stopped."""

from __future__ import annotations

import threading
import time

from transposenet_ros.input.mailbox import Mailbox, Worker


def test_the_newest_wins_and_the_replaced_are_counted() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert [mailbox.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert mailbox.take() == 3
    assert mailbox.put(4) is False
    assert mailbox.close() is True
    assert mailbox.take() is None


def test_every_item_is_handled_or_counted_and_order_is_kept() -> None:
    handled: list[int] = []

    def handle(item: int) -> None:
        handled.append(item)
        time.sleep(0.0005)

    worker = Worker(handle)
    superseded = 0
    for item in range(500):
        superseded += worker.mailbox.put(item)
        time.sleep(0.0002)
    left = worker.stop()
    assert handled == sorted(set(handled))
    assert len(handled) + superseded + left == 500
    assert superseded > 0, "the worker was slower than the source"


def test_stop_waits_for_the_item_in_hand() -> None:
    begun, finished = threading.Event(), threading.Event()

    def handle(_: int) -> None:
        begun.set()
        time.sleep(0.1)
        finished.set()

    worker = Worker(handle)
    worker.mailbox.put(1)
    assert begun.wait(5)
    assert worker.stop() is False
    assert finished.is_set()
