"""Where images are published and what to set to receive them, whatever was remapped."""

from __future__ import annotations

import pytest
import rclpy
from live import Client, wait_until
from rclpy.context import Context
from sensor_msgs.msg import CompressedImage, Image

from transposenet_ros.input.image_input import ImageInput
from transposenet_ros.input.image_topics import how_to_receive
from transposenet_ros.input.input_watch import why_no_frames
from transposenet_ros.replay.processes import free_domain

CAMERA = "/camera/image_raw"
SETTINGS = f"(parameter image_transport:=compressed, remap image:={CAMERA})"


@pytest.mark.parametrize("transport", ["raw", "compressed"])
@pytest.mark.parametrize("base", ["/image", CAMERA, f"{CAMERA}/compressed"])
def test_n40_where_only_compressed_images_are_published_the_advice_is_the_same(base: str, transport: str) -> None:
    advice = how_to_receive(base, transport, {f"{CAMERA}/compressed": "compressed"})
    assert advice == f"images are on {CAMERA}/compressed {SETTINGS}"


def test_n40_a_camera_of_both_transports_is_named_once_and_the_one_that_was_meant_first() -> None:
    both = {CAMERA: "raw", f"{CAMERA}/compressed": "compressed", "/a/image": "raw"}
    assert how_to_receive("/image", "raw", both) == (
        f"images are on /a/image (remap image:=/a/image), {CAMERA} (remap image:={CAMERA})"
    )
    assert how_to_receive(f"{CAMERA}/compressed", "compressed", both) == (
        f"images are on {CAMERA}/compressed {SETTINGS}, "
        "/a/image (parameter image_transport:=raw, remap image:=/a/image)"
    )
    many = {f"/camera{number}/image": "raw" for number in range(9)}
    advice = how_to_receive("/camera8/image/compressed", "compressed", many)
    assert advice.startswith("images are on /camera8/image (") and advice.endswith(" and 4 more topics")
    assert how_to_receive("/image", "raw", {}) == ""


def test_n40_a_compressed_topic_with_a_name_of_its_own_and_a_camera_among_several() -> None:
    assert how_to_receive("/rear/image", "raw", {"/jpeg": "compressed"}, "rear:") == (
        "images are on /jpeg (parameter rear:image_transport:=compressed, remap rear:/rear/image/compressed:=/jpeg)"
    )


@pytest.mark.parametrize("remapped", ["/image", f"{CAMERA}/compressed"])
def test_n40_a_node_beside_a_compressed_camera_reports_what_to_set(remapped: str) -> None:
    context = Context()
    with free_domain() as domain, Client(domain, "driver") as driver:
        rclpy.init(context=context, domain_id=domain)
        rule = ["--ros-args", "-r", f"image:={remapped}"]
        node = rclpy.create_node("localizer", context=context, cli_args=rule)
        try:
            driver.node.create_publisher(CompressedImage, f"{CAMERA}/compressed", 1)
            driver.node.create_publisher(CompressedImage, "/depth/image/compressedDepth", 1)
            node.create_publisher(Image, "/localizer/attention/position", 1)
            camera = ImageInput(node, "raw", "sensor_data", lambda _, __: None, lambda _: None)
            wait_until(lambda: node.get_publishers_info_by_topic(f"{CAMERA}/compressed"), "the camera")
            text = why_no_frames(node, camera, 5.0)
            assert f"; images are on {CAMERA}/compressed {SETTINGS}; the node's clock is wall time" in text
            wrong_type = "INCOMPATIBLE: of type sensor_msgs/msg/CompressedImage"
            assert ("it has no publisher" if remapped == "/image" else wrong_type) in text
            camera.close()
        finally:
            node.destroy_node()
            rclpy.shutdown(context=context, uninstall_handlers=False)
