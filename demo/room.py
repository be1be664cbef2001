"""The demo room: objects and their places, as textured surfaces; the same for every call with the same seed.

Map frame: origin in a corner of the floor, x towards the wall the robot looks at, y to its left, z up; metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from demo import textures as tx
from demo.shapes import Surface, box, cone, cylinder, rectangle, revolved, sphere

LENGTH, WIDTH, HEIGHT = 6.0, 5.0, 2.7


@dataclass(frozen=True, eq=False)
class Thing:
    """One object: a name such as `chair_2`, its kind (`chair`), and its surfaces."""

    name: str
    kind: str
    surfaces: list[Surface]

    @property
    def bounds(self) -> tuple[list[float], list[float]]:
        """Lowest and highest corner of its axis-parallel bounding box, metres in the map frame."""
        points = np.concatenate([s.points_N3 for s in self.surfaces])
        return points.min(axis=0).round(3).tolist(), points.max(axis=0).round(3).tolist()


@dataclass(eq=False)
class Room:
    """Shell (floor, walls, ceiling), things, and the textures by name (uint8 RGB)."""

    shell: list[Surface] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    textures: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, kind: str, *surfaces: Surface) -> None:
        number = 1 + sum(thing.kind == kind for thing in self.things)
        self.things.append(Thing(f"{kind}_{number}", kind, list(surfaces)))


def build_room(seed: int = 7) -> Room:
    """The room with all its things."""
    room = Room(textures=_textures(np.random.default_rng(seed)))
    _add_seating(room)
    _add_storage(room)
    _add_small_things(room)
    _add_wall_things(room)
    _add_shell(room)
    return room


def _textures(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every texture by name."""
    wood = {"oak": (176, 128, 78), "walnut": (104, 70, 46), "pine": (212, 174, 118), "beech": (196, 148, 104)}
    colours = {"white": (232, 230, 224), "black": (38, 38, 42), "steel": (150, 156, 164), "red": (196, 38, 34),
               "teal": (28, 128, 132), "mustard": (214, 162, 40), "clay": (176, 92, 58), "navy": (36, 52, 104),
               "lamp": (255, 240, 205)}  # fmt: skip
    named = {name: tx.grained_wood(rng, colour) for name, colour in wood.items()}
    named |= {name: tx.plain(rng, colour) for name, colour in colours.items()}
    named |= {f"books_{k}": tx.books(rng) for k in range(6)}
    for k, kind in enumerate(("landscape", "blocks", "circles", "waves", "letters", "landscape", "circles", "blocks")):
        named[f"painting_{k}"] = tx.painting(rng, kind)
    named |= {
        "floor": tx.planks(rng, (168, 128, 88), 1024, 24),
        "ceiling": tx.plain(rng, (225, 224, 220), 128, 3),
        "east": tx.wallpaper(rng, (176, 196, 214), (90, 112, 140), 384, 711, "diamonds"),
        "north": tx.wallpaper(rng, (222, 188, 146), (150, 84, 60), 384, 853, "stripes"),
        "south": tx.wallpaper(rng, (178, 204, 160), (78, 110, 80), 384, 853, "dots"),
        "west": tx.wallpaper(rng, (214, 210, 200), (120, 116, 110), 256, 474, "stripes"),
        "carpet": tx.carpet(rng, [(150, 30, 40), (226, 196, 140), (36, 44, 92), (196, 110, 50)]),
        "mat": tx.carpet(rng, [(40, 92, 84), (220, 214, 190), (200, 120, 60)], 192),
        "cardboard": tx.cardboard(rng),
        "cone": tx.bands(rng, [(30, 30, 30), *[(235, 90, 25), (240, 240, 236)] * 2, (235, 90, 25)]),
        "barrel": tx.bands(rng, [(30, 70, 150)] * 3 + [(235, 210, 40)] + [(30, 70, 150)] * 3 + [(200, 205, 210)]),
        "ball_a": tx.beach_ball(rng, [(220, 40, 40), (245, 245, 240), (40, 80, 200), (250, 210, 40)]),
        "ball_b": tx.beach_ball(rng, [(30, 30, 34), (240, 140, 30)]),
        "ball_c": tx.beach_ball(rng, [(60, 160, 80), (240, 240, 235)]),
        "chest": tx.drawers(rng, (150, 96, 58), 4, 2),
        "wardrobe": tx.drawers(rng, (206, 200, 186), 1, 3),
        "sideboard": tx.drawers(rng, (60, 96, 108), 2, 4),
        "radiator": tx.ribs(rng, (226, 226, 222), 18),
        "curtain": tx.ribs(rng, (188, 60, 70), 9),
        "basket": tx.ribs(rng, (176, 138, 86), 14),
        "sofa": tx.ribs(rng, (58, 92, 126), 5),
        "window": tx.window(rng),
        "clock": tx.clock(rng),
        "leaves": tx.leaves(rng),
        "door": tx.drawers(rng, (238, 232, 220), 3, 2),
        "screen": tx.painting(rng, "letters"),
    }  # fmt: skip
    return named


def _add_shell(room: Room) -> None:
    """Floor (with soft shadows under the things), ceiling and four walls."""
    room.textures["floor"] = _shaded_floor(room)
    x, y, z = LENGTH / 2, WIDTH / 2, HEIGHT / 2
    room.shell = [
        rectangle((x, y, 0), (x, 0, 0), (0, y, 0), "floor"),
        rectangle((x, y, HEIGHT), (x, 0, 0), (0, -y, 0), "ceiling"),
        rectangle((LENGTH, y, z), (0, -y, 0), (0, 0, z), "east"),
        rectangle((0, y, z), (0, y, 0), (0, 0, z), "west"),
        rectangle((x, WIDTH, z), (x, 0, 0), (0, 0, z), "north"),
        rectangle((x, 0, z), (-x, 0, 0), (0, 0, z), "south"),
    ]


def _shaded_floor(room: Room) -> np.ndarray:
    """The floor's texture, darker beneath and beside what stands on it: the renderer casts no shadows."""
    floor = room.textures["floor"]
    shade = np.zeros(floor.shape[:2], dtype=np.float32)
    scale = np.array([floor.shape[1] / LENGTH, floor.shape[0] / WIDTH])
    for surface in (s for thing in room.things for s in thing.surfaces if s.points_N3[:, 2].min() < 0.5):
        plan = surface.points_N3[:, :2] * scale
        plan[:, 1] = floor.shape[0] - plan[:, 1]
        for triangle in surface.triangles_M3:
            cv2.fillPoly(shade, [plan[triangle].round().astype(np.int32)], 1.0)
    shade = 0.5 * cv2.GaussianBlur(shade, (0, 0), 9) + 0.5 * cv2.GaussianBlur(shade, (0, 0), 28)
    return (floor * (1 - 0.62 * shade)[..., None]).astype(np.uint8)


def _add_seating(room: Room) -> None:
    top = [box((4.35, 2.55, 0.72), (1.3, 0.85, 0.04), "oak")]
    legs = [box((4.35 + dx, 2.55 + dy, 0.35), (0.06, 0.06, 0.7), "oak") for dx in (-0.58, 0.58) for dy in (-0.36, 0.36)]
    room.add("table", *top, *legs)
    for (x, y), yaw in zip([(3.75, 2.0), (4.7, 1.8), (3.95, 3.2), (4.85, 3.15)], [75, 100, -80, -110], strict=True):
        room.add("chair", *_chair(x, y, yaw))
    seat = [box((0, 0, 0.24), (1.7, 0.75, 0.36), "sofa"), box((0, 0.32, 0.55), (1.7, 0.16, 0.5), "sofa")]
    arms = [box((dx, 0, 0.35), (0.16, 0.8, 0.55), "navy") for dx in (-0.86, 0.86)]
    room.add("sofa", *[s.moved((2.75, 4.52, 0)) for s in seat + arms])
    for x, texture in ((2.4, "mustard"), (3.1, "red")):
        room.add("cushion", box((x, 4.5, 0.57), (0.38, 0.14, 0.36), texture, 12))
    for x, y in ((3.55, 0.75), (5.2, 4.1)):
        pole = cylinder((x, y, 0), 0.03, 0.42, "steel")
        room.add("stool", pole, cylinder((x, y, 0.42), 0.19, 0.05, "teal"), cylinder((x, y, 0), 0.16, 0.02, "steel"))


def _chair(x: float, y: float, yaw: float) -> list[Surface]:
    parts = [box((0, 0, 0.45), (0.42, 0.42, 0.04), "beech"), box((-0.19, 0, 0.82), (0.03, 0.40, 0.22), "beech")]
    parts += [box((dx, dy, 0.22), (0.04, 0.04, 0.44), "walnut") for dx in (-0.18, 0.18) for dy in (-0.18, 0.18)]
    parts += [box((-0.19, dy, 0.66), (0.03, 0.03, 0.42), "walnut") for dy in (-0.17, 0.17)]
    return [part.moved((x, y, 0), yaw) for part in parts]


def _add_storage(room: Room) -> None:
    room.add("shelf", *_shelf((5.80, 1.25), 90, [0, 1, 2, 3]))
    room.add("shelf", *_shelf((4.35, 0.20), 0, [4, 2, 5, 0]))
    room.add("shelf", *_shelf((4.35, 4.80), 180, [3, 5, 1, 4]))
    room.add("chest", box((2.55, 0.25, 0.45), (0.95, 0.45, 0.9), "chest"))
    room.add("wardrobe", box((1.05, 4.7, 0.95), (1.2, 0.55, 1.9), "wardrobe"))
    room.add("sideboard", box((5.72, 3.55, 0.30), (0.45, 1.4, 0.6), "sideboard"))
    for x, y, z, yaw in ((3.55, 1.25, 0, 15), (3.60, 1.22, 1, -8), (5.1, 0.75, 0, 30), (5.45, 0.45, 0, 5),
                         (3.45, 4.05, 0, 35), (2.55, 0.25, 3, 10)):  # fmt: skip
        room.add("box", box((x, y, 0.15 + 0.3 * z), (0.38, 0.32, 0.3), "cardboard", yaw))


def _shelf(at: tuple[float, float], yaw: float, rows: list[int]) -> list[Surface]:
    """A bookshelf whose open side faces +y before it is rotated."""
    parts = [box((dx, 0, 0.95), (0.03, 0.32, 1.9), "walnut") for dx in (-0.56, 0.56)]
    parts += [box((0, 0, z), (1.1, 0.32, 0.03), "walnut") for z in (0.05, 0.5, 0.95, 1.4, 1.88)]
    for level, row in enumerate(rows):
        z = 0.26 + 0.45 * level
        parts.append(rectangle((0, 0.06, z), (-0.54, 0, 0), (0, 0, 0.2), f"books_{row}"))
    return [part.moved((*at, 0), yaw) for part in parts]


def _add_small_things(room: Room) -> None:
    room.add("carpet", rectangle((4.3, 2.55, 0.006), (1.25, 0, 0), (0, 1.15, 0), "carpet"))
    room.add("mat", rectangle((2.3, 3.9, 0.006), (0.6, 0, 0), (0, 0.35, 0), "mat"))
    for x, y in ((3.35, 2.35), (3.55, 3.60), (1.75, 0.75), (5.35, 2.15)):
        room.add("cone", cone((x, y, 0), 0.14, 0.45, "cone"), box((x, y, 0.012), (0.32, 0.32, 0.024), "black"))
    for x, y, r, texture in ((3.45, 2.95, 0.13, "ball_a"), (3.7, 1.62, 0.10, "ball_b"), (1.75, 4.25, 0.14, "ball_c")):
        room.add("ball", sphere((x, y, r), r, texture))
    for x, y in ((5.1, 1.45), (1.35, 0.35)):
        room.add("barrel", cylinder((x, y, 0), 0.24, 0.75, "barrel"))
    for x, y, scale in ((5.6, 4.6, 1.25), (3.35, 0.3, 0.9), (3.75, 4.65, 0.9), (5.6, 0.25, 1.0)):
        room.add("plant", *_plant(x, y, scale))
    foot, pole = (cylinder((5.15, 3.75, 0), radius, height, "black") for radius, height in ((0.15, 0.03), (0.02, 1.5)))
    room.add("floor_lamp", foot, pole, revolved((5.15, 3.75, 1.4), [(0.24, 0), (0.14, 0.3)], "lamp"))
    room.add(
        "basket", revolved((3.05, 4.0, 0), [(0.12, 0), (0.17, 0.35), (0.14, 0.35), (0.1, 0.03), (0, 0.03)], "basket")
    )
    room.add(
        "extinguisher", cylinder((2.0, 0.16, 0.5), 0.09, 0.5, "red"), cylinder((2.0, 0.16, 1.0), 0.03, 0.1, "black")
    )
    room.add("vase", revolved((4.2, 2.5, 0.74), [(0.06, 0), (0.11, 0.12), (0.04, 0.24), (0.06, 0.3)], "teal"))
    room.add("bowl", revolved((4.6, 2.7, 0.74), [(0.05, 0), (0.16, 0.1), (0.14, 0.1), (0.04, 0.02)], "mustard"))
    case = [box((5.72, 3.3, 0.88), (0.05, 0.75, 0.45), "black"), box((5.7, 3.3, 0.63), (0.2, 0.25, 0.06), "black")]
    room.add("monitor", *case, rectangle((5.69, 3.3, 0.88), (0, -0.34, 0), (0, 0, 0.2), "screen"))
    room.add("globe", sphere((5.7, 4.05, 0.80), 0.15, "painting_5"), cylinder((5.7, 4.05, 0.6), 0.08, 0.06, "walnut"))


def _plant(x: float, y: float, scale: float) -> list[Surface]:
    pot = revolved((x, y, 0), [(0.13, 0), (0.18, 0.3), (0.15, 0.3), (0, 0.27)], "clay")
    crowns = [(0, 0, 0.62, 0.24), (0.13, 0.08, 0.88, 0.19), (-0.12, -0.1, 0.92, 0.17), (0.02, -0.04, 1.12, 0.15)]
    blobs = [sphere((x + dx * scale, y + dy * scale, z * scale), r * scale, "leaves", 12) for dx, dy, z, r in crowns]
    return [pot, cylinder((x, y, 0.25), 0.025, 0.5 * scale, "walnut"), *blobs]


def _add_wall_things(room: Room) -> None:
    east, north, south = LENGTH - 0.02, WIDTH - 0.02, 0.02
    room.add("window", rectangle((east, 3.65, 1.62), (0, -0.75, 0), (0, 0, 0.6), "window"),
             box((east, 3.65, 0.99), (0.14, 1.6, 0.05), "white"))  # fmt: skip
    for y in (2.78, 4.52):
        room.add("curtain", box((5.94, y, 1.55), (0.07, 0.26, 1.5), "curtain"))
    room.add("radiator", box((5.9, 2.35, 0.4), (0.12, 0.75, 0.55), "radiator"))
    room.add("clock", rectangle((east, 2.2, 1.95), (0, -0.2, 0), (0, 0, 0.2), "clock"))
    for y, z, half, k in ((2.2, 1.3, 0.28, 1), (0.35, 1.55, 0.25, 0)):
        room.add("painting", rectangle((east, y, z), (0, -half, 0), (0, 0, half), f"painting_{k}"))
    for x, z, half, k in ((2.1, 1.45, 0.28, 2), (2.75, 1.5, 0.24, 3), (3.4, 1.4, 0.3, 6), (5.25, 1.5, 0.32, 4)):
        room.add("painting", rectangle((x, north, z), (half, 0, 0), (0, 0, half), f"painting_{k}"))
    for x, z, half, k in ((1.35, 1.45, 0.28, 7), (2.55, 1.65, 0.26, 5), (3.3, 1.55, 0.3, 2), (5.3, 1.5, 0.28, 3)):
        room.add("painting", rectangle((x, south, z), (-half, 0, 0), (0, 0, half), f"painting_{k}"))
    room.add("door", rectangle((0.02, 2.5, 1.0), (0, 0.45, 0), (0, 0, 1.0), "door"))
    for y in (1.9, 3.2):
        bulb = sphere((3.9, y, 2.1), 0.14, "lamp")
        room.add("pendant", bulb, cylinder((3.9, y, 2.2), 0.012, 0.5, "black"))
