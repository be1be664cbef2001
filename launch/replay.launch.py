"""Bag in, report out: ros2 launch transposenet_ros replay.launch.py model:=FOLDER bag:=BAG."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from transposenet_ros.replay.dds_profile import publisher_environment
from transposenet_ros.replay_evaluation import FOR_RECORDINGS

TRANSPORTS = ["raw", "compressed"]


def evaluate(context: LaunchContext) -> list[ExecuteProcess]:
    """replay_evaluation with the running localizer; its end is the end of the launch."""
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    node = "/".join(filter(None, ["", values["namespace"].strip("/"), "localizer"]))
    topic = values["image"] + ("/compressed" if values["image_transport"] == "compressed" else "")
    options = ["--no-start-node", "--node-name", node, "--image-topic", topic]
    options += [f"--{name}={values[name]}" for name in ("bag", "rate", "out")]
    if values["max_frames"]:
        options.append(f"--max-frames={values['max_frames']}")
    if values["wait_each"] == "true":
        options.append("--wait-each")
    program = ExecutableInPackage(package="transposenet_ros", executable="replay_evaluation")
    return [
        ExecuteProcess(
            cmd=[program, *options],
            additional_env=publisher_environment(),
            output="screen",
            on_exit=Shutdown(reason="the replay is over"),
        )
    ]


ARGUMENTS = {
    "bag": DeclareLaunchArgument("bag", description="rosbag2 folder, or one .mcap or .db3 file, with ground truth"),
    "model": DeclareLaunchArgument("model", description="Folder of the scene model"),
    "image": DeclareLaunchArgument(
        "image", default_value="/camera/image", description="Topic of the bag's images, without /compressed"
    ),
    "image_transport": DeclareLaunchArgument(
        "image_transport", default_value="raw", choices=TRANSPORTS, description="Transport of the images in the bag"
    ),
    "rate": DeclareLaunchArgument("rate", default_value="1.0", description="Times the recorded rate"),
    "wait_each": DeclareLaunchArgument(
        "wait_each",
        default_value="false",
        choices=["true", "false"],
        description="Send each frame after the last one is processed, so that none is dropped",
    ),
    "max_frames": DeclareLaunchArgument(
        "max_frames", default_value="", description="Send the first frames only; empty: all"
    ),
    "out": DeclareLaunchArgument(
        "out", default_value="replay_report", description="Folder for poses.csv and summary.json"
    ),
    "namespace": DeclareLaunchArgument("namespace", default_value="", description="Namespace of the localizer"),
    "rviz": DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="Start RViz as well"
    ),
}


def generate_launch_description() -> LaunchDescription:
    passed_on = ("model", "image", "image_transport", "namespace", "rviz")
    localizer = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare("transposenet_ros"), "launch", "localize.launch.py"]),
        launch_arguments={
            **{name: str(value) for name, value in FOR_RECORDINGS.items()},
            **{name: LaunchConfiguration(name) for name in passed_on},
        }.items(),
    )
    return LaunchDescription([*ARGUMENTS.values(), localizer, OpaqueFunction(function=evaluate)])
