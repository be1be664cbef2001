"""`transposenet bag-to-dataset`: posed images from a robot's recordings, rosbag2 or rosbag1."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_ros.bag_import.choices import AUTO, CAMERA, NONE, SPLITS, STAMPS
from transposenet_ros.bag_import.names import shown
from transposenet_ros.commands.needed import require

HELP = "convert a robot's recordings to posed images"
DESCRIPTION = """Writes the images of recordings, each with the pose of its camera, as a data set that training
reads (--data folder:DIR). Poses are interpolated at the images' stamps and never extrapolated;
nothing in a recording is trusted; the topics and frames that were read are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("bags", nargs="+", metavar="BAG", help="rosbag2 folder, .mcap, .db3 or rosbag1 .bag; each becomes a sequence")
    add("--image", required=True, metavar="TOPIC", help="the images, Image or CompressedImage")
    pose_help = "PoseStamped, PoseWithCovarianceStamped, Odometry, TransformStamped, or TF as 'tf:MAP->FRAME' (quoted)"
    add("--pose", required=True, metavar="TOPIC|tf:MAP->FRAME", help=pose_help)
    add("--out", required=True, metavar="DIR", help="folder of the data set, which is created")
    frames = parser.add_argument_group("frames")
    frames.add_argument(
        "--pose-frame", metavar="FRAME", help=f"frame whose pose is recorded, if the messages lack it; or '{CAMERA}'"
    )
    frames.add_argument(
        "--extrinsic", metavar="x,y,z,qw,qx,qy,qz", help="the camera in that frame, if /tf_static lacks it"
    )
    frames.add_argument("--camera-frame", metavar="FRAME", help="optical frame, instead of the images' frame_id")
    frames.add_argument("--tf-topic", default="/tf", metavar="TOPIC", help="moving transforms")
    frames.add_argument("--tf-static-topic", default="/tf_static", metavar="TOPIC", help="static transforms")
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--camera-info", metavar="TOPIC", help=f"instead of camera_info beside the images; '{NONE}' for none"
    )
    camera.add_argument(
        "--rectified",
        action=argparse.BooleanOptionalAction,
        help="the images are already rectified; default: only those of a topic called image_rect",
    )
    camera.add_argument(
        "--depth", metavar="TOPIC", help="depth registered to the images' camera, for the model scene_coordinates"
    )
    times = parser.add_argument_group("times")
    times.add_argument("--max-gap", type=float, default=0.1, metavar="SECONDS", help="longest gap to interpolate in")
    times.add_argument("--min-match", type=float, default=0.8, metavar="SHARE", help="of images that have a pose")
    times.add_argument(
        "--time-offset",
        default="0",
        metavar=f"SECONDS|{AUTO}",
        help="added to the images' stamps to find their poses",
    )
    times.add_argument("--stamps", choices=STAMPS, default="header", help="times to use")
    times.add_argument("--start", type=float, default=0.0, metavar="SECONDS", help="start, after the first image")
    times.add_argument("--duration", type=float, default=math.inf, metavar="SECONDS", help="length, from --start on")
    choice = parser.add_argument_group("image selection")
    choice.add_argument(
        "--keyframe-distance", type=float, default=0.05, metavar="METRES", help="take an image after this distance"
    )
    choice.add_argument("--keyframe-angle", type=float, default=3.0, metavar="DEGREES", help="or after this rotation")
    choice.add_argument(
        "--split",
        choices=SPLITS,
        help="train, val and test; default: by sequence if there are three or more, else blocks",
    )
    add("--overwrite", action="store_true", help="replace an existing data set")


def run(args: argparse.Namespace) -> None:
    require("bag-to-dataset", "rosbags")
    from transposenet_ros.bag_import.importing import import_bags
    from transposenet_ros.bag_import.options import ImportOptions, extrinsic_of, time_offset_of

    options = ImportOptions(
        image=args.image,
        pose=args.pose,
        pose_frame=args.pose_frame,
        extrinsic=extrinsic_of(args.extrinsic) if args.extrinsic else None,
        camera_frame=args.camera_frame,
        camera_info=args.camera_info,
        rectified=args.rectified,
        depth=args.depth,
        max_gap=args.max_gap,
        min_match=args.min_match,
        keyframe_distance=args.keyframe_distance,
        keyframe_angle=args.keyframe_angle,
        split=args.split,
        time_offset=time_offset_of(args.time_offset),
        start=args.start,
        duration=args.duration,
        stamps=args.stamps,
        tf=args.tf_topic,
        tf_static=args.tf_static_topic,
    )
    splits = import_bags(args.bags, args.out, options, overwrite=args.overwrite, progress=sys.stderr.isatty())
    counts = ", ".join(f"{splits[name]} {name}" for name in ("train", "val", "test") if splits[name])
    guards = f", {splits['']} left out between them" if splits[""] else ""
    out = Path(args.out).expanduser()
    print(f"{shown(str(out))}: {counts}{guards}")
    print(f"next: {next_command('check', f'folder:{out}')}")
