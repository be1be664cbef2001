"""Compares the live camera with the training camera and corrects its images: a wrong camera gives wrong poses."""

from __future__ import annotations

import threading

import numpy as np
from sensor_msgs.msg import CameraInfo

from transposenet_core.geometry.intrinsics import Intrinsics, aspect_difference
from transposenet_core.geometry.undistortion import fixed_point, remap
from transposenet_ros.bags.camera_info import camera_content
from transposenet_ros.camera.camera_comparison import (
    POLICIES,
    Target,
    Verdict,
    compare,
    refused,
    unknown,
    unknown_of_size,
)
from transposenet_ros.camera.live_camera import LiveCamera, live_camera


class CameraCheck:
    """Compares each CameraInfo with a scene model's `intrinsics`, and corrects images where that helps.

    For a model of rectified images, distorted live images are rectified; `rectified` means that they already are.
    ``on_mismatch``: `warn` continues; `refuse` makes the verdict an ERROR; `warp` warps the images into the training
    camera's view, black where the live camera sees nothing. That is exact for any lens where the model was trained on
    rectified images, and otherwise where both lenses have the same distortion. Images of another aspect ratio than
    their own CameraInfo are always refused.

    The executor calls `update`, the worker `correct`. ValueError for an unknown `on_mismatch`.
    """

    def __init__(self, intrinsics: Intrinsics | None, on_mismatch: str = "warn", rectified: bool = False) -> None:
        if on_mismatch not in POLICIES:
            raise ValueError(f"on_mismatch '{on_mismatch}' is unknown, allowed are: {', '.join(POLICIES)}")
        self._training, self._policy, self._rectified = intrinsics, on_mismatch, rectified
        self._lock = threading.Lock()
        self._content: tuple | None = None
        self._camera: LiveCamera | None = None
        self._size: tuple[int, int] | None = None  # of the images, where one was seen under this CameraInfo
        self._fault = "no CameraInfo received"
        self._check_camera()

    def update(self, info: CameraInfo) -> Verdict:
        """The verdict on a camera; cheap where the message repeats the last one."""
        with self._lock:
            if (content := camera_content(info)) != self._content:
                self._content, self._size = content, None
                try:
                    self._camera, self._fault = live_camera(info, self._rectified), ""
                except ValueError as error:
                    self._camera, self._fault = None, f"the CameraInfo cannot be used, {error}"
                self._check_camera()
            return self.verdict

    def correct(self, image_HW3: np.ndarray) -> np.ndarray:
        """The image (H, W, 3) uint8 as the model needs it: the same array where nothing has to change."""
        height, width = image_HW3.shape[:2]
        with self._lock:
            if (width, height) != self._size:
                self._size = width, height
                self._check_camera()
            maps = self._maps
        if maps is None:
            return image_HW3
        return remap(image_HW3, maps)

    def _check_camera(self) -> None:
        """Set the verdict, and the maps once an image's size is known."""
        target: Target | None = None
        self._maps: tuple[np.ndarray, np.ndarray] | None = None
        camera = self._camera
        if self._training is None or camera is None:
            self.verdict = unknown(self._training, self._fault)
            if self._training is not None and self._size is not None:
                self.verdict = unknown_of_size(self._training, self._fault, self._size, self._policy)
            return
        width, height = self._size or (camera.width, camera.height)
        if difference := aspect_difference((width, height), (camera.width, camera.height)):
            # By no policy: whatever the training camera is, this CameraInfo says nothing of these images.
            described = f"their CameraInfo is for {camera.width}x{camera.height}"
            self.verdict = refused(f"images are {width}x{height}, but {described}: {difference}")
            return
        camera = camera.scaled(width, height)
        self.verdict, target = compare(self._training, camera, self._policy)
        if target is not None and self._size is not None:
            self._maps = fixed_point(*target.maps())
