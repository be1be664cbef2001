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
from transposenet_ros.output.units import in_metres
from transposenet_ros.parameters import Parameters
from transposenet_ros.throttled_log import ThrottledLog


class FrameError(Exception):
    """A frame that was decoded and is not localized; `reason` is the name it is counted under."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class FrameLocalizer:
    """Decodes and localizes frames; `decode` and `localize` run in the worker's thread, the rest in the executor's."""

    def __init__(
        self,
        decoder: Decoder,
        localizer: GuardedLocalizer,
        parameters: Parameters,
        on_demand: OnDemand,
        log: ThrottledLog,
    ) -> None:
        self._decoder, self._parameters, self._on_demand, self._log = decoder, parameters, on_demand, log
        self._info: CameraInfo | None = None
        self.set_localizer(localizer)

    def set_localizer(self, localizer: GuardedLocalizer) -> None:
        """Localize with another scene model from the next frame on."""
        model, policy = localizer.scene_model, self._parameters.on_camera_mismatch
        camera = CameraCheck(model.camera, policy, self._parameters.rectified)
        if self._info is not None:
            camera.update(self._info)
        # One assignment, which `decode` reads once per frame: never one scene's model with another's camera.
        self._current = localizer, camera

    @property
    def camera(self) -> CameraCheck:
        return self._current[1]

    def learn_camera(self, info: CameraInfo) -> None:
        """Compare a CameraInfo with the model's camera; a fault is logged, but not at every message."""
        self._info = info
        before, verdict = self.camera.verdict, self.camera.update(info)
        if verdict != before and verdict.level != DiagnosticStatus.OK:
            self._log.warning("camera", verdict.text)

    def decode(self, message: Any) -> np.ndarray:
        """The image (H, W, 3) uint8 RGB as the model needs it. FrameError where its camera is refused."""
        self._in_use = self._current
        camera = self._in_use[1]
        image_HW3 = camera.correct(self._decoder(message))
        if (verdict := camera.verdict).refused:
            raise FrameError(verdict.reason, verdict.text)
        return image_HW3

    def localize(self, image_HW3: np.ndarray) -> tuple[Estimate, str]:
        """The estimate of the last decoded image and the frame it is in. FrameError where the device fails."""
        localizer, camera = self._in_use
        try:
            asked = {"with_attention": self._on_demand.wants_attention(), "same_camera": not self._is_another(camera)}
            estimate = localizer.localize(image_HW3, **asked)
            if estimate.reason == reasons.OUT_OF_SCENE and self._parameters.out_of_scene == "publish":
                estimate = replace(estimate, localized=True, reason="")
            estimate = in_metres(estimate, self._parameters.scale)
            return estimate, map_frame_of(self._parameters, estimate.map_frame)
        except DeviceFailedError as error:
            raise FrameError(reasons.DEVICE_FAILED, str(error)) from error

    def _is_another(self, camera: CameraCheck) -> bool:
        """Whether images are known to be of another camera than the training's, and are not warped into its view."""
        return self._parameters.on_camera_mismatch == "warn" and camera.verdict.reason == reasons.CAMERA_MISMATCH
