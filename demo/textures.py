"""Procedural textures: every function takes a random generator and returns an RGB image, uint8 (H, W, 3)."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

Colour = tuple[float, float, float]


def _finish(image_HW3: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image_HW3), 0, 255).astype(np.uint8)


def noise(rng: np.random.Generator, height: int, width: int, cells: int, octaves: int = 4) -> np.ndarray:
    """Smooth noise (H, W) of mean 0 and deviation 1: random grids of doubling density, each half as strong."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        n = cells * 2**octave
        grid = rng.standard_normal((max(2, n * height // width + 1), n + 1)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    return (total - total.mean()) / (total.std() + 1e-9)


def plain(rng, colour: Colour, size: int = 64, grain: float = 6.0) -> np.ndarray:
    """One colour with a little unevenness."""
    return _finish(np.array(colour) + grain * noise(rng, size, size, 4)[..., None])


def grained_wood(rng, colour: Colour, height: int = 128, width: int = 256) -> np.ndarray:
    """Grain that runs along the width."""
    rings = np.sin(np.linspace(0, 40, height)[:, None] + 3 * noise(rng, height, width, 3, 3))
    streaks = cv2.resize(rng.standard_normal((height, 8)).astype(np.float32), (width, height))
    return _finish(np.array(colour) * (1 + 0.10 * rings + 0.06 * streaks)[..., None])


def planks(rng, colour: Colour, size: int, count: int) -> np.ndarray:
    """A wooden floor: `count` rows of boards with different brightness and joints."""
    image = np.zeros((size, size, 3))
    height = size // count
    for row in range(count):
        cuts = [0, *np.sort(rng.integers(size // 8, size - size // 8, 3)), size]
        for start, end in pairwise(cuts):
            if end - start < 8:
                continue
            board = grained_wood(rng, colour, height, int(end - start)) * rng.uniform(0.78, 1.1)
            board[:2], board[:, :2] = board[:2] * 0.5, board[:, :2] * 0.5
            image[row * height : (row + 1) * height, start:end] = board
    return _finish(image)


def wallpaper(rng, base: Colour, panel: Colour, height: int, width: int, motif: str) -> np.ndarray:
    """A wall: a coloured panel below a rail, a faint motif above it, dirt and darker corners."""
    v, u = np.mgrid[0:height, 0:width] / height
    pattern = {
        "stripes": np.sign(np.sin(u * 2 * np.pi * 7)),
        "diamonds": np.sign(np.sin((u + v) * 34) * np.sin((u - v) * 34)),
        "dots": np.where((np.sin(u * 44) * np.sin(v * 44)) > 0.6, 1.0, -0.4),
    }[motif]
    image = np.array(base) * (1 + 0.05 * pattern + 0.035 * noise(rng, height, width, 5))[..., None]
    low = v > 0.72
    boards = 1 - 0.25 * (np.abs((u * 9) % 1 - 0.5) > 0.47)
    image[low] = (np.array(panel) * (boards + 0.05 * noise(rng, height, width, 8))[..., None])[low]
    image[(v > 0.70) & (v < 0.725)] = (236, 230, 220)
    image[v > 0.965] = (92, 70, 52)
    edge = np.minimum(np.minimum(u, width / height - u), np.minimum(v, 1 - v))
    return _finish(image * (0.72 + 0.28 * np.clip(edge / 0.12, 0, 1) ** 0.6)[..., None])


def carpet(rng, colours: list[Colour], size: int = 384) -> np.ndarray:
    """Concentric borders around a lattice of rhombs, woven."""
    v, u = np.mgrid[0:size, 0:size] / size - 0.5
    ring = np.maximum(np.abs(u), np.abs(v))
    lattice = (np.floor((u + v) * 9) + 2 * np.floor((u - v) * 9)).astype(int) % len(colours)
    image = np.array(colours)[lattice].astype(float)
    for k, edge in enumerate((0.36, 0.40, 0.45, 0.48)):
        image[ring > edge] = colours[(k + 1) % len(colours)]
    zigzag = (ring > 0.40) & (ring < 0.45) & (np.abs((np.arctan2(v, u) * 12) % 1 - 0.5) > 0.25)
    image[zigzag] = colours[0]
    return _finish(image * (1 + 0.06 * noise(rng, size, size, 64, 2))[..., None])


def painting(rng, kind: str, size: int = 192) -> np.ndarray:
    """An image for the wall in a frame; kinds: blocks, circles, landscape, waves, letters."""
    image = {"blocks": _blocks, "circles": _circles, "landscape": _landscape, "waves": _waves, "letters": _letters}[
        kind
    ](rng, size)
    frame = max(4, size // 16)
    bordered = cv2.copyMakeBorder(
        _finish(image),
        frame,
        frame,
        frame,
        frame,
        cv2.BORDER_CONSTANT,
        value=[int(c) for c in rng.integers(20, 110, 3)],
    )
    return cv2.resize(bordered, (size, size), interpolation=cv2.INTER_AREA)


def _blocks(rng, n):
    image = np.full((n, n, 3), 238.0)
    for _ in range(11):
        x, y = rng.integers(0, n, 2)
        w, h = rng.integers(n // 8, n // 2, 2)
        image[y : y + h, x : x + w] = rng.choice(
            [[206, 44, 40], [32, 62, 160], [240, 200, 40], [20, 20, 24], [242] * 3]
        )
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), (12, 12, 12), 4)
    return image


def _circles(rng, n):
    image = np.full((n, n, 3), rng.integers(30, 90, 3), dtype=float)
    for _ in range(16):
        centre = tuple(int(c) for c in rng.integers(0, n, 2))
        cv2.circle(image, centre, int(rng.integers(n // 16, n // 4)), rng.integers(30, 250, 3).tolist(), -1)
    return image


def _landscape(rng, n):
    v = np.linspace(0, 1, n)[:, None, None]
    image = np.array([90, 150, 225]) * (1 - v) + np.array([250, 205, 150]) * v + np.zeros((n, n, 1))
    for k in range(4):
        ridge = (0.45 + 0.13 * k) * n + n * 0.07 * noise(rng, n, n, 3 + 2 * k)[0]
        image[np.arange(n)[:, None] > ridge[None]] = np.array([60, 95, 70]) * (1.1 - 0.22 * k) + [
            10 * k,
            30 * (k == 2),
            0,
        ]
    cv2.circle(image, (int(n * rng.uniform(0.2, 0.8)), n // 4), n // 11, (255, 240, 190), -1)
    return image


def _waves(rng, n):
    phase = 5 * noise(rng, n, n, 2, 2)
    stripes = 0.5 + 0.5 * np.sin(phase * 2 + np.linspace(0, 25, n)[:, None])
    a, b = rng.integers(10, 120, 3), rng.integers(150, 255, 3)
    return a + (b - a) * stripes[..., None]


def _letters(rng, n):
    image = np.full((n, n, 3), 246.0)
    image[: n // 5] = rng.integers(40, 200, 3)
    for line in range(7):
        x, y = n // 12, int(n * (0.3 + 0.095 * line))
        while x < n * 0.85:
            word = int(rng.integers(n // 20, n // 6))
            cv2.rectangle(
                image, (x, y), (min(x + word, n - n // 12), y + n // 28), rng.integers(0, 120, 3).tolist(), -1
            )
            x += word + n // 22
    return image


def books(rng, height: int = 96, width: int = 320) -> np.ndarray:
    """A row of book spines, some leaning low, on a dark back."""
    image = np.full((height, width, 3), (52.0, 40.0, 32.0))
    x = 3
    while x < width - 16:
        w = int(rng.integers(6, 18))
        top = int(rng.integers(2, height // 3))
        colour = rng.integers(30, 235, 3)
        image[top:, x : x + w] = colour
        image[top:, x : x + 1] = colour * 0.55
        image[top + 10 : top + 13, x + 1 : x + w] = 235 - colour * 0.5
        if rng.random() < 0.6:
            middle = (top + height) // 2
            image[middle : middle + int(rng.integers(8, 20)), x + 2 : x + w - 2] = 240 - colour * 0.8
        x += w + (int(rng.integers(8, 26)) if rng.random() < 0.08 else 0)
    return _finish(image)


def cardboard(rng, size: int = 128) -> np.ndarray:
    """A box side: ribbed card, a strip of tape, a label and an arrow."""
    image = (
        np.array([186, 142, 92])
        * (1 + 0.04 * noise(rng, size, size, 6) + 0.03 * np.sin(np.arange(size) * 1.3))[..., None]
    )
    image[:, int(size * 0.45) : int(size * 0.55)] *= 1.18
    image[int(size * 0.6) : int(size * 0.85), int(size * 0.1) : int(size * 0.4)] = (240, 240, 232)
    for k in range(4):
        y = int(size * (0.64 + 0.05 * k))
        image[y : y + 2, int(size * 0.13) : int(size * (0.24 + 0.04 * (k % 3)))] = 40
    arrow = np.array([[0.75, 0.15], [0.88, 0.32], [0.79, 0.32], [0.79, 0.5], [0.71, 0.5], [0.71, 0.32], [0.62, 0.32]])
    cv2.fillPoly(image, [(arrow * size).astype(np.int32)], (150, 36, 30))
    image[:3], image[-3:], image[:, :3], image[:, -3:] = (120, 88, 54), (120, 88, 54), (120, 88, 54), (120, 88, 54)
    return _finish(image)


def bands(rng, colours: list[Colour], height: int = 64, width: int = 64) -> np.ndarray:
    """Bands of colour from bottom to top (cones, balls, barrels)."""
    rows = np.array(colours, dtype=float)[::-1][np.arange(height) * len(colours) // height]
    return _finish(rows[:, None] + 5 * noise(rng, height, width, 4)[..., None])


def beach_ball(rng, colours: list[Colour], size: int = 64) -> np.ndarray:
    """Gores of colour around the axis."""
    columns = np.array(colours, dtype=float)[np.arange(size) * 2 * len(colours) // size % len(colours)]
    return _finish(np.tile(columns[None], (size, 1, 1)) + 3 * rng.standard_normal((size, size, 1)))


def drawers(rng, colour: Colour, rows: int, columns: int, size: int = 160) -> np.ndarray:
    """Fronts with knobs."""
    image = grained_wood(rng, colour, size, size).astype(float)
    h, w = size // rows, size // columns
    for r in range(rows):
        for c in range(columns):
            cv2.rectangle(image, (c * w + 2, r * h + 2), (c * w + w - 3, r * h + h - 3), [k * 0.45 for k in colour], 2)
            cv2.circle(image, (c * w + w // 2, r * h + h // 2), max(2, size // 40), (225, 215, 180), -1)
    return _finish(image)


def ribs(rng, colour: Colour, count: int, size: int = 128) -> np.ndarray:
    """Vertical ribs (radiator, curtain, basket)."""
    u = np.linspace(0, 2 * np.pi * count, size)
    return _finish(
        (np.array(colour) * (0.82 + 0.2 * np.sin(u))[:, None])[None] + 2 * rng.standard_normal((size, size, 1))
    )


def window(rng, size: int = 256) -> np.ndarray:
    """Sky, clouds, roofs and trees behind a cross of bars."""
    v = np.linspace(0, 1, size)[:, None, None]
    image = np.array([120, 175, 240]) * (1 - v) + np.array([225, 238, 250]) * v + np.zeros((size, size, 1))
    cloud = np.clip(noise(rng, size, size, 3, 5), 0, 1.2)[..., None] * (v < 0.7)
    image = image + (255 - image) * cloud * 0.8
    for x in range(0, size, size // 7):
        top = int(size * rng.uniform(0.62, 0.8))
        cv2.rectangle(image, (x, top), (x + size // 7 - 3, size), rng.integers(70, 190, 3).tolist(), -1)
    trees = np.arange(size)[:, None] > size * (0.88 + 0.03 * noise(rng, size, size, 12)[0])[None]
    image[trees] = (70, 110, 62)
    bar = size // 36
    for at in (0, size // 2 - bar // 2, size - bar):
        image[at : at + bar], image[:, at : at + bar] = 244, 244
    return _finish(image)


def clock(rng, size: int = 128) -> np.ndarray:
    """A dial that shows ten past ten."""
    image = np.full((size, size, 3), 245.0)
    c = size // 2
    cv2.circle(image, (c, c), c - 2, (30, 30, 34), size // 14)
    for hour in range(12):
        d = np.array([np.sin(hour * np.pi / 6), -np.cos(hour * np.pi / 6)])
        a, b = (c + d * c * 0.7).astype(int), (c + d * c * 0.84).astype(int)
        cv2.line(image, a.tolist(), b.tolist(), (20, 20, 20), 3)
    for angle, length, width in ((np.radians(305), 0.45, 6), (np.radians(60), 0.65, 4)):
        end = (c + c * length * np.array([np.sin(angle), -np.cos(angle)])).astype(int)
        cv2.line(image, (c, c), end.tolist(), (160, 20, 20), width)
    return _finish(image)


def leaves(rng, size: int = 128) -> np.ndarray:
    """Overlapping leaves in greens."""
    image = np.full((size, size, 3), (26.0, 60.0, 26.0))
    for _ in range(120):
        at = tuple(int(c) for c in rng.integers(0, size, 2))
        green = np.array([50, 120, 45]) * rng.uniform(0.6, 1.5) + [rng.uniform(0, 40), 0, 0]
        cv2.ellipse(image, at, (int(size * 0.09), int(size * 0.03)), rng.uniform(0, 180), 0, 360, green.tolist(), -1)
    return _finish(image)
