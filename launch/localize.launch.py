"""Start the localizer: ros2 launch transposenet_ros localize.launch.py model:=FOLDER image:=/camera/image_raw."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from transposenet_core.errors import UserError
from transposenet_ros.cameras import topics_of
from transposenet_ros.parameters import ROWS, TYPES, allowed_text


def config_file(name: str) -> PathJoinSubstitution:
    return PathJoinSubstitution([FindPackageShare("transposenet_ros"), "config", name])


def parameter_argument(name: str) -> DeclareLaunchArgument:
    """An argument for a parameter. Empty leaves it to params_file: a default here would silently override the file."""
    row = ROWS[name].metadata
    choices = ["true", "false"] if TYPES[name] is bool else list(row["choices"])
    return DeclareLaunchArgument(
        name,
        default_value="",
        choices=["", *choices] if choices else None,
        description=f"{row['description']} ({allowed_text(name)}; empty: as in params_file)",
    )


def start_localizer(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name) for name in ROWS if LaunchConfiguration(name).perform(context)}
    overrides = {name: ParameterValue(value, value_type=TYPES[name]) for name, value in given.items()}
    sim_time = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    cameras = topics_of(LaunchConfiguration("cameras").perform(context))
    image = LaunchConfiguration("image").perform(context)
    if cameras and image != "image":
        raise UserError(f"image:={image} and cameras:= are both set; use cameras:= with the topics, or image:= alone")
    images = [(f"{name}:image", topic) for name, topic in cameras.items()] or [("image", image)]
    shown = [("image", images[0][1])]  # RViz shows one camera
    if cameras:
        pose = "localizer/pose_with_covariance"
        shown.append((pose, pose.replace("/", f"/{next(iter(cameras))}/")))
    localizer = Node(
        package="transposenet_ros",
        executable="localizer",
        # With a name, launch_ros writes parameters for a node of that name alone, and cameras are nodes below it.
        name=None if cameras else "localizer",
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file"), sim_time, *([overrides] if overrides else [])],
        arguments=["--cameras", *cameras] if cameras else [],
        remappings=images,
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", config_file("localizer.rviz")],
        parameters=[sim_time],
        remappings=shown,
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return [localizer, rviz]


def generate_launch_description() -> LaunchDescription:
    switch = ["true", "false"]
    return LaunchDescription(
        [
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics"),
            DeclareLaunchArgument(
                "image", default_value="image", description="Topic of the camera, without the suffix /compressed"
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="",
                description="Several cameras, as 'front=/front/image_raw rear=/rear/image_raw': a node below "
                "localizer for each, with one network for all (empty: one camera, image)",
            ),
            DeclareLaunchArgument(
                "params_file", default_value=config_file("localizer.yaml"), description="YAML file with parameters"
            ),
            DeclareLaunchArgument(
                "use_sim_time", default_value="false", choices=switch, description="Take the time from /clock"
            ),
            DeclareLaunchArgument("rviz", default_value="false", choices=switch, description="Start RViz as well"),
            *[parameter_argument(name) for name in ROWS],
            OpaqueFunction(function=start_localizer),
        ]
    )
