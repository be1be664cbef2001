"""What pycolmap reads of a COLMAP model, as JSON; run as a program by `colmap_model`, with the folder and limits on its
memory (bytes) and time (seconds of a CPU). Damaged counts make pycolmap ask for terabytes or read for ever."""

import json
import resource
import sys


def main(folder: str, most_bytes: int, most_seconds: int) -> None:
    for limit, most in (
        (resource.RLIMIT_AS, most_bytes),
        (resource.RLIMIT_CPU, most_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    import pycolmap

    model = pycolmap.Reconstruction(folder)
    images = []
    for image in model.images.values():
        if image.has_pose:
            T_camera_map = image.cam_from_world
            T_camera_map = T_camera_map() if callable(T_camera_map) else T_camera_map  # an attribute before 3.12
            images.append([image.name, image.camera_id, T_camera_map.matrix().tolist()])
    cameras = [[c.camera_id, c.model_name, int(c.width), int(c.height), list(c.params)] for c in model.cameras.values()]
    json.dump({"count": model.num_images(), "images": images, "cameras": cameras}, sys.stdout)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except Exception as error:  # noqa: BLE001 - the parent gets a sentence
        json.dump({"error": " ".join(str(error).split()) or type(error).__name__}, sys.stdout)
