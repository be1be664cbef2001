"""The transform buffer against an obvious one, which is slow, and each of tf2's rules by an example."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obvious_buffer import ObviousBuffer
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.errors import (
    BackwardExtrapolationError,
    ConnectivityError,
    ExtrapolationError,
    ForwardExtrapolationError,
    InvalidArgumentError,
    LoopError,
    NoDataForExtrapolationError,
    OldTransformError,
    TransformError,
    UnknownFrameError,
)

S = 10**9
HERE = Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
FRAMES = "abcdef"
CACHE_NS = 4 * S
# Half seconds: few enough that stamps meet, and twice as long as the buffer keeps them.
STAMPS = st.integers(0, 16).map(lambda k: k * S // 2)
QUERIES = st.tuples(
    st.sampled_from(list(permutations(FRAMES, 2))), st.none() | st.integers(8, 32).map(lambda k: k * S // 4)
)


def at_x(x: float) -> Pose:
    return Pose(np.array([x, 0.0, 0.0]), HERE.orientation)


@functools.cache
def random_pose(seed: int) -> Pose:
    """Rotations of at most 80 degrees: between two of them the shorter arc is never in doubt."""
    random = np.random.default_rng(seed)
    axis = random.normal(size=3)
    rotation = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.radians(random.uniform(0, 80)))
    return Pose(random.uniform(-5, 5, 3), rotation.as_quat(scalar_first=True))


def assert_equal(found: Pose, expected: Pose, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found.matrix_44, expected.matrix_44, rtol=0, atol=tolerance)


@st.composite
def transforms(draw: st.DrawFn) -> list[tuple[int, str, str, Pose, bool]]:
    """Mostly one tree or two, with static and moving links; now and then a link that turns it into something else."""
    parents = {child: draw(st.sampled_from(FRAMES[:k])) for k, child in enumerate(FRAMES) if k > 1}
    static = draw(st.sets(st.sampled_from(FRAMES), max_size=3))
    links = []
    for _ in range(draw(st.integers(1, 16))):
        child = draw(st.sampled_from(list(parents)))
        parent, fixed = parents[child], child in static
        if draw(st.integers(0, 15)) == 15:
            parent, child, fixed = draw(st.sampled_from(FRAMES)), draw(st.sampled_from(FRAMES)), draw(st.booleans())
        for stamp_ns in draw(st.lists(STAMPS, min_size=1, max_size=6)):
            links.append((stamp_ns, parent, child, random_pose(draw(st.integers(0, 5))), fixed))
    return links


def outcome(action: Callable[..., Pose | None], *arguments: object) -> Pose | tuple | None:
    """The pose, or the type of the error with the times it names."""
    try:
        return action(*arguments)
    except ExtrapolationError as error:
        return type(error), error.requested_ns, error.available_ns
    except TransformError as error:
        return (type(error),)


@settings(max_examples=300, deadline=None)
@given(transforms(), st.integers(0, 99), st.lists(QUERIES, min_size=1, max_size=12))
def test_every_lookup_and_every_error_agrees_with_the_obvious_buffer(
    links: list[tuple[int, str, str, Pose, bool]],
    cleared_before: int,
    asked: list[tuple[tuple[str, str], int | None]],
) -> None:
    buffer, obvious = TransformBuffer(CACHE_NS / S), ObviousBuffer(CACHE_NS)
    for k, transform in enumerate(links):
        if k == cleared_before:
            buffer.clear()
            obvious.clear()
        assert outcome(buffer.set_transform, *transform) == outcome(obvious.set_transform, *transform)
    for frames, stamp_ns in asked:
        found, expected = outcome(buffer.lookup, *frames, stamp_ns), outcome(obvious.lookup, *frames, stamp_ns)
        if isinstance(expected, Pose) and isinstance(found, Pose):
            assert_equal(found, expected)
        else:
            assert found == expected


def moving(*transforms: tuple[float, str, str, Pose], cache_time_s: float = 10.0) -> TransformBuffer:
    buffer = TransformBuffer(cache_time_s)
    for seconds, parent, child, pose in transforms:
        buffer.set_transform(round(seconds * S), parent, child, pose)
    return buffer


def test_between_two_stamps_positions_run_straight_and_rotations_at_constant_speed() -> None:
    quarter_rotation = Rotation.from_euler("z", 90, degrees=True).as_quat(scalar_first=True)
    buffer = moving((1, "odom", "base", HERE), (3, "odom", "base", Pose(np.array([2.0, 4.0, 6.0]), quarter_rotation)))
    for seconds, share in ((1.5, 0.25), (2.0, 0.5), (2.9, 0.95)):
        pose = buffer.lookup("odom", "base", round(seconds * S))
        np.testing.assert_allclose(pose.position, share * np.array([2.0, 4.0, 6.0]), atol=1e-12)
        angles = Rotation.from_quat(pose.orientation, scalar_first=True).as_euler("xyz", degrees=True)
        np.testing.assert_allclose(angles, [0, 0, share * 90], atol=1e-10)
        assert_equal(buffer.lookup("base", "odom", round(seconds * S)), pose.inverse(), 1e-12)


def test_quaternions_of_opposite_sign_are_near_each_other() -> None:
    """q and -q are one rotation: publishers flip signs, and the way between the two is short."""
    before, after = (
        Rotation.from_euler("z", degrees, degrees=True).as_quat(scalar_first=True) for degrees in (179, 181)
    )
    buffer = moving((1, "odom", "base", Pose(np.zeros(3), before)), (2, "odom", "base", Pose(np.zeros(3), after)))
    half_way = buffer.lookup("odom", "base", 3 * S // 2)
    np.testing.assert_allclose(half_way.rotation_33, np.diag([-1.0, -1.0, 1.0]), atol=1e-12)


@given(st.lists(st.integers(0, 10 * S), min_size=2, max_size=8, unique=True), st.integers(-S, 11 * S))
def test_nothing_is_ever_extrapolated(stamps: list[int], wanted: int) -> None:
    """A frame that moves with 1 m/s: inside the stamps the place is known, outside there is none."""
    buffer = moving(*((stamp / S, "odom", "base", at_x(stamp / S)) for stamp in stamps), cache_time_s=20)
    if min(stamps) <= wanted <= max(stamps):
        np.testing.assert_allclose(buffer.lookup("odom", "base", wanted).position, [wanted / S, 0, 0], atol=1e-9)
        return
    kind = ForwardExtrapolationError if wanted > max(stamps) else BackwardExtrapolationError
    with pytest.raises(kind) as caught:
        buffer.lookup("odom", "base", wanted)
    assert caught.value.available_ns == (min(stamps), max(stamps)) and caught.value.requested_ns == wanted


def test_the_latest_is_the_oldest_of_the_newest_stamps() -> None:
    buffer = moving(
        (1, "map", "odom", at_x(10)),
        (2, "map", "odom", at_x(20)),
        (1, "odom", "base", at_x(1)),
        (5, "odom", "base", at_x(5)),
    )
    buffer.set_transform(0, "base", "camera", at_x(0.5), static=True)
    assert buffer.lookup("map", "camera").position[0] == pytest.approx(20 + 2 + 0.5)
    assert buffer.lookup("odom", "camera").position[0] == pytest.approx(5 + 0.5)
    assert buffer.lookup("base", "camera").position[0] == buffer.lookup("base", "camera", 10**15).position[0] == 0.5


def test_of_one_stamp_the_last_received_holds_but_at_the_oldest_the_first() -> None:
    buffer = moving(
        *((seconds, "odom", "base", at_x(x)) for seconds, x in ((2, 1), (2, 2), (4, 3), (4, 4), (6, 5), (6, 6)))
    )
    found = [buffer.lookup("odom", "base", seconds * S).position[0] for seconds in (2, 3, 4, 5, 6)]
    assert found == pytest.approx([1, (2 + 3) / 2, 4, (4 + 5) / 2, 6])


def test_between_two_parents_the_earlier_one_holds() -> None:
    buffer = moving((1, "table", "cup", at_x(1)), (3, "gripper", "cup", at_x(3)))
    assert buffer.lookup("table", "cup", 3 * S - 1).position[0] == 1
    assert buffer.lookup("gripper", "cup", 3 * S).position[0] == 3
    with pytest.raises(ConnectivityError, match=r"'cup' is under 'table' and 'gripper' under 'gripper'"):
        buffer.lookup("gripper", "cup", 2 * S)


def test_what_is_older_than_the_cache_goes_and_is_not_taken() -> None:
    buffer = moving(*((seconds, "odom", "base", at_x(seconds)) for seconds in (1, 2, 11.5, 11.6)))
    with pytest.raises(BackwardExtrapolationError) as caught:
        buffer.lookup("odom", "base", S)
    assert caught.value.available_ns == (2 * S, 11_600_000_000)
    with pytest.raises(OldTransformError, match=r"base at 1\.500000000 s is more than the 10 s .* 11\.600000000 s"):
        buffer.set_transform(3 * S // 2, "odom", "base", HERE)
    buffer.set_transform(5 * S, "odom", "base", at_x(5))
    assert buffer.lookup("odom", "base", 5 * S).position[0] == 5, "out of order, but not too old"


def test_a_frame_to_itself_is_the_identity_even_where_it_is_unknown() -> None:
    assert_equal(TransformBuffer().lookup("nowhere", "nowhere", 7), HERE, 0)


def test_a_leading_slash_is_dropped_when_set_and_refused_when_looked_up() -> None:
    buffer = moving((1, "/odom", "/base", at_x(1)))
    assert buffer.lookup("odom", "base").position[0] == 1
    with pytest.raises(InvalidArgumentError, match="'/base' is not a frame name"):
        buffer.lookup("odom", "/base")


@pytest.mark.parametrize(("parent", "child"), [("", "base"), ("odom", ""), ("/", "base"), ("base", "/base")])
def test_names_that_name_no_link_are_refused(parent: str, child: str) -> None:
    buffer = TransformBuffer()
    with pytest.raises(InvalidArgumentError):
        buffer.set_transform(S, parent, child, HERE)
    with pytest.raises(UnknownFrameError):
        buffer.lookup("odom", "base")


def test_errors_name_frames_and_times_and_whether_waiting_may_help() -> None:
    buffer = moving((1, "odom", "base", HERE), (2.5, "odom", "base", HERE), (2, "map", "marker", HERE))
    text = r"no transform odom<-base at 3\.000000001 s: odom<-base is needed at .*known from 1\.0{9} s to 2\.50{8} s"
    with pytest.raises(ForwardExtrapolationError, match=text):
        buffer.lookup("odom", "base", 3 * S + 1)
    with pytest.raises(BackwardExtrapolationError, match=r"known from 1\.0{9} s to"):
        buffer.lookup("odom", "base", S // 2)
    with pytest.raises(
        NoDataForExtrapolationError, match=r"map<-marker is needed at 3\.0{9} s, but known at 2\.0{9} s alone"
    ):
        buffer.lookup("map", "marker", 3 * S)
    with pytest.raises(
        UnknownFrameError, match="no transform base<-camera: no transform has named the frame 'camera' yet"
    ):
        buffer.lookup("base", "camera")
    with pytest.raises(
        ConnectivityError, match="'base' is under 'odom' and 'marker' under 'map', and nothing connects"
    ):
        buffer.lookup("marker", "base")


def test_a_loop_is_named() -> None:
    buffer = moving(*((1, parent, child, HERE) for parent, child in ("ab", "bc", "ca", "ad", "zy")))
    with pytest.raises(LoopError, match="the ancestors of 'd' form a loop through 'a'"):
        buffer.lookup("y", "d")
    assert_equal(buffer.lookup("a", "d"), HERE, 0)


def test_clearing_forgets_what_moves_and_keeps_what_does_not() -> None:
    buffer = moving((5, "odom", "base", at_x(1)))
    buffer.set_transform(0, "base", "camera", at_x(2), static=True)
    buffer.clear()
    with pytest.raises(NoDataForExtrapolationError, match="base has had no transform since the buffer was cleared"):
        buffer.lookup("odom", "camera", 5 * S)
    assert buffer.lookup("base", "camera", 5 * S).position[0] == 2
    buffer.set_transform(S, "odom", "base", at_x(1))
    assert buffer.lookup("odom", "camera", S).position[0] == 3, "stamps may start again from an earlier time"


def test_n21_claims_distinguish_own_transforms_from_another_nodes() -> None:
    buffer = moving()
    for seconds in (1, 2, 3):
        for publisher in ("localizer", ""):  # fed before it is published, and its echo from the network
            buffer.set_transform(seconds * S, "map", "odom", at_x(seconds), publisher=publisher)
    assert [(claim.publisher, claim.count) for claim in buffer.claims("odom")] == [("localizer", 3)]
    assert buffer.conflicts() == {}
    buffer.set_transform(3 * S, "map", "odom", at_x(3.1))
    others = [claim for claim in buffer.claims("odom") if claim.publisher != "localizer"]
    assert [(claim.parent, claim.count, claim.stamp_ns) for claim in others] == [("map", 1, 3 * S)]
    assert list(buffer.conflicts()) == ["odom"]
    for seconds in (13, 13.5):
        buffer.set_transform(round(seconds * S), "map", "odom", at_x(seconds), publisher="localizer")
    assert buffer.conflicts() == {}, "the other has been silent for more than the 10 s of the cache"


def test_a_child_with_two_parents_is_a_conflict_also_where_one_is_static() -> None:
    buffer = moving((1, "odom", "base", HERE), (1.1, "map", "base", HERE))
    buffer.set_transform(0, "base", "camera", HERE, static=True)
    buffer.set_transform(10**15, "map", "camera", HERE)
    parents = {child: {claim.parent for claim in claims} for child, claims in buffer.conflicts().items()}
    assert parents == {"base": {"odom", "map"}, "camera": {"base", "map"}}
    buffer.clear()
    assert buffer.conflicts() == {} and [claim.parent for claim in buffer.claims("camera")] == ["base"]


def test_lookups_beside_a_writing_thread_see_whole_transforms() -> None:
    """odom moves forth and base, in it, back by as much: whatever the moment, base stands still in the map."""
    buffer = moving((0, "map", "odom", at_x(0)), (0, "odom", "base", at_x(0)), cache_time_s=0.003)
    done = threading.Event()

    def write() -> None:
        try:
            for k in range(1, 6000):
                buffer.set_transform(k * S // 1000, "map", "odom", at_x(k))
                buffer.set_transform(k * S // 1000, "odom", "base", at_x(-k))
        finally:
            done.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the threads take turns at every opportunity
    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not done.is_set():
            np.testing.assert_allclose(buffer.lookup("map", "base").position, np.zeros(3), atol=1e-9)
    finally:
        writer.join()
        sys.setswitchinterval(interval)
    assert buffer.lookup("map", "odom").position[0] == 5999
