"""`transposenet replay`: replays a recording to the live localizer and evaluates its poses."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from transposenet_core.command_line import next_command, next_node
from transposenet_core.errors import UserError
from transposenet_core.stopping import stoppable
from transposenet_ros.commands.needed import require
from transposenet_ros.replay.protocol import MIN_MATCH

HELP = "replay a recording to the live node: errors, losses, latency"
DESCRIPTION = "Replays a recording's images to the live localizer and prints errors, losses and latency."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--model", metavar="MODEL", help="scene model; needed unless --no-start-node")
    add("--bag", required=True, metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    add("--rate", type=float, default=1.0, metavar="FACTOR", help="times the recorded rate")
    add(
        *("--wait-each", "--every-frame"),
        action="store_true",
        help="send each frame after the last is processed: none is dropped, and on a CPU the poses repeat to the bit",
    )
    add("--min-match", type=float, default=MIN_MATCH, metavar="SHARE", help="of images with ground truth")
    add("--max-frames", type=int, metavar="N", help="send the first N frames only")
    add("--start-node", action=flag, default=True, help="start a localizer in its own ROS domain")
    add("--node-name", default="localizer", metavar="NAME", help="name of the node, with its namespace")
    add("--start-timeout", type=float, default=60.0, metavar="SECONDS", help="until the node is active")
    add("--device", default="auto", help="parameter 'device' of the node that is started")
    add(
        "--refine", default="auto", choices=("off", "on", "auto"), help="parameter 'refine' of the node that is started"
    )
    add("--image-topic", metavar="TOPIC", help="topic of the images; needed if there are several")
    add("--ground-truth-topic", metavar="TOPIC", help="PoseStamped topic of the ground truth")
    add("--out", metavar="DIR", help="folder for poses.csv, summary.json and localizer.log")
    add("--json", metavar="FILE", help="file for the figures")
    add("--predictions", metavar="FILE.csv", help="file for the predictions, a line per named image")


def run(args: argparse.Namespace) -> None:
    # The default action of SIGTERM would leave the localizer behind.
    with stoppable("stops the replay and its node"):
        _run(args)


def _run(args: argparse.Namespace) -> None:
    if args.start_node and not args.model:
        raise UserError(
            "--model is missing: name the folder of a scene model, or use --no-start-node with a running node"
        )
    require("replay", "rclpy", "rosbags")
    from transposenet_core.atomic_files import write_atomically
    from transposenet_ros.replay.live_evaluation import evaluate_live
    from transposenet_ros.replay.trajectory import write_live_predictions, write_poses

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
        node_parameters={"device": args.device, "refine": args.refine},
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
    if args.start_node:
        print(f"next: {following(args)}")


def following(args: argparse.Namespace) -> str:
    """The live node; where its program is not installed, the same frames one by one."""
    return next_node(args.model) or next_command("replay", "--model", args.model, "--bag", args.bag, "--wait-each")
