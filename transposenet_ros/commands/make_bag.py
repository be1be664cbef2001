"""`transposenet make-bag`: a camera drive from posed images, as a rosbag2 recording."""

from __future__ import annotations

import argparse
import sys

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import ALIGN_HELP, SCALE_HELP, list_formats
from transposenet_ros.bags.topics import (
    CAMERA_INFO_TOPIC,
    COMPRESSED_TOPIC,
    DEFAULT_START_S,
    GROUND_TRUTH_FRAME,
    GROUND_TRUTH_TOPIC,
    IMAGE_TOPIC,
)
from transposenet_ros.commands.needed import require

HELP = "write a scene's posed images as a recording"
DESCRIPTION = f"""Writes the posed images of a scene as a rosbag2 recording: images on {IMAGE_TOPIC} (or
{COMPRESSED_TOPIC}), {CAMERA_INFO_TOPIC}, and the ground truth on
{GROUND_TRUTH_TOPIC} and as TF to {GROUND_TRUTH_FRAME}."""
STORAGES = ("mcap", "sqlite3")
ADVICE = "give --scale or --align"
help_all = list_formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, metavar="FORMAT:PATH", help="the scene, for instance 7scenes:PATH")
    add("--split", default="none", metavar="FILE", help="split file (split,image); none: the data set's own")
    add("--scale", default="", metavar="METRES", help=SCALE_HELP)
    add("--align", default="", metavar="FILE", help=ALIGN_HELP)
    add("--select", default="test", choices=["train", "test", "val", "all"], help="which images")
    add("--out", required=True, metavar="BAG", help="folder of the recording, which is created")
    add("--storage", default="mcap", choices=STORAGES, help="file format")
    add("--compressed", action="store_true", help="CompressedImage with the files' JPEG or PNG bytes")
    add("--rate", type=float, default=30.0, metavar="HZ", help="frames per second")
    add("--start-time", type=float, default=DEFAULT_START_S, metavar="SECONDS", help="first stamp")
    add("--keep-gaps", action="store_true", help="keep the recorded times; else the rate is constant")
    add("--map-frame", default="map", metavar="FRAME", help="TF frame of the ground truth")
    add("--camera-frame", default="camera_optical", metavar="FRAME", help="TF frame of the images")
    add("--overwrite", action="store_true", help="replace an existing recording")


def run(args: argparse.Namespace) -> None:
    require("make-bag", "rosbags")
    from transposenet_core.formats import load_scene
    from transposenet_core.scene_units import in_metres
    from transposenet_ros.bags.from_scene import make_bag

    scene = in_metres(load_scene(args.data, None if args.split == "none" else args.split), args.scale, args.align)
    if scene.units != "metres":
        print(
            f"warning: {scene.name} is in arbitrary units, and robots take a bag's for metres: {ADVICE}",
            file=sys.stderr,
        )
    images = scene.select(args.select)
    out = make_bag(
        images,
        args.out,
        intrinsics=scene.intrinsics,
        rate_hz=args.rate,
        start_s=args.start_time,
        keep_gaps=args.keep_gaps,
        map_frame=args.map_frame,
        camera_frame=args.camera_frame,
        storage=args.storage,
        compressed=args.compressed,
        overwrite=args.overwrite,
        progress=sys.stderr.isatty(),
    )
    print(f"{out}: {len(images)} frames of {scene.name} ({args.select}) at {args.rate:g} Hz, {args.storage}")
    print(f"next: {next_command('replay', '--model', 'MODEL', '--bag', out, '--out', f'{out}_replay')}")
