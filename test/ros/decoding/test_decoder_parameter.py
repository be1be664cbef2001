"""Parameter decoder: cv_bridge behind the same gate, and a refusal where the package of that name is not ROS's.

The real cv_bridge is in no package registry: where a sourced ROS has it, the golden images go through it; elsewhere
small packages of the test's own stand where it would be found.
"""

from __future__ import annotations

import array
import sys
from pathlib import Path

import numpy as np
import pytest
from ament_index_python.packages import get_packages_with_prefixes
from golden_messages import golden_messages
from image_messages import encoded, raw
from lifecycle_msgs.msg import Transition
from live import Client, localizer_process
from sensor_msgs.msg import CompressedImage, Image

from transposenet_core.errors import UserError
from transposenet_ros.decoding.image_decoding import DecodeError, decode_image, image_decoder

IN_ROS = "cv_bridge" in get_packages_with_prefixes()
without_cv_bridge = pytest.mark.skipif(IN_ROS, reason="this machine has the real cv_bridge")
# No proof of how the real cv_bridge converts: the golden images are that, where a ROS is sourced. What this proves is
# ours: which package is taken, that a broken one is refused, that nothing reaches it which the gate refuses, and that
# what it raises becomes a reason. It knows bgr8 alone and refuses the rest, as cv_bridge refuses nv21.
STAND_IN = """
import numpy
class CvBridge:
    calls = 0
    def imgmsg_to_cv2(self, message, desired_encoding):
        type(self).calls += 1
        if message.encoding != "bgr8":
            raise TypeError("Unrecognized image encoding [" + message.encoding + "]")
        pixels = numpy.frombuffer(message.data, numpy.uint8).reshape(message.height, message.width, 3)
        return pixels[:, :, ::-1]
"""
MUST_NOT_RUN = "raise SystemExit('a package of unknown origin was run')"


def install(folder: Path, code: str) -> None:
    (folder / "cv_bridge").mkdir(parents=True)
    (folder / "cv_bridge" / "__init__.py").write_text(code)


def list_in_index(prefix: Path) -> None:
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "cv_bridge").touch()


@pytest.fixture
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A test's own cv_bridge leaves nothing behind: what was there is noted, then hidden, and comes back at the end."""
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    del sys.modules["cv_bridge"]
    return monkeypatch


def sentence() -> str:
    with pytest.raises(UserError) as caught:
        image_decoder("cv_bridge")
    text = str(caught.value)
    assert len(text.splitlines()) == 1 and "'decoder'" in text and "'builtin'" in text
    return text


@without_cv_bridge
def test_absent(clean_imports: pytest.MonkeyPatch) -> None:
    assert "no sourced ROS has the package cv_bridge" in sentence()


@without_cv_bridge
def test_a_package_that_ros_does_not_list_is_refused_unseen(clean_imports: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(tmp_path, MUST_NOT_RUN)
    clean_imports.syspath_prepend(tmp_path)
    assert "no sourced ROS has the package cv_bridge" in sentence()


def test_a_package_that_hides_the_one_of_ros_is_refused_unseen(
    clean_imports: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prefix, elsewhere = tmp_path / "jazzy", tmp_path / "site-packages"
    list_in_index(prefix)
    install(prefix / "lib", STAND_IN)
    install(elsewhere, MUST_NOT_RUN)
    clean_imports.setenv("AMENT_PREFIX_PATH", str(prefix))
    clean_imports.syspath_prepend(prefix / "lib")
    clean_imports.syspath_prepend(elsewhere)
    text = sentence()
    assert str(elsewhere / "cv_bridge") in text and str(prefix) in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ImportError('numpy.core.multiarray failed to import')", "numpy.core.multiarray failed to import"),
        ("", "has no attribute 'CvBridge'"),
        (STAND_IN.replace("[:, :, ::-1]", ""), "a blue and a red pixel became"),
        (STAND_IN.replace('"bgr8"', '"mono8"'), "Unrecognized image encoding [bgr8]"),
    ],
    ids=["built for another numpy", "empty", "wrong colours", "refuses"],
)
def test_one_that_does_not_work_is_refused(
    clean_imports: pytest.MonkeyPatch, tmp_path: Path, code: str, words: str
) -> None:
    list_in_index(tmp_path)
    install(tmp_path, code)
    clean_imports.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    clean_imports.syspath_prepend(tmp_path)
    assert words in sentence()


def test_the_gate_stands_before_cv_bridge(clean_imports: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the gate refuses never reaches it; what it refuses itself is a reason; compressed images are OpenCV's."""
    list_in_index(tmp_path)
    install(tmp_path, STAND_IN)
    clean_imports.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    clean_imports.syspath_prepend(tmp_path)
    decode = image_decoder("cv_bridge")
    bridge = sys.modules["cv_bridge"].CvBridge
    image = raw("bgr8", 4, 2, data=bytes(range(24)))
    decoded_HW3 = decode(image)
    np.testing.assert_array_equal(decoded_HW3, decode_image(image))
    assert decoded_HW3.flags.c_contiguous
    calls = bridge.calls
    assert calls == 2, "the trial of two pixels and the image: the count sees what reaches it"
    bad = {
        "bad_dims": raw("bgr8", 0, 2),
        "bad_step": raw("bgr8", 4, 2, step=11, data=bytes(24)),
        "bad_size": raw("bgr8", 4, 2, data=bytes(23)),
        "bad_encoding": Image(encoding="32FC1", width=1, height=1, step=4, data=array.array("B", bytes(4))),
        "decode_failed": CompressedImage(format="jpeg", data=array.array("B", b"\xff\xd8")),
    }
    for reason, message in bad.items():
        with pytest.raises(DecodeError) as caught:
            decode(message)
        assert caught.value.reason == reason
    jpeg = CompressedImage(format="jpeg", data=array.array("B", encoded(".jpg")))
    np.testing.assert_array_equal(decode(jpeg), decode_image(jpeg))
    assert bridge.calls == calls
    with pytest.raises(DecodeError, match=r"cv_bridge refuses a nv21 image: Unrecognized") as caught:
        decode(raw("nv21", 4, 2))
    assert caught.value.reason == "decode_failed"


@pytest.mark.skipif(not IN_ROS, reason="the real cv_bridge is part of a ROS installation, which is not sourced here")
def test_the_real_cv_bridge_gives_the_golden_images(data_folder: Path) -> None:
    decode = image_decoder("cv_bridge")
    for k, (message, expected_HW3) in enumerate(golden_messages(data_folder)):
        np.testing.assert_array_equal(decode(message), expected_HW3, err_msg=f"message {k}")


@without_cv_bridge
def test_configure_fails_in_one_sentence_and_builtin_fixes_it(domain: int, scene_model_folder: Path) -> None:
    with localizer_process(domain, scene_model_folder, decoder="cv_bridge") as process, Client(domain) as client:
        process.wait_for_log("configure failed: parameter 'decoder' is 'cv_bridge', which cannot be used")
        assert client.state() == "unconfigured" and "Traceback" not in process.log
        assert client.set_parameters(decoder="builtin") == (True, "")
        assert client.change_state(Transition.TRANSITION_CONFIGURE)
        successful, reason = client.set_parameters(decoder="cv_bridge")
        assert not successful and "unconfigured" in reason
