"""The image that a running localizer expects to see: for subscribers, where its scene model has a decoder."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from live import MATCH_SECONDS, image_message, seconds_of, wait_until
from sensor_msgs.msg import Image
from untrained import save_drawing
from watched import Watched, watched

from transposenet_core.inspection.reconstruction import reconstruct
from transposenet_core.localizer import Localizer

TOPIC = "/localizer/reconstruction"


@pytest.fixture(scope="module")
def models_dir(localizer: Localizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    localizer.scene_model.save(folder / "plain")
    save_drawing(folder / "drawing", localizer.scene_model)
    return folder


def is_offered(node: Watched) -> bool:
    return bool(node.client.node.get_publishers_info_by_topic(TOPIC))


def test_the_expected_image_is_published_to_subscribers_where_the_model_has_a_decoder(
    models_dir: Path, image_HW3: np.ndarray
) -> None:
    with watched(models_dir / "plain", listen=False, models_dir=models_dir) as node:
        camera = node.camera()

        def send() -> float:
            now = time.time()
            camera.publish(image_message(image_HW3, now))
            return now

        assert not is_offered(node)
        for _ in range(2):  # offered again after it was taken away
            assert node.client.set_parameters(model=str(models_dir / "drawing")) == (True, "")
            wait_until(lambda: is_offered(node), "the topic")
            received = node.client.collect(Image, TOPIC)
            time.sleep(MATCH_SECONDS)
            sent: list[float] = []
            wait_until(lambda sent=sent, received=received: sent.append(send()) or received, "an expected image")
            localizer = Localizer(models_dir / "drawing", device="cpu")
            expected_HW3 = reconstruct(localizer.scene_model, localizer.localize(image_HW3).pose)
            message = received[-1]
            drawn_HW3 = np.frombuffer(message.data, np.uint8).reshape(expected_HW3.shape).astype(int)
            assert abs(drawn_HW3 - expected_HW3).max() <= 2
            assert (message.encoding, message.header.frame_id) == ("rgb8", "camera")
            assert seconds_of(message) in [pytest.approx(at, abs=1e-6) for at in sent]
            node.client.node.destroy_subscription(
                next(s for s in node.client.node.subscriptions if s.topic_name == TOPIC)
            )
            seen = node.values()["localized"]
            dropped = node.count("not_listened")
            wait_until(
                lambda dropped=dropped: send() and node.count("not_listened") > dropped, "rest without listeners"
            )
            assert int(node.values()["localized"]) >= int(seen)
            assert node.client.set_parameters(model=str(models_dir / "plain")) == (True, "")
            wait_until(lambda: not is_offered(node), "the topic to go")
        assert node.process.alive and "Traceback" not in node.process.log and node.count("inference_failed") == 0
