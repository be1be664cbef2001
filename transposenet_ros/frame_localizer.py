"""From a message to an estimate: decode, correct for the camera, localize. The model may be changed between frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo

from transposenet_core.estimate import Estimate
from transposenet_ros import reasons
from transposenet_ros.camera.camera_check import CameraCheck
from transposenet_ros.decoding.image_decoding import Decoder
from transposenet_ros.guarded_localizer import DeviceFailedError, GuardedLocalizer
from transposenet_ros.output.map_frame import map_frame_of
from transposenet_ros.output.on_demand import OnDemand
from transposenet_ros.parameters import Parameters
from transposenet_ros.throttled_log import ThrottledLog


class EyesError(Exception):
    """A picture that was decoded and is not localized; `reason` is the name it is counted under."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Eyes:
    """The worker's sight. `see` and `localize` are the worker's, the rest is the executor's."""

    def __init__(
        self,
        decode: Decoder,
        localizer: GuardedLocalizer,
        parameters: Parameters,
        on_demand: OnDemand,
        log: ThrottledLog,
    ) -> None:
        self._decode, self._parameters, self._on_demand, self._log = decode, parameters, on_demand, log
        self._info: CameraInfo | None = None
        self.look_with(localizer)

    def look_with(self, localizer: GuardedLocalizer) -> None:
        """Localize with another scene model from the next frame on."""
        model, policy = localizer.scene_model, self._parameters.on_camera_mismatch
        camera = CameraCheck(model.camera, policy, self._parameters.rectified)
        if self._info is not None:
            camera.update(self._info)
        # One assignment, which `see` takes for the whole frame: never one scene's model and another's camera.
        self._sight = localizer, camera

    @property
    def camera(self) -> CameraCheck:
        return self._sight[1]

    def learn_camera(self, info: CameraInfo) -> None:
        """Compare a CameraInfo with the model's camera; what is wrong is said, but not at every message."""
        self._info = info
        before, verdict = self.camera.verdict, self.camera.update(info)
        if verdict != before and verdict.level != DiagnosticStatus.OK:
            self._log.warning("camera", verdict.text)

    def see(self, message: Any) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB as the model wants it. EyesError where its camera is refused."""
        self._in_use = self._sight
        camera = self._in_use[1]
        picture_HW3 = camera.correct(self._decode(message))
        if (verdict := camera.verdict).refused:
            raise EyesError(verdict.reason, verdict.text)
        return picture_HW3

    def localize(self, image_HW3: np.ndarray) -> tuple[Estimate, str]:
        """The estimate of the picture last seen and the frame it is in. EyesError where the device fails."""
        localizer, _ = self._in_use
        try:
            estimate = localizer.localize(image_HW3, with_attention=self._on_demand.wants_attention())
            if estimate.reason == reasons.OUT_OF_SCENE and self._parameters.out_of_scene == "publish":
                estimate = replace(estimate, localized=True, reason="")
            return estimate, map_frame_of(self._parameters, estimate.map_frame)
        except DeviceFailedError as error:
            raise EyesError(reasons.DEVICE_FAILED, str(error)) from error
