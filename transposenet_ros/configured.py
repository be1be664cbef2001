"""What the node has between configure and cleanup: the model, the publishers, and the counts."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode

from transposenet_ros.decoding.image_decoding import image_decoder
from transposenet_ros.guarded_localizer import GuardedLocalizer
from transposenet_ros.output.map_frame import map_frame_of
from transposenet_ros.output.outputs import Outputs
from transposenet_ros.parameters import Parameters
from transposenet_ros.statistics import Statistics


class Configured:
    """Opened completely or not at all; `load` makes a localizer of a model's folder, warmed up.

    Raises UserError where decoder, model or device are not available, or as of Outputs.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters, load: Callable[[str], GuardedLocalizer]) -> None:
        self.decode = image_decoder(parameters.decoder)
        self.localizer = load(parameters.model)
        self.statistics = Statistics()
        self.outputs = Outputs(node, parameters, self.localizer.scene_model)  # last, because it alone opens something

    def show(self, localizer: GuardedLocalizer, parameters: Parameters) -> None:
        """Show another scene from now on, that of `localizer`."""
        self.localizer, scene_model = localizer, localizer.scene_model
        self.outputs.on_demand.show_scene(scene_model, map_frame_of(parameters, scene_model.scenes[0].map_frame))
        self.outputs.forget()

    def close(self) -> None:
        """Close the publishers."""
        self.outputs.close()
