"""Many life cycles in one process: what it opens it closes. benchmarks/life_cycles.py does the same 200 times."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from live import image_message, wait_until
from rcl_interfaces.srv import ListParameters
from watched import Watched, watched

CYCLES = 8
SETTLED = 3


def endpoints(node: Watched) -> list[tuple[str, str, str]]:
    """Every publisher and subscription of the localizer: topic, type and kind; doubles show."""
    graph = node.client.node
    ends = (graph.get_publishers_info_by_topic, graph.get_subscriptions_info_by_topic)
    topics = [topic for topic, _ in graph.get_topic_names_and_types()]
    found = [(topic, info) for topic in topics for by_topic in ends for info in by_topic(topic)]
    mine = [(topic, info) for topic, info in found if info.node_name == "localizer"]
    return sorted((topic, info.topic_type, info.endpoint_type.name) for topic, info in mine)


def names(node: Watched) -> dict[str, Any]:
    response = node.client.call(ListParameters, "/localizer/list_parameters", ListParameters.Request())
    services = node.client.node.get_service_names_and_types_by_node("localizer", "/")
    return {"parameters": sorted(response.result.names), "services": sorted(services), "endpoints": endpoints(node)}


def resources(node: Watched) -> dict[str, int]:
    process = Path(f"/proc/{node.process.pid}")
    threads = int(re.search(r"^Threads:\s+(\d+)", (process / "status").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    return {"threads": threads, "open files": len(os.listdir(process / "fd"))}


@pytest.mark.long
def test_n31_life_cycles_leave_nothing_behind(scene_model_folder: Path, image_HW3: np.ndarray) -> None:
    steps = [getattr(Transition, f"TRANSITION_{name}") for name in ("DEACTIVATE", "CLEANUP", "CONFIGURE", "ACTIVATE")]
    with watched(scene_model_folder, image_qos="reliable", publish_initialpose="once") as node:
        camera = node.camera()
        before: list[dict[str, Any]] = []
        for life in range(CYCLES):
            wait_until(lambda: camera.get_subscription_count() == 1, "a match")
            camera.publish(image_message(image_HW3, life + 1))
            node.pose_at(life + 1)
            if life == SETTLED:
                before = [names(node), resources(node)]
                assert len(before[0]["endpoints"]) == len(set(before[0]["endpoints"])), "nothing is there twice"
            assert all(node.client.change_state(step) for step in steps)
            wait_until(lambda: "/image" in {topic for topic, *_ in endpoints(node)}, "a subscription")
        wait_until(lambda: names(node) == before[0], "the same names as before")
        wait_until(lambda: resources(node) == before[1], f"{before[1]} again, it has {resources(node)}", timeout=5.0)
        assert node.process.alive and "Traceback" not in node.process.log
