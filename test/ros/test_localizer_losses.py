"""Images that never arrive: counted from the gaps in what arrives, apart from those that the node drops itself."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import image_message, wait_until
from watched import watched

from transposenet_ros.input.arrival_gaps import ArrivalGaps


def test_gaps_are_counted_for_one_publisher_and_begin_anew_with_the_next() -> None:
    gaps = ArrivalGaps()
    assert gaps.before(3) == 0, "nobody has matched yet"
    gaps.match(1)
    assert [gaps.before(number) for number in (7, 8, 11, 12, 20)] == [0, 0, 2, 0, 7]
    gaps.match(1)
    assert [gaps.before(number) for number in (40, 42)] == [0, 1], "another publisher has numbers of its own"
    assert [gaps.before(number) for number in (1, 2, 4)] == [0, 0, 1], "one that began anew unnoticed"
    gaps.match(2)
    assert [gaps.before(number) for number in (50, 3, 51, 9)] == [0, 0, 0, 0]
    assert gaps.before(None) == 0


@pytest.mark.parametrize("reliable", [pytest.param(True, marks=pytest.mark.long), False])
def test_every_image_is_received_or_counted_as_lost_when_the_node_is_starved(
    scene_model_folder: Path, image_HW3: np.ndarray, reliable: bool
) -> None:
    """The node's process gets no core for a while, longer than any queue between it and the camera lasts."""
    with watched(scene_model_folder) as node:
        camera = node.camera(reliable=reliable)
        sent = 0

        def take(images: int) -> None:
            nonlocal sent
            for _ in range(images):
                camera.publish(image_message(image_HW3, time.time()))
                sent += 1
                time.sleep(1 / 60)

        def counts() -> tuple[int, int]:
            values = node.values()
            return int(values["received"]), int(values["lost_in_transport"])

        while counts()[0] < 2:  # a best-effort camera is matched on its side before ours
            take(1)
        begun = sum(counts())
        assert counts()[1] == 0
        node.process.signal(signal.SIGSTOP)
        take(40)
        node.process.signal(signal.SIGCONT)
        take(10)
        wait_until(lambda: sum(counts()) >= begun + 45 and counts()[1] > 0, "the images, or their loss")
        sent += 1
        node.pose_at(_last(camera, image_HW3))

        def accounted() -> bool:
            values = {name: int(node.values()[name]) for name in ("received", "localized", "dropped")}
            return sum(counts()) == sent and values["received"] == values["localized"] + values["dropped"]

        wait_until(accounted, f"{sent} images received or lost, and those received localized or dropped")


def _last(camera: Any, image_HW3: np.ndarray) -> float:
    seconds = time.time()
    camera.publish(image_message(image_HW3, seconds))
    return seconds
