"""What the node has between activate and deactivate: the subscriptions and the worker that they feed."""

from __future__ import annotations

from contextlib import ExitStack, closing

from rclpy.lifecycle import LifecycleNode

from transposenet_ros.configured import Configured
from transposenet_ros.frame_localizer import FrameLocalizer
from transposenet_ros.frame_worker import FrameWorker
from transposenet_ros.input.camera_info_input import CameraInfoInput
from transposenet_ros.input.image_input import ImageInput, input_topic
from transposenet_ros.input.input_watch import InputWatch
from transposenet_ros.parameters import Parameters
from transposenet_ros.throttled_log import ThrottledLog


class Active:
    """Works on the images of `topic` until it is closed; opened completely or not at all.

    The publishers of `configured` must be active already. UserError where `image` is one of the node's own topics.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters, configured: Configured) -> None:
        outputs, statistics = configured.outputs, configured.statistics
        self.topic = input_topic(node, parameters.image_transport)
        outputs.activate()
        statistics.restart_time()
        log = ThrottledLog(node.get_logger())
        self.frame_localizer = FrameLocalizer(
            configured.decode, configured.localizer, parameters, outputs.on_demand, log
        )
        with ExitStack() as opened:
            robot_frames = outputs.robot_frames
            self.worker = FrameWorker(
                node,
                self.frame_localizer,
                parameters,
                outputs.all,
                statistics,
                self.topic,
                robot_frames.forget_transforms,
                lambda: robot_frames.initial_pose.waits,
            )
            opened.callback(self.worker.stop)
            self._camera_info = CameraInfoInput(node, self.topic, self.frame_localizer.learn_camera)
            opened.enter_context(closing(self._camera_info))
            transport, quality = parameters.image_transport, parameters.image_qos
            self.camera = ImageInput(node, transport, quality, self.worker.put, statistics.lose)
            opened.enter_context(closing(self.camera))
            self.watch = InputWatch(node, self.camera, parameters.no_frames_timeout)
            opened.pop_all()  # all are open: `close` closes them

    def close(self) -> None:
        """Unsubscribe, finish the current frame, end the worker's thread."""
        self.watch.close()
        self._camera_info.close()
        self.camera.close()
        self.worker.stop()
