"""A DDS client that shares no code with ROS: what it reads is what went over the wire."""

# cyclonedds reads the annotations of its structs itself, so they cannot be postponed.
import os
from dataclasses import dataclass

CONFIGURATION = """
<CycloneDDS><Domain>
  <General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces></General>
  <Discovery><Peers><Peer address="127.0.0.1"/></Peers>
    <ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>30</MaxAutoParticipantIndex></Discovery>
</Domain></CycloneDDS>
"""
os.environ["CYCLONEDDS_URI"] = CONFIGURATION

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct, types
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic


@dataclass
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: types.int32
    nanosec: types.uint32


@dataclass
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time
    frame_id: str


@dataclass
class Vector(IdlStruct, typename="geometry_msgs::msg::dds_::Vector3_"):
    x: types.float64
    y: types.float64
    z: types.float64


@dataclass
class Point(IdlStruct, typename="geometry_msgs::msg::dds_::Point_"):
    x: types.float64
    y: types.float64
    z: types.float64


@dataclass
class Quaternion(IdlStruct, typename="geometry_msgs::msg::dds_::Quaternion_"):
    x: types.float64
    y: types.float64
    z: types.float64
    w: types.float64


@dataclass
class Pose(IdlStruct, typename="geometry_msgs::msg::dds_::Pose_"):
    position: Point
    orientation: Quaternion


@dataclass
class PoseStamped(IdlStruct, typename="geometry_msgs::msg::dds_::PoseStamped_"):
    header: Header
    pose: Pose


@dataclass
class Transform(IdlStruct, typename="geometry_msgs::msg::dds_::Transform_"):
    translation: Vector
    rotation: Quaternion


@dataclass
class TransformStamped(IdlStruct, typename="geometry_msgs::msg::dds_::TransformStamped_"):
    header: Header
    child_frame_id: str
    transform: Transform


@dataclass
class TFMessage(IdlStruct, typename="tf2_msgs::msg::dds_::TFMessage_"):
    transforms: types.sequence[TransformStamped]


class ForeignClient:
    """Reads poses and transforms of a ROS domain, reliably, over the loopback."""

    def __init__(self, domain: int, pose_topic: str) -> None:
        participant = DomainParticipant(domain)
        quality = Qos(
            Policy.Reliability.Reliable(0),
            Policy.History.KeepLast(100),
            Policy.DataRepresentation(use_cdrv0_representation=True),
        )
        self._pose_reader = DataReader(participant, Topic(participant, f"rt{pose_topic}", PoseStamped), qos=quality)
        self._tf_reader = DataReader(participant, Topic(participant, "rt/tf", TFMessage), qos=quality)
        self.poses: list[PoseStamped] = []
        self.transforms: list[TransformStamped] = []

    @property
    def connected(self) -> bool:
        return all(reader.get_matched_publications() for reader in (self._pose_reader, self._tf_reader))

    def take(self) -> None:
        self.poses += self._pose_reader.take(100)
        self.transforms += [transform for message in self._tf_reader.take(100) for transform in message.transforms]
