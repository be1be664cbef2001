"""EuRoC recordings: a body and a camera on it worked out by hand, OpenCV's YAML, and what is wrong in a file."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transposenet_core.errors import UserError
from transposenet_core.formats import describe_formats, inspect_scene, load_scene
from transposenet_core.formats.euroc import read_sensor
from transposenet_core.formats.faults import Faults

EPOCH = 1403636579763555584
MS = 1_000_000
# The published camera of the data set (Burri et al. 2016).
T_BS = """0.0148655429818, -0.999880929698, 0.00414029679422, -0.0216401454975,
         0.999557249008, 0.0149672133247, 0.025715529948, -0.064676986768,
        -0.0257744366974, 0.00375618835797, 0.999660727178, 0.00981073058949,
         0.0, 0.0, 0.0, 1.0"""
# The body is x forward, y left, z up; the camera looks forward from 10 cm ahead of and 20 cm above its origin.
FORWARD = "0, 0, 1, 0.1, -1, 0, 0, 0, 0, -1, 0, 0.2, 0, 0, 0, 1"
SENSOR = """{head}# General sensor definitions.
sensor_type: camera
comment: VI-Sensor cam0 (MT9M034)
T_BS:{tag}
  cols: 4
  rows: 4
  data: [{T}]
rate_hz: 20
resolution: [752, 480]
camera_model: {model}
intrinsics: [458.654, 457.296, 367.215, 248.375] #fu, fv, cu, cv
distortion_model: {lens}
distortion_coefficients: [-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]
"""
HEADER = "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], v_x, v_y"


def sensor(
    T: str = FORWARD, lens: str = "radial-tangential", model: str = "pinhole", head: str = "", tag: str = ""
) -> str:
    return SENSOR.format(T=T, lens=lens, model=model, head=head, tag=tag)


def ground_truth_row(ms: int) -> str:
    """The body climbs 1 m/s at (3, 4), rotated by 90 degrees to the left: q_RS = (cos 45, 0, 0, sin 45), w first."""
    return f"{EPOCH + ms * MS},3,4,{ms / 1000},0.70710678,0,0,0.70710678,0,0"


def write_recording(
    root: Path, images_ms: list[int], calibration: str | None = None, rows: list[str] | None = None
) -> Path:
    for camera, grey in (("cam0", 60), ("cam1", 200)):
        folder = root / "mav0" / camera
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "sensor.yaml").write_text(calibration or sensor())
        lines = ["#timestamp [ns],filename"]
        for ms in images_ms:
            lines.append(f"{EPOCH + ms * MS},{EPOCH + ms * MS}.png")
            cv2.imwrite(str(folder / "data" / f"{EPOCH + ms * MS}.png"), np.full((480, 752), grey, np.uint8))
        (folder / "data.csv").write_text("\r\n".join(lines) + "\r\n")
    ground_truth = root / "mav0" / "state_groundtruth_estimate0"
    ground_truth.mkdir(exist_ok=True)
    rows = [ground_truth_row(5 * k) for k in range(-1, 100)] if rows is None else rows
    (ground_truth / "data.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return root


def test_a_known_camera_on_a_known_body(tmp_path: Path) -> None:
    """Rotated to the left, the body's forward is the map's y: the camera is at y + 0.1, z + 0.2 and looks along y."""
    root = write_recording(tmp_path / "V1_01_easy", [0, 52])
    scene = load_scene(root)  # recognised without its format
    second = scene.images[1]
    np.testing.assert_allclose(second.pose.position, [3, 4.1, 0.252], atol=1e-7)
    np.testing.assert_allclose(second.pose.rotation_33 @ [0, 0, 1], [0, 1, 0], atol=1e-7)  # its view
    np.testing.assert_allclose(second.pose.rotation_33 @ [1, 0, 0], [1, 0, 0], atol=1e-7)  # its right
    np.testing.assert_allclose(second.pose.rotation_33 @ [0, 1, 0], [0, 0, -1], atol=1e-7)  # its down
    assert second.name == f"mav0/cam0/data/{EPOCH + 52 * MS}.png"
    assert (second.sequence, second.split) == ("V1_01_easy", "train")
    assert second.stamp == pytest.approx((EPOCH + 52 * MS) / 1e9, abs=1e-6)
    assert scene.time_offset_s == 0 and load_scene(f"euroc:{root},time_offset=0.01").time_offset_s == 0.01


def test_the_published_sensor_file(tmp_path: Path) -> None:
    camera = load_scene(write_recording(tmp_path / "V1", [0], sensor(T_BS))).intrinsics
    assert (camera.width, camera.height, camera.fx, camera.cy) == (752, 480, 458.654, 248.375)
    assert camera.distortion_model == "plumb_bob" and camera.rectified is False
    assert camera.distortion == (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)
    assert camera.source == "EuRoC cam0/sensor.yaml"


def test_t21_a_lens_is_read_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "cam0" / "sensor.yaml"
    path.parent.mkdir()
    bent = "[-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]"
    path.write_text(sensor(lens="equidistant").replace(bent, "[0, 0, 0, 0]"))
    camera = read_sensor(path, Faults()).intrinsics
    assert (camera.distortion_model, camera.rectified, camera.distortion) == ("equidistant", False, (0, 0, 0, 0))
    path.write_text(sensor(lens="none"))
    with pytest.raises(UserError, match="sensor.yaml: the camera .* has the distortion .* of the model 'none'; known"):
        read_sensor(path, Faults())
    path.write_text(sensor().replace(bent, "[0.1, 0.2]"))
    with pytest.raises(UserError, match=r"the distortion \[0.1, 0.2\] of the model 'plumb_bob'; known"):
        read_sensor(path, Faults())
    faults = Faults()
    path.write_text(sensor() + "xi: 1.2\n")
    read_sensor(path, faults)
    assert "sensor.yaml: keys xi are not known and not used" in str(faults.remarks[0])


@pytest.mark.parametrize("head", ["%YAML:1.0\n", "%YAML:1.0\n---\n", "%YAML 1.2\n---\n"])
def test_opencvs_head_and_tag_are_ignored(tmp_path: Path, head: str) -> None:
    root = write_recording(tmp_path / "V1", [0], sensor(head=head, tag=" !!opencv-matrix"))
    assert load_scene(root).intrinsics.fx == 458.654


def test_the_other_camera_by_option_and_grey_images(tmp_path: Path) -> None:
    from transposenet_core.image_files import read_image

    root = write_recording(tmp_path / "V1", [0])
    (image,) = load_scene(f"euroc:{root},camera=cam1").images
    assert read_image(image.path)[0, 0].tolist() == [200, 200, 200]
    with pytest.raises(UserError, match="V1: no camera cam7 in mav0, there are cam0, cam1; write ,camera="):
        load_scene(f"euroc:{root},camera=cam7")


def test_t03_no_overlap_in_time_is_refused(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "V1", [0, 50], rows=[ground_truth_row(5 * k) for k in range(1000, 1100)])
    with pytest.raises(UserError, match=r"data.csv with .*data.csv: 0 of 2 images .* \+5.000 s added to the images"):
        load_scene(f"euroc:{root}")


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("1,2,3", "line 3: 3 columns, a row is 'timestamp,p_x"),
        ("9" * 5000 + ",3,4,5,1,0,0,0", r"line 3: '9+' is not a time stamp in whole nanoseconds"),
        (f"{EPOCH}.5,3,4,5,1,0,0,0", r"line 3: '\d+\.5' is not a time stamp in whole nanoseconds"),
        (f"{EPOCH},3,4,inf,1,0,0,0", "line 3: a number that is not finite"),
        (f"{EPOCH},3,4,5,1,1,0,0", "line 3: a quaternion of length 1.41421"),
        (f"{EPOCH - 5_000_000},3,4,5,1,0,0,0", "line 3: the stamp is already in .* line 2, with another pose"),
    ],
)
def test_t02_a_wrong_row_is_left_out_and_named(tmp_path: Path, row: str, what: str) -> None:
    rows = [ground_truth_row(-5), row, *(ground_truth_row(5 * k) for k in range(20))]
    root = write_recording(tmp_path / "V1", [1, 50], rows=rows)
    scene, faults = inspect_scene(f"euroc:{root}")
    assert len(scene.images) == 2 and len(faults.refused) == 1
    with pytest.raises(UserError, match=f"estimate0/data.csv {what}"):
        load_scene(f"euroc:{root}")


@pytest.mark.parametrize(
    ("calibration", "what"),
    [
        (sensor(model="omni"), "camera_model 'omni' with distortion_model 'radial-tangential'; allowed are pinhole"),
        (sensor(lens="fov"), "camera_model 'pinhole' with distortion_model 'fov'"),
        (sensor().replace("458.654", "-458.654"), "sizes and focal lengths are above 0"),
        (sensor().replace("resolution: [752, 480]", ""), r"not a camera \(KeyError\('resolution'\)\)"),
        (sensor(T="1, 2, 3"), "not a camera .*T_BS with 16 numbers"),
        (sensor(T=FORWARD.replace("0, -1, 0", "0, -2, 0")), r"sensor.yaml: the rotation block is .* off orthonormal"),
        ("a: [1, 2", "not valid YAML"),
        ("just a word", "a str, it must be 'key: value' lines"),
    ],
)
def test_a_wrong_sensor_file_is_one_sentence(tmp_path: Path, calibration: str, what: str) -> None:
    root = write_recording(tmp_path / "V1", [0], calibration)
    with pytest.raises(UserError, match=f"sensor.yaml: .*{what}|{what}") as caught:
        load_scene(f"euroc:{root}")
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["resolution", "intrinsics", "distortion_model", "distortion_coefficients", "camera_model"]),
    st.recursive(
        st.none() | st.integers() | st.just(10**400) | st.floats() | st.text("ab0.%-: ", max_size=5),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=5,
    ),
)
def test_whatever_a_sensor_file_has_it_is_read_or_refused_in_a_sentence(
    tmp_path: Path, key: str, value: object
) -> None:
    content = yaml.safe_load(sensor()) | {key: value}
    path = tmp_path / "sensor.yaml"
    path.write_text(yaml.safe_dump(content))
    try:
        camera = read_sensor(path, Faults()).intrinsics
    except UserError as error:
        assert "sensor.yaml" in str(error)
    else:
        assert min(camera.width, camera.height, camera.fx, camera.fy) > 0


def test_t01_missing_images_and_files_are_named(tmp_path: Path) -> None:
    root = write_recording(tmp_path / "V1", [0, 50])
    (root / f"mav0/cam0/data/{EPOCH}.png").unlink()
    with pytest.raises(UserError, match=rf"{EPOCH}.png: the image is missing"):
        load_scene(f"euroc:{root}")
    assert len(inspect_scene(f"euroc:{root}", labels_only=True)[0].images) == 2
    (root / "mav0/state_groundtruth_estimate0/data.csv").unlink()
    with pytest.raises(UserError, match="state_groundtruth_estimate0/data.csv: it cannot be read"):
        load_scene(f"euroc:{root}")
    with pytest.raises(UserError, match="neither mav0/state_groundtruth_estimate0/data.csv nor mav0/cam0/data.csv"):
        load_scene(f"euroc:{root}/mav0")


CAMCHAIN = """cam0:
  T_cam_imu:
  - [0.0, -1.0, 0.0, 0.0]
  - [0.0, 0.0, -1.0, 0.2]
  - [1.0, 0.0, 0.0, -0.1]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [0.0034823894022493434, 0.0007150348452162257, -0.0020532361418706202, 0.00020293673591811182]
  distortion_model: equidistant
  intrinsics: [190.97847715128717, 190.9733070521226, 254.93170605935475, 256.8974428996504]
  resolution: [512, 512]
  rostopic: /cam0/image_raw
"""


def test_tum_vi_has_mocap0_and_the_camchain_of_kalibr(tmp_path: Path) -> None:
    """T_cam_imu is the inverse of the known body's T_BS, and the cameras are where EuRoC's files put them."""
    root = write_recording(tmp_path / "dataset-room1_512_16", [0, 52])
    for path in root.glob("mav0/cam*/data/*.png"):
        cv2.imwrite(str(path), np.zeros((512, 512), np.uint8))
    ground_truth = root / "mav0" / "state_groundtruth_estimate0"
    ground_truth.rename(root / "mav0" / "mocap0")
    for camera in ("cam0", "cam1"):
        (root / "mav0" / camera / "sensor.yaml").unlink()
    with pytest.raises(UserError, match="the camera is unknown: neither .*cam0/sensor.yaml nor .*camchain.yaml is"):
        load_scene(root)
    (root / "dso").mkdir()
    (root / "dso" / "camchain.yaml").write_text(CAMCHAIN)
    scene = load_scene(root)  # recognised without its format
    np.testing.assert_allclose(scene.images[1].pose.position, [3, 4.1, 0.252], atol=1e-7)
    np.testing.assert_allclose(scene.images[1].pose.rotation_33 @ [0, 0, 1], [0, 1, 0], atol=1e-7)  # its view
    camera = scene.intrinsics
    assert (camera.width, camera.fx, camera.distortion_model) == (512, 190.97847715128717, "equidistant")
    assert camera.distortion[3] == 0.00020293673591811182 and camera.source == "cam0 of camchain.yaml"
    with pytest.raises(UserError, match="camchain.yaml: no camera cam1 in it, there are cam0"):
        load_scene(f"euroc:{root},camera=cam1")
    (root / "mine.yaml").write_text(CAMCHAIN.replace("T_cam_imu", "T_cn_cnm1"))
    with pytest.raises(UserError, match="mine.yaml: cam0 has no 4x4 matrix T_cam_imu .*camera-IMU calibration"):
        load_scene(f"euroc:{root},camchain={root / 'mine.yaml'}")


def test_t03_gaps_in_the_ground_truth_are_not_reported_as_another_clock(tmp_path: Path) -> None:
    rows = [ground_truth_row(250 * k) for k in range(5)]
    root = write_recording(tmp_path / "V1", list(range(10, 1000, 50)), rows=rows)
    with pytest.raises(UserError, match=r"the poses have gaps of up to 0.25 s .*: max_gap=0.25 interpolates") as caught:
        load_scene(f"euroc:{root}")
    assert "0.000 s" not in str(caught.value) and "clock" not in str(caught.value)
    assert len(load_scene(f"euroc:{root},max_gap=0.25").images) == 20


def test_the_sequences_of_a_room_are_one_scene(tmp_path: Path) -> None:
    for name in ("V1_01_easy", "V1_02_medium"):
        write_recording(tmp_path / "room" / name, [0, 50])
    scene = load_scene(tmp_path / "room")
    assert [image.sequence for image in scene.images] == ["V1_01_easy"] * 2 + ["V1_02_medium"] * 2
    assert scene.images[-1].name == f"V1_02_medium/mav0/cam0/data/{EPOCH + 50 * MS}.png"
    write_recording(tmp_path / "room" / "V1_03", [0], sensor().replace("458.654", "460"))  # calibrated anew
    scene, faults = inspect_scene(tmp_path / "room")
    assert len(scene.images) == 5 and scene.intrinsics.fx == 458.654
    assert any("V1_03: its intrinsics differ from those in" in str(remark) for remark in faults.remarks)
    write_recording(tmp_path / "room" / "V2_01", [0], sensor().replace("458.654", "480"))
    with pytest.raises(UserError, match="V2_01: another camera than in .*V1_01_easy"):
        load_scene(f"euroc:{tmp_path / 'room'}")


def test_help_states_the_convention() -> None:
    (line,) = [line for line in describe_formats().splitlines() if line.startswith("  euroc:")]
    assert "body" in line and "w first" in line and "T_BS" in line
