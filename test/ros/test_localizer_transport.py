"""Images through DDS: the shared-memory profile does what the documentation promises."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from live import ROOT, Client, Process
from sensor_msgs.msg import Image

from transposenet_core import shared_files
from transposenet_core.errors import UserError
from transposenet_ros.replay import dds_profile
from transposenet_ros.replay.processes import free_domain

FRAMES, RATE = 45, 30


def arrivals(environment: dict[str, str]) -> int:
    """How many of `FRAMES` best-effort images of 900 kB another process gets."""
    with free_domain() as domain, Client(domain) as client:
        images = client.collect(Image, "/image", reliable=False)
        source = Path(__file__).with_name("image_source.py")
        with Process(source, "/image", str(FRAMES), str(RATE), domain=domain, **environment) as camera:
            assert camera.wait(30) == 0, camera.log
        return len(images)


def test_a_best_effort_camera_with_the_profile_loses_nothing() -> None:
    environment = dds_profile.publisher_environment()
    assert environment == {dds_profile.VARIABLE: str(ROOT / "config" / "fastdds_shm.xml")}
    assert arrivals(environment) >= FRAMES - 2


def test_the_profile_has_large_buffers_and_only_its_own_transports() -> None:
    text = ElementTree.parse(dds_profile.profile_path()).getroot()
    values = {element.tag.split("}")[1]: (element.text or "").strip() for element in text.iter()}
    assert values["segment_size"] == "16777216" and values["maxMessageSize"] == "2097152"
    assert values["sendBufferSize"] == values["receiveBufferSize"] == "4194304"
    assert values["useBuiltinTransports"] == "false"


def test_a_profile_of_the_user_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dds_profile.VARIABLE, "/etc/mine.xml")
    assert dds_profile.publisher_environment() == {}


def test_the_profile_of_an_installation_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "transposenet_core"
    monkeypatch.setattr(shared_files, "__file__", str(package / "shared_files.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    with pytest.raises(UserError, match=r"fastdds_shm\.xml is neither in the source tree nor in"):
        dds_profile.profile_path()
    installed = tmp_path / "b" / "share" / "transposenet_ros" / "config" / "fastdds_shm.xml"
    installed.parent.mkdir(parents=True)
    installed.write_text("<dds/>")
    assert dds_profile.profile_path() == installed
