"""A real robot's /tf through the transform buffer: every lookup equals the chain of links composed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from obvious_buffer import between_by_hand

from transposenet_core.geometry.pose import Pose
from transposenet_ros.bags.reading import BagReader
from transposenet_ros.transforms.buffer import TransformBuffer
from transposenet_ros.transforms.conversion import transform_from_message
from transposenet_ros.transforms.errors import BackwardExtrapolationError, ForwardExtrapolationError

LINKS = (("map", "odom"), ("odom", "base_link"))


class RecordedLinks:
    """What the recording says of the links map<-odom<-base_link<-base_footprint, in the order of its messages."""

    def __init__(self, bag: Path) -> None:
        with BagReader(bag) as reader:
            self.static = [t for _, message in reader.messages("/tf_static") for t in message.transforms]
            self.moving = [t for _, message in reader.messages("/tf") for t in message.transforms]
        self.stamps_ns = {link: np.array([stamp_ns(t) for t in self.moving if link_of(t) == link]) for link in LINKS}
        self.poses = {link: [pose_by_hand(t) for t in self.moving if link_of(t) == link] for link in LINKS}
        (footprint,) = [t for t in self.static if link_of(t) == ("base_link", "base_footprint")]
        self.T_link_footprint = pose_by_hand(footprint).matrix_44

    def at(self, link: tuple[str, str], wanted_ns: int) -> np.ndarray:
        stamps_ns, poses = self.stamps_ns[link], self.poses[link]
        after = int(np.searchsorted(stamps_ns, wanted_ns))
        if stamps_ns[after] == wanted_ns:
            return poses[after].matrix_44
        share = (wanted_ns - stamps_ns[after - 1]) / (stamps_ns[after] - stamps_ns[after - 1])
        return between_by_hand(poses[after - 1], poses[after], share).matrix_44

    def map_to_base_link(self, wanted_ns: int) -> np.ndarray:
        return self.at(LINKS[0], wanted_ns) @ self.at(LINKS[1], wanted_ns)


def link_of(transform: Any) -> tuple[str, str]:
    return transform.header.frame_id, transform.child_frame_id


def stamp_ns(transform: Any) -> int:
    return transform.header.stamp.sec * 10**9 + transform.header.stamp.nanosec


def pose_by_hand(transform: Any) -> Pose:
    p, q = transform.transform.translation, transform.transform.rotation
    return Pose(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))


def feed(buffer: TransformBuffer, transform: Any, static: bool = False) -> None:
    pose = transform_from_message(transform.transform)
    buffer.set_transform(stamp_ns(transform), *link_of(transform), pose, static)


@pytest.fixture(scope="module")
def recorded(data_folder: Path) -> RecordedLinks:
    return RecordedLinks(data_folder / "bags" / "nav2_turtlebot.mcap")


def fed(recorded: RecordedLinks, cache_time_s: float) -> Iterator[tuple[TransformBuffer, Any]]:
    """A buffer as it stands after each transform of the recording."""
    buffer = TransformBuffer(cache_time_s)
    for transform in recorded.static:
        feed(buffer, transform, static=True)
    for transform in recorded.moving:
        feed(buffer, transform)
        yield buffer, transform


def test_at_every_stamp_of_a_moving_link_the_base_is_where_the_links_put_it(recorded: RecordedLinks) -> None:
    *_, (buffer, _) = fed(recorded, cache_time_s=200.0)
    first = max(stamps_ns[0] for stamps_ns in recorded.stamps_ns.values())
    last = min(stamps_ns[-1] for stamps_ns in recorded.stamps_ns.values())
    stamps_ns = [int(stamp) for stamp in np.unique(np.concatenate(list(recorded.stamps_ns.values())))]
    known_ns = [stamp for stamp in stamps_ns if first <= stamp <= last]
    expected_N44 = np.array([recorded.map_to_base_link(stamp) for stamp in known_ns])
    found_N44 = np.array([buffer.lookup("map", "base_link", stamp).matrix_44 for stamp in known_ns])
    np.testing.assert_allclose(found_N44, expected_N44, rtol=0, atol=1e-9)
    # The static link below adds nothing that moves: every tenth time will do.
    found_M44 = np.array([buffer.lookup("map", "base_footprint", stamp).matrix_44 for stamp in known_ns[::10]])
    np.testing.assert_allclose(found_M44, expected_N44[::10] @ recorded.T_link_footprint, rtol=0, atol=1e-9)
    assert len(known_ns) > 2500 and first in known_ns and last in known_ns
    unknown_ns = [stamp for stamp in stamps_ns if not first <= stamp <= last]
    assert unknown_ns[0] < first and unknown_ns[-1] > last
    for stamp in unknown_ns:
        with pytest.raises(BackwardExtrapolationError if stamp < first else ForwardExtrapolationError):
            buffer.lookup("map", "base_link", stamp)
    assert buffer.conflicts() == {}


def test_while_it_plays_the_latest_pose_is_at_the_latest_time_that_both_links_have(recorded: RecordedLinks) -> None:
    newest: dict[tuple[str, str], int] = {}
    compared = 0
    for count, (buffer, transform) in enumerate(fed(recorded, cache_time_s=10.0)):
        newest[link_of(transform)] = stamp_ns(transform)
        if count % 20 or not newest.keys() >= set(LINKS):
            continue
        latest_ns = min(newest[link] for link in LINKS)
        if latest_ns < max(stamps_ns[0] for stamps_ns in recorded.stamps_ns.values()):
            continue
        found = buffer.lookup("map", "base_link").matrix_44
        np.testing.assert_allclose(found, recorded.map_to_base_link(latest_ns), rtol=0, atol=1e-9)
        compared += 1
    assert compared > 200
