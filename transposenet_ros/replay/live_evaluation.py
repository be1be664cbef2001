"""Bag -> live node -> errors: accuracy, losses and latency of the localizer as a robot would have it."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_ros.bags.reading import BagReader
from transposenet_ros.bags.topics import IMAGE_TYPES
from transposenet_ros.replay.live_result import LiveResult, evaluate_replay, with_scenes
from transposenet_ros.replay.processes import free_domain, localizer_process, run_replayer
from transposenet_ros.replay.protocol import MIN_MATCH, ReplayJob

# Drops are known only from the node's diagnostics: published often, so that the end of a replay is detected soon.
DIAGNOSTICS_PERIOD = 0.2
# Reliable from the start: `auto` would subscribe anew once it has seen the replayer. Stamps may be of any age.
# The ground truth is compared in the model's own units, whatever they are.
FOR_RECORDINGS: dict[str, object] = {
    "image_qos": "reliable",
    "max_age": 0.0,
    "future_tolerance": 1e9,
    "publish_unscaled": True,
}


def evaluate_live(
    model: str | Path,
    bag: str | Path,
    *,
    rate: float = 1.0,
    start_node: bool = True,
    node_name: str = "localizer",
    image_topic: str | None = None,
    ground_truth_topic: str | None = None,
    max_frames: int | None = None,
    wait_each: bool = False,
    min_match: float = MIN_MATCH,
    node_parameters: dict[str, object] | None = None,
    start_timeout: float = 60.0,
    node_log: str | Path | None = None,
    progress: bool = False,
) -> LiveResult:
    """Replay `bag` through DDS to a localizer with the scene model `model` and evaluate its poses.

    The localizer and the replayer are processes of their own in a free ROS domain; with ``start_node=False`` the
    localizer runs already in the caller's domain and `model` and `node_parameters` are not used. Images go out at
    the recorded rate times `rate`, or with `wait_each` one by one, each after the last is processed. `node_log` keeps
    the localizer's output. The result warns where a smaller share of the images than `min_match` has ground truth.
    Raises UserError where bag, model or node cannot be used.
    """
    _check(rate, max_frames, node_name, min_match)
    node = node_name if node_name.startswith("/") else f"/{node_name}"
    with BagReader(bag) as reader:
        topic = reader.image_topic(image_topic)
        transport = IMAGE_TYPES[reader.topics[topic]]
        ground_truth_poses = reader.poses(reader.ground_truth_topic(ground_truth_topic))
        image_names = reader.image_names()
        path = str(reader.path)
    job = ReplayJob(path, topic, node, rate, max_frames, wait_each, start_timeout, progress=progress)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="transposenet_replay_")))
        log = folder / "localizer.log" if node_log is None else Path(node_log)
        domain, localizer = None, None
        if start_node:
            domain = stack.enter_context(free_domain())
            output = stack.enter_context(open(log, "wb"))
            parameters = {**FOR_RECORDINGS, "diagnostics_period": DIAGNOSTICS_PERIOD, **(node_parameters or {})}
            parameters |= {"model": str(Path(model).expanduser().resolve()), "image_transport": transport}
            remaps = {"image" if transport == "raw" else "image/compressed": topic}
            localizer = stack.enter_context(localizer_process(node, remaps, parameters, domain, folder, output))
        record = run_replayer(job, domain, folder, localizer, log)
    result = evaluate_replay(record, ground_truth_poses, image_names, min_match)
    scale = float(str((node_parameters or {}).get("scale", 0.0)))
    return with_scenes(result, model, scale) if start_node else result


def _check(rate: float, max_frames: int | None, node_name: str, min_match: float) -> None:
    if not (math.isfinite(rate) and 0 < rate <= 100):
        raise UserError(f"--rate {rate:g}: times the recorded rate, above 0 and at most 100")
    if not 0 <= min_match <= 1:
        raise UserError(f"--min-match {min_match:g}: a share from 0 to 1 is allowed")
    if max_frames is not None and max_frames < 1:
        raise UserError(f"--max-frames {max_frames}: at least 1 frame is needed")
    if not node_name.strip("/"):
        raise UserError(f"--node-name '{node_name}': a ROS node needs a name, such as localizer or /robot/localizer")
