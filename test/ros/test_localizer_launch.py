"""The launch file: it cannot be started without a ROS machine's launch_ros, but what can be checked is."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml
from live import ROOT

from transposenet_core.errors import UserError
from transposenet_ros.parameters import ROWS

LAUNCH_FILE = ROOT / "launch" / "localize.launch.py"


def test_the_launch_file_compiles_and_evaluates_nothing() -> None:
    source = LAUNCH_FILE.read_text()
    compile(source, str(LAUNCH_FILE), "exec")
    assert "eval(" not in source and "exec(" not in source


def test_rviz_shows_the_topics_of_the_node() -> None:
    view = yaml.safe_load((ROOT / "config" / "localizer.rviz").read_text())
    topics = {display["Topic"]["Value"] for display in view["Visualization Manager"]["Displays"] if "Topic" in display}
    assert topics == {"localizer/pose_with_covariance", "image"}


def test_every_argument_is_described_and_every_parameter_is_one(tmp_path: Path) -> None:
    pytest.importorskip("launch_ros", reason="launch_ros is part of a ROS machine and not installed here")
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    entities = runpy.run_path(str(LAUNCH_FILE))["generate_launch_description"]().entities
    arguments = {entity.name: entity for entity in entities if isinstance(entity, DeclareLaunchArgument)}
    assert set(arguments) == {"namespace", "image", "cameras", "params_file", "use_sim_time", "rviz", *ROWS}
    assert all(argument.description for argument in arguments.values())
    assert arguments["tf_mode"].choices == ["", "none", "map_to_camera", "map_to_base", "map_to_odom"]
    assert arguments["publish_initialpose"].choices == ["", "off", "once", "on_relocalize"]
    context = LaunchContext()
    given = {"model": str(tmp_path), "autostart": "false", "torch_threads": "2", "params_file": "p.yaml"}
    defaults = {"namespace": "", "image": "image", "use_sim_time": "false", "rviz": "false", "cameras": ""}
    context.launch_configurations.update({**dict.fromkeys(ROWS, ""), **defaults, **given})
    (start,) = [entity for entity in entities if isinstance(entity, OpaqueFunction)]
    assert len(start.execute(context)) == 2
    context.launch_configurations["cameras"] = "front=/a rear=/b"
    node, _ = start.execute(context)
    assert node._Node__node_name is None and len(node._Node__remappings) == 2
    context.launch_configurations["image"] = "/c"
    with pytest.raises(UserError, match="image:=/c and cameras:=.* are both given"):
        start.execute(context)
