"""All outputs of the node about frames."""

from __future__ import annotations

from contextlib import ExitStack, closing

from rclpy.lifecycle import LifecycleNode

from transposenet_core.scene_model import SceneModel
from transposenet_ros.output.frame import Output
from transposenet_ros.output.map_frame import map_frame_of
from transposenet_ros.output.on_demand import OnDemand
from transposenet_ros.output.pose_output import PoseOutput
from transposenet_ros.output.robot_frames import RobotFrames
from transposenet_ros.parameters import Parameters


class Outputs:
    """The outputs of a configured node, in the order a frame goes through them, opened completely or not at all.

    UserError as of RobotFrames.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters, scene_model: SceneModel) -> None:
        map_frame = map_frame_of(parameters, scene_model.scenes[0].map_frame)
        with ExitStack() as opened:
            self.robot_frames = opened.enter_context(closing(RobotFrames(node, parameters)))
            self.poses = opened.enter_context(closing(PoseOutput(node)))
            length, spacing = parameters.path_length, parameters.path_spacing
            self.on_demand = OnDemand(node, scene_model, map_frame, length, spacing, parameters.scale)
            opened.pop_all()  # all are open: `close` closes them
        # The camera's pose first: it does not wait for a transform.
        self.all: tuple[Output, ...] = (self.poses, self.robot_frames, self.on_demand)

    def activate(self) -> None:
        """Start after activation: nothing of the last activation is left."""
        self.robot_frames.initial_pose.activate()
        self.robot_frames.forget_transforms()
        self.forget()

    def forget(self) -> None:
        for output in self.all:
            output.forget()

    def close(self) -> None:
        for output in (self.robot_frames, self.poses, self.on_demand):
            output.close()
