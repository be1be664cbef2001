"""What light and a cheap camera do to an image: changing light, exposure, white balance, blur and noise; seeded."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Light:
    """Sun (azimuth and elevation of where it stands, degrees) and ceiling lamp (metres), each with a strength."""

    sun_azimuth: float
    sun_elevation: float
    sun: float
    lamp_xy: tuple[float, float]
    lamp: float
    ambient: float


@dataclass(frozen=True)
class Sensor:
    """Gain per channel, exposure time in seconds, lens blur in pixels, noise of a mid-grey pixel in grey levels."""

    gain_3: tuple[float, float, float]
    exposure_time: float
    lens_blur: float
    noise: float


def light_at(drive: int, seconds: float) -> Light:
    """The light of a drive at a time: each drive has its own, and within it sun and lamp drift slowly."""
    rng = np.random.default_rng([31, drive])
    a, b, c, d, e = rng.uniform(-1, 1, 5)
    phase = rng.uniform(0, 2 * np.pi, 4)
    drift = np.sin(2 * np.pi * seconds / np.array([41.0, 29.0, 53.0, 37.0]) + phase)
    return Light(
        sun_azimuth=180 + 70 * a + 20 * drift[0],
        sun_elevation=42 + 14 * b + 6 * drift[1],
        sun=0.44 + 0.16 * c + 0.08 * drift[2],
        lamp_xy=(2.6 + 0.8 * d, 2.5 + 0.8 * e),
        lamp=0.56 - 0.12 * c + 0.08 * drift[3],
        ambient=0.36 + 0.05 * drift[1],
    )


def sensor_at(drive: int, seconds: float) -> Sensor:
    """The camera's state of a drive at a time: exposure and white balance wander."""
    rng = np.random.default_rng([57, drive])
    gain, warmth, exposure_time, lens, noise = rng.uniform([-1, -1, 0.006, 0.35, 2.0], [1, 1, 0.020, 0.6, 4.5])
    phase = rng.uniform(0, 2 * np.pi, 2)
    breathing, tint = np.sin(2 * np.pi * seconds / np.array([13.0, 23.0]) + phase)
    level = 1.0 + 0.10 * gain + 0.06 * breathing
    warm = 0.04 * warmth + 0.02 * tint
    return Sensor((level * (1 + warm), level, level * (1 - warm)), exposure_time, lens, noise)


def apply_sensor(image_HW3: np.ndarray, sensor: Sensor, flow_xy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image a camera would give of a clean rendering, uint8 RGB in and out.

    `flow_xy` is the motion of the image in pixels per second; it is smeared over the exposure time.
    """
    image = cv2.GaussianBlur(image_HW3.astype(np.float32), (0, 0), sensor.lens_blur)
    kernel = _streak(np.asarray(flow_xy) * sensor.exposure_time)
    if kernel is not None:
        image = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    image *= np.array(sensor.gain_3, dtype=np.float32)
    # Shot noise grows with the root of the light, read noise is the same everywhere.
    deviation = sensor.noise * np.sqrt(0.25 + np.clip(image, 0, 255) / 170)
    image += deviation * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _streak(motion_xy: np.ndarray) -> np.ndarray | None:
    """A line kernel centred on its pixel, so that it moves nothing; None where the motion is below half a pixel."""
    length = float(np.linalg.norm(motion_xy))
    if length < 0.5:
        return None
    half = int(np.ceil(length / 2)) + 1
    steps = np.linspace(-0.5, 0.5, 8 * half)[:, None] * motion_xy
    kernel = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.float32)
    low = np.floor(steps).astype(int)
    part = steps - low
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            np.add.at(kernel, (low[:, 1] + dy + half, low[:, 0] + dx + half), weight)
    return kernel / kernel.sum()
