"""SIFT key points of images, spread over each image and kept in a cache by the image's content.

Lowe, "Distinctive image features from scale-invariant keypoints", 2004; the descriptors are normalised as RootSIFT
(Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", 2012).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.encoded_images.decoding import decode_image
from transposenet_core.encoded_images.errors import ImageDataError
from transposenet_core.errors import UserError

KEY_POINTS = 700
DETECTED = 1100  # from which KEY_POINTS are chosen that cover the image
LONGEST_SIDE = 720  # larger images are scaled down: SIFT's time grows with the area, its accuracy hardly
CELLS = (10, 8)  # across and down
THUMBNAIL = (20, 15)
SETTINGS = f"sift 3 {KEY_POINTS} {DETECTED} {LONGEST_SIDE} {CELLS} {THUMBNAIL}"


@dataclass(frozen=True, eq=False)
class Features:
    """Key points of an image: ``pixel_K2`` (K, 2) float32 x, y of the image as recorded (pixel centres are whole
    numbers), ``descriptor_KD`` (K, 128) uint8, ``thumbnail_T`` the image in small, normalised, and the image's size."""

    pixel_K2: np.ndarray
    descriptor_KD: np.ndarray
    thumbnail_T: np.ndarray
    width: int
    height: int


def features_of(path: Path, cache: Path | None) -> Features:
    """The features of an image file, from the cache where it has them. UserError where the image cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the image cannot be read ({error.strerror}); check the path") from None
    stored = None
    if cache is not None:
        stored = cache / f"{hashlib.sha256(SETTINGS.encode() + data).hexdigest()[:32]}.npz"
        if (found := _load(stored)) is not None:
            return found
    try:
        image_HW3 = decode_image(data)
    except ImageDataError as error:
        raise UserError(f"{path}: {error}; allowed are whole JPEG and PNG files: {error.advice}") from None
    features = detect(image_HW3)
    if stored is not None:
        _store(stored, features)
    return features


def detect(image_HW3: np.ndarray) -> Features:
    """At most KEY_POINTS key points of an image (H, W, 3) uint8 RGB."""
    height, width = image_HW3.shape[:2]
    grey_HW = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)
    thumbnail_HW = cv2.resize(grey_HW, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    thumbnail_T = ((thumbnail_HW - thumbnail_HW.mean()) / (thumbnail_HW.std() + 4.0)).ravel()
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    if scale < 1:
        size = round(width * scale), round(height * scale)
        grey_HW = cv2.resize(grey_HW, size, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT_create(DETECTED, 3, 0.016, 10, 1.6, cv2.CV_32F, True)
    points, descriptor_KD = sift.detectAndCompute(grey_HW, None)
    if not points:
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8), thumbnail_T, width, height)
    xy_K2 = np.array([point.pt for point in points], np.float64)
    response_K = np.array([point.response for point in points])
    # A key point with two orientations is one place of the image: the first descriptor is kept.
    _, first = np.unique(np.round(xy_K2, 2), axis=0, return_index=True)
    chosen = first[_spread(xy_K2[first], response_K[first], grey_HW.shape)]
    ratio_2 = np.array([width, height]) / grey_HW.shape[::-1]
    pixel_K2 = ((xy_K2[chosen] + 0.5) * ratio_2 - 0.5).astype(np.float32)
    root_KD = np.sqrt(descriptor_KD[chosen] / np.maximum(descriptor_KD[chosen].sum(axis=1, keepdims=True), 1e-9))
    return Features(pixel_K2, np.round(512 * root_KD).clip(0, 255).astype(np.uint8), thumbnail_T, width, height)


def _spread(xy_K2: np.ndarray, response_K: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Indices of KEY_POINTS of the points: the strongest of each cell first, then the next ones of each."""
    across, down = CELLS
    cell_K = (xy_K2[:, 1] * down / shape[0]).astype(int) * across + (xy_K2[:, 0] * across / shape[1]).astype(int)
    order = np.lexsort((-response_K, cell_K))
    starts = np.r_[0, np.flatnonzero(np.diff(cell_K[order])) + 1]
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    # Four of a cell are worth taking before any cell gives its fifth; beyond that strength counts as well.
    by_worth = np.lexsort((-response_K[order], rank // 4))
    return np.sort(order[by_worth[:KEY_POINTS]])


def _store(path: Path, features: Features) -> None:
    with write_atomically(path, sync=False) as temporary, open(temporary, "wb") as file:
        size = np.array([features.width, features.height])
        np.savez(
            file, pixel=features.pixel_K2, descriptor=features.descriptor_KD, thumbnail=features.thumbnail_T, size=size
        )


def _load(path: Path) -> Features | None:
    """None for a file that is missing or damaged, which is made again."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            width, height = (int(side) for side in stored["size"])
            found = Features(stored["pixel"], stored["descriptor"], stored["thumbnail"], width, height)
    except (OSError, ValueError, KeyError, EOFError):
        return None
    whole = found.pixel_K2.shape == (len(found.descriptor_KD), 2) and found.descriptor_KD.shape[1:] == (128,)
    return found if whole and len(found.thumbnail_T) == math.prod(THUMBNAIL) else None
