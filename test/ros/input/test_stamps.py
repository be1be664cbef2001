"""The gate for stamps alone: every reason, and every way in which time jumps."""

from __future__ import annotations

import pytest

from transposenet_ros.input.stamps import SECOND_NS, HeaderError, StampGate, StampRules, camera_frame

NOW_NS = 1_750_000_000 * SECOND_NS
FRAME_NS = SECOND_NS // 30


def refused(gate: StampGate, stamp_ns: int, now_ns: int) -> str:
    with pytest.raises(HeaderError) as caught:
        gate.admit(stamp_ns, now_ns)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.reason


def started(rules: StampRules | None = None, behind_ns: int = 0) -> StampGate:
    """A gate that has let ten images pass, the last one at `NOW_NS`."""
    gate = StampGate(rules or StampRules())
    for k in range(-9, 1):
        now_ns = NOW_NS + k * FRAME_NS
        assert gate.admit(now_ns - behind_ns, now_ns) == now_ns - behind_ns
    return gate


def test_n14_a_zero_stamp_is_dropped_or_replaced() -> None:
    assert refused(StampGate(StampRules()), 0, NOW_NS) == "zero_stamp"
    replacing = StampGate(StampRules(receive_time=True))
    assert replacing.admit(0, NOW_NS) == NOW_NS
    assert replacing.admit(NOW_NS + 5, NOW_NS + 9) == NOW_NS + 5, "a stamp that is there stays"
    assert refused(StampGate(StampRules(receive_time=True)), 0, 0) == "zero_stamp", "a clock without time replaces none"


def test_n15_future_and_stale_stamps_are_dropped_and_small_offsets_pass() -> None:
    gate = started()
    assert refused(gate, NOW_NS + 10 * SECOND_NS, NOW_NS + 1) == "future_stamp"
    assert refused(gate, NOW_NS - 10 * SECOND_NS, NOW_NS + 1) == "stale"
    assert refused(gate, NOW_NS - 3600 * SECOND_NS, NOW_NS + 1) == "stale", "a stray image of another clock"
    assert refused(StampGate(StampRules()), NOW_NS - 10 * SECOND_NS, NOW_NS) == "stale", "also the first"
    gate.admit(NOW_NS + SECOND_NS // 2, NOW_NS + 2)
    gate.admit(NOW_NS + SECOND_NS, NOW_NS + 5 * SECOND_NS)
    assert gate.segment == 1


def test_n15_limits_are_the_rules() -> None:
    gate = StampGate(StampRules(future_tolerance_ns=0, max_age_ns=0))
    assert refused(gate, NOW_NS + 1, NOW_NS) == "future_stamp"
    gate.admit(NOW_NS - 30 * SECOND_NS, NOW_NS)
    assert gate.behind_ns == 0


def test_a_recording_on_wall_time_passes_and_reports_how_far_it_is_behind() -> None:
    year_ns = 365 * 86400 * SECOND_NS
    gate = started(behind_ns=year_ns)
    assert gate.behind_ns == year_ns
    assert started(StampRules(max_age_ns=0), behind_ns=year_ns).behind_ns == 0, "no report where any age is accepted"


def test_n17_each_stamp_passes_once_and_in_order() -> None:
    gate = started()
    assert refused(gate, NOW_NS, NOW_NS + 1) == "duplicate_stamp"
    assert refused(gate, NOW_NS - FRAME_NS, NOW_NS + 2) == "out_of_order"
    assert refused(gate, NOW_NS - 4 * SECOND_NS, NOW_NS + 3) == "out_of_order"
    gate.admit(NOW_NS + FRAME_NS, NOW_NS + FRAME_NS)
    assert gate.segment == 1
    for k in range(2, 12):  # every image comes with the one before it: late neighbours do not begin a time segment
        assert refused(gate, NOW_NS + (k - 2) * FRAME_NS, NOW_NS + k * FRAME_NS) == "out_of_order"
        gate.admit(NOW_NS + k * FRAME_NS, NOW_NS + k * FRAME_NS)
    assert gate.segment == 1


def test_n16_a_clock_that_is_set_back_begins_anew_at_once() -> None:
    gate = started()
    hour_ago_ns = NOW_NS - 3600 * SECOND_NS
    assert gate.admit(hour_ago_ns, hour_ago_ns) == hour_ago_ns
    assert gate.segment == 2
    assert refused(gate, hour_ago_ns - 1, hour_ago_ns) == "out_of_order"
    gate.admit(NOW_NS, NOW_NS)
    assert gate.segment == 2, "a jump forward keeps the stamps in order"


def test_n16_a_looped_recording_on_wall_time_begins_anew_at_once() -> None:
    behind_ns = 86400 * SECOND_NS
    gate = started(behind_ns=behind_ns)
    gate.admit(NOW_NS - behind_ns - 20 * SECOND_NS, NOW_NS + FRAME_NS)
    assert gate.segment == 2


def test_n16_a_recording_that_is_replayed_once_more_begins_anew_at_once() -> None:
    behind_ns, later_ns = 86400 * SECOND_NS, NOW_NS + 3 * SECOND_NS
    gate = started(behind_ns=behind_ns)
    gate.admit(NOW_NS - 9 * FRAME_NS - behind_ns, later_ns)
    assert gate.segment == 2
    live = started()
    assert refused(live, NOW_NS - FRAME_NS, later_ns) == "out_of_order", "a camera's clock does not begin anew"


@pytest.mark.parametrize("behind_ns", [0, 86400 * SECOND_NS])
def test_n16_a_loop_shorter_than_any_disorder_is_known_by_its_order(behind_ns: int) -> None:
    gate = started(behind_ns=behind_ns)
    begin_ns = NOW_NS - behind_ns - 2 * SECOND_NS
    for k in range(3):
        assert refused(gate, begin_ns + k * FRAME_NS, NOW_NS + (k + 1) * FRAME_NS) == "out_of_order"
    gate.admit(begin_ns + 3 * FRAME_NS, NOW_NS + 4 * FRAME_NS)
    gate.admit(begin_ns + 4 * FRAME_NS, NOW_NS + 5 * FRAME_NS)
    assert gate.segment == 2


def test_n16_a_recording_after_a_live_camera_is_taken_after_three_images() -> None:
    gate, begin_ns = started(), NOW_NS - 86400 * SECOND_NS
    for k in range(3):
        assert refused(gate, begin_ns + k * FRAME_NS, NOW_NS + (k + 1) * FRAME_NS) == "stale"
    gate.admit(begin_ns + 3 * FRAME_NS, NOW_NS + 4 * FRAME_NS)
    assert gate.behind_ns > 86000 * SECOND_NS


def test_n16_a_clock_without_time_checks_no_age() -> None:
    gate = StampGate(StampRules())
    gate.admit(NOW_NS, 0)
    assert refused(gate, NOW_NS, 0) == "duplicate_stamp"
    gate.admit(NOW_NS + FRAME_NS, NOW_NS + FRAME_NS)
    assert (gate.segment, gate.behind_ns) == (1, 0)


def test_n18_frames_are_named_without_slash() -> None:
    assert camera_frame("camera", "") == "camera"
    assert camera_frame("/camera", "") == "camera"
    assert camera_frame("camera", "/eye") == "eye"
    assert camera_frame("", "eye") == "eye"
    for empty in ("", "/"):
        with pytest.raises(HeaderError, match="camera_frame") as caught:
            camera_frame(empty, "")
        assert caught.value.reason == "no_frame_id"
