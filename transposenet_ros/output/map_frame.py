"""The frame that the poses are published in: the scene's own, or the parameter `map_frame`."""

from __future__ import annotations

from transposenet_core.errors import UserError
from transposenet_core.scene_model import SceneModel
from transposenet_ros.parameters import Parameters


def map_frame_of(parameters: Parameters, scenes_own: str) -> str:
    """The frame of what is published about a scene whose map frame is `scenes_own`."""
    return (parameters.map_frame or scenes_own).lstrip("/")


def check_map_frame(parameters: Parameters, scene_model: SceneModel) -> None:
    """UserError where one frame is set for the maps of several scenes."""
    if parameters.map_frame and len(scene_model.scenes) > 1:
        frames = ", ".join(scene.map_frame for scene in scene_model.scenes)
        raise UserError(
            f"parameter 'map_frame' is '{parameters.map_frame}', but the scene model holds several scenes "
            f"({scene_model.title}), each in its own frame ({frames}); leave it empty"
        )
