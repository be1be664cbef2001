"""Progress bars where nobody watches: a line a minute, whatever is redrawn in between, and no control characters."""

import io

import pytest

from transposenet_core.progress import SECONDS_BETWEEN_LINES, ProgressBar


def test_without_a_terminal_there_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    log, now = io.StringIO(), [1000.0]
    monkeypatch.setattr("transposenet_core.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr(ProgressBar, "_last_line", now[0])
    for epoch in range(10):  # a bar of its own each, of 30 s
        options = {"desc": f"all {epoch + 1}/10", "unit": "img", "leave": False, "mininterval": 0}
        with ProgressBar(total=300, file=log, **options) as bar:
            for _ in range(300):
                now[0] += 0.1
                bar.set_postfix_str("loss 1.5, whole run 04:00 left", refresh=False)
                bar.update()
    lines = log.getvalue().splitlines()
    assert len(lines) == 300 / SECONDS_BETWEEN_LINES or len(lines) == 300 / SECONDS_BETWEEN_LINES - 1
    assert all("whole run 04:00 left" in line and "loss 1.5" in line for line in lines) and "\r" not in log.getvalue()
    assert lines[0].startswith("all 2/10:") or lines[0].startswith("all 3/10:")
