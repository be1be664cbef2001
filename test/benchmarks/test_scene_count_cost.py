"""The benchmark of the cost of one more scene measures every row that it prints."""

import pytest

from benchmarks.scene_count_cost import measured, table


def test_another_scene_is_two_more_queries() -> None:
    rows = measured([2, 5], (32, 40), repeat=1)
    assert rows[5]["parameters"] - rows[2]["parameters"] == pytest.approx(3 * 2 * 256 / 1e6)
    assert all(row["image"] > 0 and row["step"] > row["image"] for row in rows.values())
    assert [line.split()[0] for line in table(rows).splitlines()[1:]] == ["2", "5"]
