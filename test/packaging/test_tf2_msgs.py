"""Our tf2_msgs is the real TFMessage, is built for nothing else, and stays away from a system's."""

import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from transposenet_ros.replay.processes import free_domain

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "packaging" / "tf2_msgs"
OFFICIAL_TYPE_HASH = "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"


@pytest.fixture(scope="module")
def rosidl_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rosidl_build", SOURCE / "rosidl_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tf_message():
    from geometry_msgs.msg import TransformStamped
    from tf2_msgs.msg import TFMessage

    transform = TransformStamped(child_frame_id="camera_optical")
    transform.header.frame_id = "map"
    transform.header.stamp.sec, transform.header.stamp.nanosec = 1_700_000_000, 123_456_789
    transform.transform.translation.x = -1.25
    transform.transform.rotation.z, transform.transform.rotation.w = np.sin(0.3), np.cos(0.3)
    other = TransformStamped(child_frame_id="größer als eine Zeile " * 20)
    return TFMessage(transforms=[transform, other])


def test_rosbags_computes_the_same_type_hash() -> None:
    from rosbags.typesys import Stores, get_typestore

    assert get_typestore(Stores.ROS2_JAZZY).hash_rihs01("tf2_msgs/msg/TFMessage") == OFFICIAL_TYPE_HASH


def test_round_trip_through_rclpy() -> None:
    from rclpy.serialization import deserialize_message, serialize_message
    from tf2_msgs.msg import TFMessage

    sent = tf_message()
    assert deserialize_message(serialize_message(sent), TFMessage) == sent


def test_rosbags_reads_what_rclpy_wrote() -> None:
    from rclpy.serialization import serialize_message
    from rosbags.typesys import Stores, get_typestore

    sent = tf_message()
    read = get_typestore(Stores.ROS2_JAZZY).deserialize_cdr(serialize_message(sent), "tf2_msgs/msg/TFMessage")
    assert [t.child_frame_id for t in read.transforms] == [t.child_frame_id for t in sent.transforms]
    first, expected = read.transforms[0], sent.transforms[0]
    assert (first.header.stamp.sec, first.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert first.transform.translation.x == expected.transform.translation.x
    assert first.transform.rotation.z == expected.transform.rotation.z


def test_a_message_travels_on_tf_under_the_official_type_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from tf2_msgs.msg import TFMessage

    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    with free_domain() as domain:
        rclpy.init(context=context, domain_id=domain)
        try:
            node = rclpy.create_node("tf2_msgs_test", context=context)
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            received: list[TFMessage] = []
            node.create_subscription(TFMessage, "/tf", received.append, 100)
            publisher = node.create_publisher(TFMessage, "/tf", 100)
            deadline = time.monotonic() + 20.0
            while not received and time.monotonic() < deadline:
                publisher.publish(tf_message())
                executor.spin_once(timeout_sec=0.1)
            assert received and received[0] == tf_message()
            assert [str(p.topic_type_hash) for p in node.get_publishers_info_by_topic("/tf")] == [OFFICIAL_TYPE_HASH]
            node.destroy_node()
        finally:
            rclpy.try_shutdown(context=context)


def test_refuses_beside_the_tf2_msgs_of_an_ament_prefix(rosidl_build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "opt" / "share" / "tf2_msgs").mkdir(parents=True)
    with pytest.raises(rosidl_build.BuildError, match=r"opt/share/tf2_msgs .*use that one"):
        rosidl_build.refuse_foreign([tmp_path / "opt"], [])


def test_refuses_beside_an_importable_tf2_msgs_that_is_not_ours(rosidl_build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tf2_msgs").mkdir()
    (tmp_path / "tf2_msgs" / "__init__.py").write_text("")
    with pytest.raises(rosidl_build.BuildError, match=r"already installed at .*/tf2_msgs by another distribution"):
        rosidl_build.refuse_foreign([], [tmp_path])


def test_may_be_installed_again_over_our_own(rosidl_build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "tf2_msgs").mkdir()
    (tmp_path / "tf2_msgs" / "__init__.py").write_text(f'"""{rosidl_build.OURS} from a one-message IDL."""\n')
    rosidl_build.refuse_foreign([tmp_path], [tmp_path])
    (tmp_path / "tf2_msgs" / "__init__.py").write_text("")  # the origin named in it makes the difference
    with pytest.raises(rosidl_build.BuildError):
        rosidl_build.refuse_foreign([tmp_path], [tmp_path])


def test_a_missing_compiler_is_named(rosidl_build: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(rosidl_build.BuildError, match=r"gcc is missing.*sudo apt install gcc"):
        rosidl_build.require_tools()


def build_in_a_process_of_its_own(idl: Path, folder: Path) -> subprocess.CompletedProcess:
    """The generators change the process they run in (environment, loaded templates)."""
    code = """
import sys, pathlib, rosidl_build
try:
    rosidl_build.build(*map(pathlib.Path, sys.argv[1:]))
except rosidl_build.BuildError as error:
    sys.exit(f"error: {error}")
"""
    command = [sys.executable, "-c", code, str(idl), str(folder / "work"), str(folder / "target")]
    return subprocess.run(command, cwd=SOURCE, check=False, capture_output=True, text=True)


def test_a_changed_message_is_not_built(tmp_path: Path) -> None:
    pytest.importorskip("ros_wheels_bootstrapper", reason="a sourced ROS 2 brings its own tf2_msgs")
    shutil.copytree(SOURCE / "idl", tmp_path / "idl")
    idl = tmp_path / "idl" / "msg" / "TFMessage.idl"
    idl.write_text(idl.read_text().replace("> transforms;", "> transform_list;"))
    result = build_in_a_process_of_its_own(tmp_path / "idl", tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: the generated TFMessage has type hash RIHS01_")
    assert OFFICIAL_TYPE_HASH in result.stderr
    assert not (tmp_path / "target").exists()


def test_the_build_leaves_a_complete_package(tmp_path: Path) -> None:
    pytest.importorskip("ros_wheels_bootstrapper", reason="a sourced ROS 2 brings its own tf2_msgs")
    result = build_in_a_process_of_its_own(SOURCE / "idl", tmp_path)
    assert result.returncode == 0, result.stderr
    installed = importlib.util.find_spec("tf2_msgs")
    assert installed is not None and installed.origin is not None
    built = {str(path.relative_to(tmp_path / "target")) for path in (tmp_path / "target").rglob("*.*")}
    expected = {
        str(path.relative_to(Path(installed.origin).parent)) for path in Path(installed.origin).parent.rglob("*.*")
    }
    assert built == {path for path in expected if "__pycache__" not in path}
