"""The page of a map: it needs no network, up is up, cameras are where they are, and names are only text."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from made_tracks import LEVEL, made_track, walk
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.report.depth_points import Points
from transposenet_core.mapping.report.map_page import write_map_page
from transposenet_core.mapping.report.movement import Movement
from transposenet_core.mapping.report.page_axes import Axes
from transposenet_core.mapping.report.page_figure import MOST_CAMERAS, map_figure, shown_cameras

NO_POINTS = Points(np.empty((0, 3)), np.empty((0, 3), np.uint8), np.empty(0))
HOSTILE = "a</script><script>alert(1)</script>$x_1$<b>&"


def checked(figure: dict[str, Any]) -> go.Figure:
    """The figure after plotly has checked every property of it; with numbers for what is packed."""
    whole = go.Figure(figure)
    for trace, given in zip(whole.data, figure["data"], strict=True):
        for axis in "xyz":
            packed = given[axis]
            trace[axis] = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    return whole


def moved(count: int, rotations: Rotation | None = None, seed: int = 0) -> Movement:
    """A walk whose cameras moved by up to some centimetres; the last one moved by a metre."""
    scene, rng = made_track(walk(count), rotations=rotations), np.random.default_rng(seed)
    offsets_N3 = rng.normal(scale=0.02, size=(count, 3))
    offsets_N3[-1] = [0.6, 0.8, 0.0]
    adjusted = [
        Pose(image.pose.position + offset, image.pose.orientation)
        for image, offset in zip(scene.images, offsets_N3, strict=True)
    ]
    return Movement.of(scene.images, adjusted)


def cloud(count: int) -> Points:
    rng = np.random.default_rng(1)
    position_P3 = rng.uniform([-2, -2, 0], [8, 2, 3], (count, 3))
    return Points(position_P3, rng.integers(0, 256, (count, 3), dtype=np.uint8), rng.uniform(1, 4, count))


class Page(HTMLParser):
    """What a browser would fetch, the scripts, and the text outside of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0
        self.text, self._in_script = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [f"{tag} {value}" for name, value in attrs if name in ("src", "href", "action", "data")]
        self.scripts += tag == "script"
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if not self._in_script:
            self.text += data


def test_m08_the_page_of_a_large_map_needs_no_network_and_is_small_enough(tmp_path: Path) -> None:
    write_map_page(tmp_path / "map.html", cloud(400_000), moved(20_000), "hall", card="map  hall")
    text = (tmp_path / "map.html").read_text()
    assert len(text.encode()) < 25e6
    page = Page(text)
    assert page.fetched == [] and "Map of hall" in page.text
    assert not re.search(r"@import|url\(\s*['\"]?http", text)


def test_e09_names_are_only_text(tmp_path: Path) -> None:
    plain, hostile = moved(30), moved(30)
    hostile = Movement((*plain.names[:-1], HOSTILE), *vars_of(plain))
    pages = []
    for name, movement in (("place", plain), (HOSTILE, hostile)):
        write_map_page(tmp_path / "map.html", NO_POINTS, movement, name, map_frame=name, card=name)
        pages.append(Page((tmp_path / "map.html").read_text()))
    assert pages[0].scripts == pages[1].scripts and pages[1].fetched == []
    assert pages[1].text.count("alert(1)") == 5  # title, heading, map frame, card, and the first row of the table
    hover = map_figure(NO_POINTS, hostile, "metres")["data"][1]["text"][-1]
    assert hover.startswith("a&lt;/script&gt;&lt;script&gt;") and hover.count("<") == 1  # its own line break


def vars_of(movement: Movement) -> tuple[np.ndarray, ...]:
    return movement.recorded_N3, movement.adjusted_N3, movement.recorded_N4, movement.adjusted_N4


@pytest.mark.parametrize("axis, sign", [(2, 1.0), (1, -1.0), (0, 1.0)], ids=["z up", "y down", "x up"])
@pytest.mark.parametrize("origin", [0.0, 453_120.0])
def test_up_is_up_and_cameras_are_where_they_are(axis: int, sign: float, origin: float) -> None:
    """The axes of the drawing are named after the map's; their third is up whatever axis of the map that is."""
    up_3 = sign * np.eye(3)[axis]
    R_map_level, _ = Rotation.align_vectors([up_3], [[0, 0, 1]])
    yaw = Rotation.from_rotvec(np.outer(np.linspace(0, 2, 50), [0, 0, 1]))
    scene = made_track(R_map_level.apply(walk(50)) + origin, rotations=R_map_level * yaw * LEVEL)
    movement = Movement.of(scene.images, [Pose(i.pose.position + 0.1 * up_3, i.pose.orientation) for i in scene.images])
    figure = checked(map_figure(NO_POINTS, movement, "metres"))
    shift = "" if not origin else f" {'-' if sign > 0 else '+'} 453120"
    assert figure.layout.scene.zaxis.title.text == f"up: map {'-' if sign < 0 else ''}{'xyz'[axis]}{shift} [m]"
    before, after = figure.data[1], figure.data[2]
    assert (before.name, after.name) == ("cameras as recorded", "cameras adjusted")
    np.testing.assert_allclose(np.subtract(after.z, before.z), 0.1, atol=1e-5)
    np.testing.assert_allclose(before.z, movement.recorded_N3 @ up_3 - sign * origin, atol=1e-5)
    drawn_N3 = np.column_stack([before.x, before.y, before.z])
    distances = np.linalg.norm(np.diff(drawn_N3, axis=0), axis=1)
    np.testing.assert_allclose(distances, np.linalg.norm(np.diff(movement.recorded_N3, axis=0), axis=1), atol=1e-5)
    axes_33 = Axes(movement.vertical(), "m", np.zeros(3)).of(np.eye(3)).T
    assert np.linalg.det(axes_33) == pytest.approx(1), "mirrored"
    assert figure.layout.scene.camera.up.z == 1


def test_m01_what_moved_most_is_named_in_the_page(tmp_path: Path) -> None:
    movement = moved(3 * MOST_CAMERAS)
    shown = shown_cameras(movement)
    assert len(shown) <= MOST_CAMERAS + 10 and {0, len(movement) - 1} <= set(shown.tolist())
    figure = map_figure(cloud(100), movement, "metres")
    assert figure["data"][-1]["hovertext"][0].startswith(f"1: {movement.names[-1]}<br>moved 1 m")
    write_map_page(tmp_path / "map.html", cloud(100), movement, "walk")
    row = re.search(
        r'<td class="number">1</td><td>(.*?)</td>\s*<td class="number">(.*?)</td>', (tmp_path / "map.html").read_text()
    )
    assert row and row.groups() == (movement.names[-1], "1")


def test_the_cloud_of_the_page_is_thinned_and_a_city_does_not_make_the_terrace_a_dot() -> None:
    near, far = cloud(3000), cloud(300)
    far = Points(far.position_P3 + [170.0, 0, 0], far.colour_P3, np.full(300, 170.0))
    both = Points(
        *(np.concatenate([getattr(p, n) for p in (near, far)]) for n in ("position_P3", "colour_P3", "depth_P"))
    )
    figure = checked(map_figure(both, moved(100), "arbitrary"))
    low, high = figure.layout.scene.xaxis.range
    assert high < 30 and figure.layout.scene.xaxis.title.text == "map x [units]"
    everything = figure.layout.updatemenus[0].buttons[1].args[0]["scene.xaxis.range"]
    assert everything[0] <= low and everything[1] > 170


def test_a_map_of_one_frame_without_points_is_a_page(tmp_path: Path) -> None:
    write_map_page(tmp_path / "map.html", NO_POINTS, moved(1), "one")
    figure = checked(map_figure(NO_POINTS, moved(1), "metres"))
    assert np.isfinite(np.array([figure.data[2].x, figure.data[2].y, figure.data[2].z])).all()
    for axis in (figure.layout.scene.xaxis, figure.layout.scene.zaxis):
        assert np.isfinite(axis.range).all() and axis.range[0] < axis.range[1]
