"""All that the node says about frames."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode

from transposenet_core.errors import UserError
from transposenet_core.scene_model import SceneModel
from transposenet_ros.output.frame import Output
from transposenet_ros.output.on_demand import OnDemand
from transposenet_ros.output.pose_output import PoseOutput
from transposenet_ros.output.robot_frames import RobotFrames
from transposenet_ros.parameters import Parameters


class Outputs:
    """The outputs of a configured node, in the order a frame goes through them. UserError as of RobotFrames."""

    def __init__(self, node: LifecycleNode, parameters: Parameters, scene_model: SceneModel) -> None:
        self.robot_frames = RobotFrames(node, parameters)
        self.poses = PoseOutput(node)
        map_frame = map_frame_of(parameters, scene_model.scenes[0].map_frame)
        self.on_demand = OnDemand(node, scene_model, map_frame, parameters.path_length, parameters.path_spacing)
        # The camera's pose first: it waits for nobody's transform.
        self.all: tuple[Output, ...] = (self.poses, self.robot_frames, self.on_demand)

    def activate(self) -> None:
        """Begin a life: nothing of the last one is left."""
        self.robot_frames.initial_pose.activate()
        self.robot_frames.forget_transforms()
        self.forget()

    def forget(self) -> None:
        for output in self.all:
            output.forget()

    def close(self) -> None:
        for output in (self.robot_frames, self.poses, self.on_demand):
            output.close()


def map_frame_of(parameters: Parameters, scenes_own: str) -> str:
    """The frame of what is published about a scene whose map frame is `scenes_own`."""
    return (parameters.map_frame or scenes_own).lstrip("/")


def check_map_frame(parameters: Parameters, scene_model: SceneModel) -> None:
    """UserError where one frame is given for the maps of several scenes."""
    if parameters.map_frame and len(scene_model.scenes) > 1:
        frames = ", ".join(scene.map_frame for scene in scene_model.scenes)
        raise UserError(
            f"parameter 'map_frame' is '{parameters.map_frame}', but the scene model holds several scenes "
            f"({scene_model.title}), each in a frame of its own ({frames}); leave it empty"
        )
