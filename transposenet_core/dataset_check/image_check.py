"""Images that cannot be used (fault matrix, T1) or that are bad for training: every one is decoded once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.encoded_images.decoding import decode_image, read_stream
from transposenet_core.encoded_images.errors import ImageDataError
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.intrinsics import aspect_difference
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage
from transposenet_core.threads import in_threads

Content = TypeVar("Content")
WORKING_WIDTH = 320  # noise and compression matter less there, motion blur still does
THUMBNAIL = (16, 12)
BLURRED_SHARE = 0.2  # of the sequence's median variance of the Laplacian
DARK_LEVEL, BRIGHT_LEVEL = 8, 247
DARK_SHARE, BRIGHT_SHARE = 0.6, 0.4
DARK_MEAN, BRIGHT_MEAN = 20, 235
SAME_LEVELS = 0.35  # mean difference of two thumbnails that are one image twice, compressed anew or not
MOVED_M, MOVED_DEG = 0.05, 2.0


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """The properties of one image; `error` tells why it cannot be used, and then the rest is not valid."""

    error: str = ""
    size: tuple[int, int] = (0, 0)  # width, height
    digest: bytes = b""
    sharpness: float = 0.0  # variance of the Laplacian
    mean: float = 0.0
    dark: float = 0.0
    bright: float = 0.0
    thumbnail: np.ndarray = field(default_factory=lambda: np.zeros(THUMBNAIL[::-1], np.uint8))


def examine(images: Sequence[PosedImage], threads: int = 2, progress: bool = True) -> list[ImageFacts]:
    """Read and decode every image, in threads; a few hundred bytes of each are kept."""
    with in_threads(threads, "try --threads 0") as each:
        work = each(_examine_one, [image.path for image in images])
        return list(ProgressBar(work, total=len(images), desc="images", unit="img", leave=False, disable=not progress))


def sizes_or_faults(
    paths: Sequence[Path], decode: bool, threads: int = 2
) -> Iterator[tuple[tuple[int, int] | None, str]]:
    """Width and height of each image file, else why it is refused: by its structure alone, or with `decode` also for
    the damage that only decoding finds."""
    if not decode:
        yield from (_read(path, _structure_size) for path in paths)
        return
    with in_threads(threads, "leave out --skip-bad") as each:
        work = each(lambda path: _read(path, lambda data: decode_image(data).shape[1::-1]), paths)
        yield from ProgressBar(work, total=len(paths), desc="images", unit="img", leave=False)


def _structure_size(data: bytes) -> tuple[int, int]:
    stream = read_stream(data)
    return stream.width, stream.height


def _read(path: Path, take: Callable[[bytes], Content]) -> tuple[Content | None, str]:
    """What `take` makes of a file's bytes, and why it cannot; "" where it can."""
    try:
        data = path.read_bytes()
        return (take(data), "") if data else (None, "the image is empty (0 bytes)")
    except OSError as error:
        return None, f"the image cannot be read ({error.strerror})"
    except ImageDataError as error:
        return None, str(error)


def _examine_one(path: Path) -> ImageFacts:
    content, fault = _read(path, lambda data: (data, decode_image(data)))
    if content is None:
        return ImageFacts(fault)
    data, image_HW3 = content
    grey_HW = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)
    height, width = grey_HW.shape
    scale = min(1.0, WORKING_WIDTH / width)
    small = cv2.resize(grey_HW, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey_HW
    return ImageFacts(
        size=(width, height),
        digest=hashlib.blake2b(data, digest_size=16).digest(),
        sharpness=float(cv2.Laplacian(small, cv2.CV_32F).var()),
        mean=float(small.mean()),
        dark=float((small <= DARK_LEVEL).mean()),
        bright=float((small >= BRIGHT_LEVEL).mean()),
        thumbnail=cv2.resize(small, THUMBNAIL, interpolation=cv2.INTER_AREA),
    )


@dataclass(frozen=True)
class ImageCounts:
    """How many images there are of each kind that the card lists; `sizes` is "WxH" -> count."""

    unreadable: int
    sizes: dict[str, int]
    duplicates: int
    still: int
    frozen: int
    blurred: int
    badly_exposed: int


def check_images(tracks: Tracks, facts: Sequence[ImageFacts], faults: Faults) -> ImageCounts:
    """Refuses images that cannot be decoded or have another shape; remarks on duplicates, blur and exposure.

    `facts` are by image.
    """
    images = tracks.images
    readable = [(image, fact) for image, fact in zip(images, facts, strict=True) if not fact.error]
    for image, fact in zip(images, facts, strict=True):
        if fact.error:
            faults.refuse(image.path, fact.error)
    return ImageCounts(
        len(images) - len(readable),
        check_shapes([(image, fact.size) for image, fact in readable], faults),
        _check_duplicates(readable, faults),
        *_check_neighbours(tracks, facts, faults),
        _check_blur(readable, faults),
        _check_exposure(readable, faults),
    )


Readable = Sequence[tuple[PosedImage, ImageFacts]]


def check_shapes(sizes: Sequence[tuple[PosedImage, tuple[int, int]]], faults: Faults) -> dict[str, int]:
    """Refuses images of another aspect ratio than most have. `sizes` are (width, height); "WxH" -> count."""
    counts = Counter(size for _, size in sizes)
    if counts:
        usual, _ = counts.most_common(1)[0]
        for image, size in sizes:
            if difference := aspect_difference(size, usual):
                what = f"{size[0]}x{size[1]} pixels, most images have {usual[0]}x{usual[1]}: {difference}"
                faults.refuse(image.path, f"{what}; one aspect ratio is needed")
    return {f"{size[0]}x{size[1]}": count for size, count in counts.most_common()}


def _check_duplicates(readable: Readable, faults: Faults) -> int:
    first: dict[bytes, PosedImage] = {}
    count = 0
    for image, fact in readable:
        other = first.setdefault(fact.digest, image)
        if other is image:
            continue
        count += 1
        where = "" if other.split == image.split else f", which is in {other.split} while this is in {image.split}"
        faults.remark(image.name, f"the same file as {other.name}{where}")
    return count


def _check_neighbours(tracks: Tracks, facts: Sequence[ImageFacts], faults: Faults) -> tuple[int, int]:
    """Neighbours that are one image: the camera stood still, or the image froze while the pose went on."""
    steps, images = tracks.steps, tracks.images
    still = frozen = 0
    for before, after, metres, degrees in zip(
        steps.before_M, steps.after_M, steps.metres_M, steps.degrees_M, strict=True
    ):
        a, b = facts[before], facts[after]
        if a.error or b.error or a.digest == b.digest:
            continue
        if np.abs(a.thumbnail.astype(np.int16) - b.thumbnail).mean() > SAME_LEVELS:
            continue
        if metres > MOVED_M or degrees > MOVED_DEG:
            frozen += 1
            what = f"looks like {images[before].name}, but its pose is {metres:.2f} m, {degrees:.1f} deg away"
            faults.remark(images[after].name, what)
        else:
            still += 1
    return still, frozen


def _check_blur(readable: Readable, faults: Faults) -> int:
    sequences: dict[str, list[float]] = {}
    for image, fact in readable:
        sequences.setdefault(image.sequence, []).append(fact.sharpness)
    usual = {sequence: float(np.median(values)) for sequence, values in sequences.items()}
    blurred = [
        (i, f.sharpness / usual[i.sequence]) for i, f in readable if f.sharpness < BLURRED_SHARE * usual[i.sequence]
    ]
    for image, share in sorted(blurred, key=lambda pair: pair[1]):
        faults.remark(image.name, f"blurred or without texture: sharpness {share:.2f} of its sequence's median")
    return len(blurred)


def _check_exposure(readable: Readable, faults: Faults) -> int:
    count = 0
    for image, fact in readable:
        dark = fact.mean < DARK_MEAN or fact.dark > DARK_SHARE
        if dark or fact.mean > BRIGHT_MEAN or fact.bright > BRIGHT_SHARE:
            share = fact.dark if dark else fact.bright
            faults.remark(image.name, f"{'too dark' if dark else 'too bright'}: {share:.0%} of it without detail")
            count += 1
    return count
