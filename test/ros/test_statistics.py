"""Counts, rates on the node's clock, and percentiles."""

from __future__ import annotations

import pytest

from transposenet_ros.statistics import RATE_SECONDS, RECENT_FRAMES, Statistics

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_750_000_000 * SECOND_NS


def test_counts_and_percentiles() -> None:
    statistics = Statistics()
    for k in range(10):
        statistics.receive(BEGIN_NS)
        if k % 2:
            statistics.drop("bad_step")
        else:
            statistics.localize(BEGIN_NS)
            statistics.time(inference=0.001 * k)
    snapshot = statistics.snapshot(BEGIN_NS)
    assert (snapshot.received, snapshot.localized, snapshot.dropped) == (10, 5, {"bad_step": 5})
    assert snapshot.latencies["inference"] == pytest.approx((4.0, 7.6))
    assert snapshot.localized_share == 0.5


def test_n36_rates_are_those_of_the_clock_that_is_given() -> None:
    statistics = Statistics()
    assert statistics.snapshot(BEGIN_NS).input_rate == 0
    now_ns = BEGIN_NS
    for k in range(1000):
        now_ns = BEGIN_NS + k * SECOND_NS // 20
        statistics.receive(now_ns)
        if k % 4 == 0:
            statistics.localize(now_ns)
    snapshot = statistics.snapshot(now_ns)
    assert snapshot.input_rate == pytest.approx(20, rel=0.02)
    assert snapshot.output_rate == pytest.approx(5, rel=0.08)
    assert snapshot.silence_s == 0
    later = statistics.snapshot(now_ns + SECOND_NS)
    assert later.input_rate < 0.9 * snapshot.input_rate, "a camera that is gone shows in the rate"
    assert later.silence_s == pytest.approx(1)
    gone = statistics.snapshot(now_ns + round((RATE_SECONDS + 1) * SECOND_NS))
    assert (gone.input_rate, gone.output_rate) == (0, 0)


def test_a_fast_camera_is_not_measured_by_the_length_of_the_memory() -> None:
    statistics = Statistics()
    for k in range(2 * RECENT_FRAMES):
        statistics.receive(BEGIN_NS + k * SECOND_NS // 200)
    newest_ns = BEGIN_NS + (2 * RECENT_FRAMES - 1) * SECOND_NS // 200
    assert statistics.snapshot(newest_ns).input_rate == pytest.approx(200, rel=0.01)


def test_n16_a_jump_of_the_clock_clears_what_stands_on_it_and_nothing_else() -> None:
    statistics = Statistics()
    for k in range(10):
        statistics.receive(BEGIN_NS + k * SECOND_NS)
        statistics.localize(BEGIN_NS + k * SECOND_NS)
        statistics.time(age=0.1, inference=0.01)
    back_ns = BEGIN_NS - 3600 * SECOND_NS
    statistics.restart_time(back_ns)
    snapshot = statistics.snapshot(back_ns + SECOND_NS)
    assert (snapshot.input_rate, snapshot.output_rate, snapshot.silence_s) == (0, 0, 1)
    assert set(snapshot.latencies) == {"inference"}
    assert (snapshot.received, snapshot.localized, snapshot.localized_share) == (10, 10, 1)
    statistics.restart_time()
    assert statistics.snapshot(back_ns).silence_s is None


def test_only_frames_that_the_camera_or_the_network_spoilt_count_against_the_share() -> None:
    statistics = Statistics()
    for reason in ("superseded", "not_listened", "disabled", "clock_jumped", "deactivated"):
        statistics.drop(reason)
    assert statistics.snapshot(BEGIN_NS).localized_share is None
    statistics.localize(BEGIN_NS)
    statistics.drop("decode_failed")
    assert statistics.snapshot(BEGIN_NS).localized_share == 0.5


def test_the_share_of_refined_frames_is_of_those_that_could_be() -> None:
    statistics = Statistics()
    statistics.localize(BEGIN_NS)
    assert statistics.snapshot(BEGIN_NS).refined_share is None
    for refined in (True, True, False, True):
        statistics.localize(BEGIN_NS, refined)
    statistics.drop("out_of_scene")
    assert statistics.snapshot(BEGIN_NS).refined_share == 0.75


def test_n12_reasons_in_a_row_are_counted() -> None:
    statistics = Statistics()
    for _ in range(3):
        statistics.drop("non_finite_output")
        statistics.drop("superseded")
    assert statistics.snapshot(BEGIN_NS).in_a_row == ("non_finite_output", 3)
    statistics.drop("bad_size")
    assert statistics.snapshot(BEGIN_NS).in_a_row == ("bad_size", 1)
    statistics.localize(BEGIN_NS)
    assert statistics.snapshot(BEGIN_NS).in_a_row == ("", 0)
