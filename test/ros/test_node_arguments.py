"""Arguments of `localizer` that are not in ROS's form, and messages that name only commands that exist here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from live import ROOT

from transposenet_core.errors import UserError
from transposenet_ros import cli, ros_commands
from transposenet_ros.cameras import camera_names
from transposenet_ros.model_change import allowed_model
from transposenet_ros.node_arguments import split_arguments
from transposenet_ros.ros_commands import change_state, mend, start_node

IMAGE = "-r image:=/camera/image_raw"


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["model:=m"], f"--ros-args -p model:=m {IMAGE}"),  # a rule that ROS would take for a topic's
        (["--model", "my model"], f"--ros-args -p 'model:=my model' {IMAGE}"),
        (["--model=m", "--image-transport=compressed"], f"-p model:=m -p image_transport:=compressed {IMAGE}"),
        (["m"], f"--ros-args -p model:=m {IMAGE}"),
        (["-p", "model:=m"], f"--ros-args -p model:=m {IMAGE}"),
        (["model:=m", "--ros-args", "-r", "image:=/c"], "--ros-args -r image:=/c -p model:=m"),
        (["--cameras", "front", "rear", "model:=m"], "--cameras front rear --ros-args -p model:=m"),
        (["--cameras", "front", "--use-sim-time"], "--cameras front --ros-args -p use_sim_time:=true -p model:=FOLDER"),
        (["--modle", "m"], f"--ros-args -p model:=m {IMAGE}"),
        (["modle:=m", "image:=/c"], "--ros-args -r image:=/c -p model:=m"),
    ],
)
def test_n41_arguments_in_another_form_are_one_sentence_with_the_line_to_type(typed: list[str], line: str) -> None:
    with pytest.raises(UserError) as caught:
        camera_names(typed)
    assert str(caught.value).endswith(line) and str(caught.value).startswith("'")
    assert ("did you mean 'model'?" in str(caught.value)) == any("modle" in word for word in typed)
    own, ros_arguments = split_arguments(str(caught.value).partition("follow --ros-args: ")[2].split())
    assert "--ros-args" not in own and ros_arguments  # what is to be typed is in ROS's form


def test_n41_what_ros_takes_is_left_to_it() -> None:
    for typed in (["image:=/c"], ["__ns:=/robot"], ["--ros-args", "-p", "model:=m", "--", "image:=/c"]):
        assert camera_names(typed) == []


def test_n41_a_bare_localizer_names_the_line_to_type(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match=rf"parameter 'model' is empty; .* --ros-args -p model:=FOLDER {IMAGE}$"):
        allowed_model("", "", running=False)
    assert cli.main(["localizer", "model:=m"]) == 2
    assert capsys.readouterr().err.endswith("the live node is a program of its own, of that name: localizer --help\n")


def test_n41_without_ros2_no_message_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    advice = [mend("/localizer"), change_state("/localizer", "configure", "activate"), start_node()]
    assert not [text for text in advice if "ros2" in text.replace("transposenet_ros", "")]
    assert advice[1].endswith("(lifecycle_msgs/srv/ChangeState) with transition 1 (configure), then 3 (activate)")
    assert advice[0].endswith(f"start it again: {start_node()}")
    (tmp_path / "ros2").write_text("#!/bin/sh\n")
    (tmp_path / "ros2").chmod(0o755)
    assert (
        change_state("/a", "configure", "activate")
        == "ros2 lifecycle set /a configure and ros2 lifecycle set /a activate"
    )
    assert mend("/a").startswith("fix the cause (for instance ros2 param set /a model FOLDER), then ros2 lifecycle")


def test_n41_messages_name_ros2_in_one_module_alone() -> None:
    """Docstrings and the printed pages of docs/ are for people who may have it."""
    naming = set()
    for path in (*ROOT.glob("transposenet_core/**/*.py"), *ROOT.glob("transposenet_ros/**/*.py")):
        if "ros2 " not in path.read_text():
            continue
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        if any("ros2 " in text.value and id(text) not in docstrings for text in texts):
            naming.add(path)
    page = ROOT / "transposenet_ros" / "parameters.py"  # prints docs/parameters.md
    assert naming - {page} == {Path(ros_commands.__file__)}
