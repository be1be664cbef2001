"""The page of a map: an interactive figure and the card in one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path

from transposenet_core.atomic_files import write_atomically
from transposenet_core.geometry.vertical import Vertical
from transposenet_core.mapping.report.depth_points import Points
from transposenet_core.mapping.report.movement import Movement
from transposenet_core.mapping.report.page_figure import map_figure
from transposenet_core.mapping.report.point_cloud import thinned
from transposenet_core.printable import printable
from transposenet_core.scene import unit_name

MOST_POINTS = 150_000
# No button that would send the data to a server of Plotly's.
PLOTLY_OPTIONS = {
    "displaylogo": False,
    "responsive": True,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "toImageButtonOptions": {"format": "png", "filename": "map"},
}
# The figure is made by plotly from escaped texts; everything else is escaped here.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Map of {{ name }}</title>
<style>
 body { font: 15px/1.45 system-ui, sans-serif; color: #1d2327; margin: 1.2rem; }
 h1 { font-size: 1.35rem; margin: 0 0 .2rem; }
 h2 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
 p { margin: .2rem 0 .6rem; max-width: 60rem; }
 .figure { height: 72vh; min-height: 380px; border: 1px solid #d6dadd; }
 table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
 th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid #e3e6e8; }
 td.number, th.number { text-align: right; }
 pre { background: #f4f5f6; padding: .8rem; overflow-x: auto; font-size: 13px; }
 .key { font-weight: 600; }
</style>
</head>
<body>
<h1>Map of {{ name }}</h1>
<p>Map frame <em>{{ map_frame }}</em>, lengths in {{ unit_words }}. Drag to rotate, scroll to zoom, click a line of the
legend to hide it or show it; hover over a camera for its name.
<span style="color: {{ recorded }}" class="key">Red</span>: cameras as recorded;
<span style="color: {{ adjusted }}" class="key">blue</span>: adjusted to the images.</p>
<div class="figure">{{ figure }}</div>
{% if moved %}<h2>Frames that moved most</h2>
<table>
<tr><th class="number">no.</th><th>frame</th><th class="number">moved [{{ unit }}]</th>
<th class="number">rotated [deg]</th></tr>
{% for number, frame, metres, degrees in moved %}<tr><td class="number">{{ number }}</td><td>{{ frame }}</td>
<td class="number">{{ metres }}</td><td class="number">{{ degrees }}</td></tr>
{% endfor %}</table>
{% endif %}{% if card %}<h2>Card</h2>
<pre>{{ card }}</pre>
{% endif %}</body>
</html>
"""


def write_map_page(
    path: str | Path,
    points: Points,
    movement: Movement,
    name: str,
    map_frame: str = "map",
    units: str = "metres",
    vertical: Vertical | None = None,
    card: str = "",
) -> None:
    """Write the page: at most 150 000 of `points`, the cameras of `movement` (one frame or more), the ten that moved
    most by name, and `card`, the text of `map_card_text`. `units` is one of `scene.UNITS`; up is found where
    `vertical` is not given.
    """
    import jinja2  # like plotly, needed by nothing else
    import plotly.io
    from markupsafe import Markup

    from transposenet_core.mapping.report.page_figure import ADJUSTED, RECORDED

    figure = map_figure(thinned(points, MOST_POINTS), movement, units, vertical)
    # Plotly writes <, > and / of its data as escapes, so that no text can end its script.
    drawn = plotly.io.to_html(figure, config=PLOTLY_OPTIONS, include_plotlyjs=True, full_html=False, validate=False)
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(PAGE)
    text = template.render(
        name=printable(name),
        map_frame=printable(map_frame),
        unit=unit_name(units),
        unit_words="metres" if units == "metres" else "units of an unknown scale",
        recorded=RECORDED,
        adjusted=ADJUSTED,
        figure=Markup(drawn),
        moved=_moved(movement),
        card=card,
    )
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _moved(movement: Movement) -> list[tuple[int, str, str, str]]:
    """Number in the figure, name, distance and angle of the frames that moved most."""
    distance_N, rotation_deg_N = movement.distance_N, movement.rotation_deg_N
    return [
        (number, printable(movement.names[i]), f"{distance_N[i]:.3g}", f"{rotation_deg_N[i]:.2f}")
        for number, i in enumerate(movement.moved_most(), start=1)
    ]
