"""Bag -> live node -> errors: accuracy, losses and latency of the localizer as a robot would have it."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_ros.bags.reading import BagReader
from transposenet_ros.bags.topics import IMAGE_TYPES
from transposenet_ros.replay.live_result import MIN_MATCH, LiveResult, judge_recording
from transposenet_ros.replay.processes import free_domain, localizer_process, run_replayer
from transposenet_ros.replay.protocol import ReplayJob
from transposenet_ros.replay.trajectory import write_live_predictions, write_poses

# Drops are known by the node's diagnostics alone: often, so that the end of a replay shows soon.
DIAGNOSTICS_PERIOD = 0.2
# Reliable from the start: `auto` would subscribe anew once it has seen the replayer. Stamps are of any time.
FOR_RECORDINGS: dict[str, object] = {"image_qos": "reliable", "max_age": 0.0, "future_tolerance": 1e9}


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
    """Replay `bag` through DDS to a localizer with the scene model `model` and judge its poses.

    The localizer and the replayer are processes of their own in a free ROS domain; with ``start_node=False`` the
    localizer runs already in the caller's domain and `model` and `node_parameters` are not used. Pictures go out at
    the recorded rate times `rate`, or with `wait_each` one by one, each when the last is answered. `node_log` keeps
    the localizer's output. The result warns where a smaller share of the pictures than `min_match` has a true pose.
    Raises UserError where bag, model or node are not as they should be.
    """
    _check(rate, max_frames, node_name, min_match)
    node = node_name if node_name.startswith("/") else f"/{node_name}"
    with BagReader(bag) as reader:
        topic = reader.image_topic(image_topic)
        transport = IMAGE_TYPES[reader.topics[topic]]
        truths = reader.poses(reader.ground_truth_topic(ground_truth_topic))
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
        recording = run_replayer(job, domain, folder, localizer, log)
    return judge_recording(recording, truths, image_names, min_match)


def _check(rate: float, max_frames: int | None, node_name: str, min_match: float) -> None:
    if not (math.isfinite(rate) and 0 < rate <= 100):
        raise UserError(f"--rate {rate:g}: times the recorded rate, above 0 and at most 100")
    if not 0 <= min_match <= 1:
        raise UserError(f"--min-match {min_match:g}: a share from 0 to 1 is allowed")
    if max_frames is not None and max_frames < 1:
        raise UserError(f"--max-frames {max_frames}: at least 1 frame is needed")
    if not node_name.strip("/"):
        raise UserError(f"--node-name '{node_name}': a ROS node needs a name, such as localizer or /robot/localizer")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay_evaluation",
        description="Replays a recording's pictures to the live localizer and prints errors, losses and latency.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    flag = argparse.BooleanOptionalAction
    parser.add_argument("--model", metavar="FOLDER", help="scene model; needed unless --no-start-node")
    parser.add_argument("--bag", required=True, metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("--rate", type=float, default=1.0, metavar="FACTOR", help="times the recorded rate")
    parser.add_argument(
        *("--wait-each", "--every-frame"),
        action="store_true",
        help="send each frame when the last one is answered: none is dropped, and on a CPU the poses repeat to the bit",
    )
    parser.add_argument("--min-match", type=float, default=MIN_MATCH, metavar="SHARE", help="of pictures with a truth")
    parser.add_argument("--max-frames", type=int, metavar="N", help="send the first N frames only")
    parser.add_argument("--start-node", action=flag, default=True, help="start a localizer in a ROS domain of its own")
    parser.add_argument("--node-name", default="localizer", metavar="NAME", help="name of the node, with its namespace")
    parser.add_argument("--start-timeout", type=float, default=60.0, metavar="SECONDS", help="until the node is active")
    parser.add_argument("--device", default="auto", help="parameter 'device' of the node that is started")
    parser.add_argument("--image-topic", metavar="TOPIC", help="topic of the pictures; needed if there are several")
    parser.add_argument("--ground-truth-topic", metavar="TOPIC", help="PoseStamped topic of the true poses")
    parser.add_argument("--out", metavar="DIR", help="writes poses.csv, summary.json and localizer.log there")
    parser.add_argument("--json", metavar="FILE", help="writes the figures there")
    parser.add_argument("--predictions", metavar="FILE.csv", help="writes one line per named picture there")
    return parser


def _run(args: argparse.Namespace) -> None:
    if args.start_node and not args.model:
        raise UserError(
            "--model is missing: name the folder of a scene model, or use --no-start-node with a running node"
        )
    out = Path(args.out).expanduser() if args.out else None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    result = evaluate_live(
        args.model or "",
        args.bag,
        rate=args.rate,
        start_node=args.start_node,
        node_name=args.node_name,
        image_topic=args.image_topic,
        ground_truth_topic=args.ground_truth_topic,
        max_frames=args.max_frames,
        wait_each=args.wait_each,
        min_match=args.min_match,
        node_parameters={"device": args.device},
        start_timeout=args.start_timeout,
        node_log=out / "localizer.log" if out is not None and args.start_node else None,
        progress=sys.stderr.isatty(),
    )
    print(result.table())
    inputs = {"model": args.model, "bag": args.bag, "rate": args.rate, "wait_each": args.wait_each}
    for file in filter(None, [out and out / "summary.json", args.json and Path(args.json).expanduser()]):
        with write_atomically(file) as path:
            path.write_text(json.dumps({**inputs, **result.to_dict()}, indent=1, allow_nan=False) + "\n")
    if out is not None:
        write_poses(out / "poses.csv", result)
    if args.predictions:
        write_live_predictions(args.predictions, result)


def main(argv: list[str] | None = None) -> int:
    """Console entry. Returns 0, 2 after one sentence on a user's error, or 130 after Ctrl-C."""
    args = _parser().parse_args(argv)
    # The default action would leave the localizer behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return exit_code(lambda: _run(args))


if __name__ == "__main__":
    sys.exit(main())
