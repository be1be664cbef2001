"""Which topics have images, and what to set so that the node receives them."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.node import Node

from transposenet_ros.bags.topics import IMAGE_TYPES

SUFFIX = "/compressed"
SHOWN = 5
# Images that no camera took: drawn by this node or one beside it, and depth.
NOT_OF_A_CAMERA = ("/attention/position", "/attention/orientation", "/reconstruction", "/compressedDepth")


def published_images(node: Node) -> dict[str, str]:
    """The topics on which others publish images of a camera, with their transport: raw or compressed."""
    ours = (node.get_namespace(), node.get_name())
    found = {}
    for name, types in node.get_topic_names_and_types():
        if not IMAGE_TYPES.keys() & set(types) or name.endswith(NOT_OF_A_CAMERA):
            continue
        for info in node.get_publishers_info_by_topic(name):
            if info.topic_type in IMAGE_TYPES and (info.node_namespace, info.node_name) != ours:
                found[name] = IMAGE_TYPES[info.topic_type]
    return found


def how_to_receive(base: str, transport: str, images: Mapping[str, str], prefix: str = "") -> str:
    """Topics of `images` with what to set for each, the one that was meant first; '' where there is none.

    `base` is what `image` is remapped to now and `transport` the parameter, either of which may be wrong: the settings
    do not depend on them, and name the topic without /compressed. `prefix` is NAME: for a node that needs its name.
    """
    base_of = {name: name.removesuffix(SUFFIX) if each == "compressed" else name for name, each in images.items()}
    # Of a camera with both transports, the one that was asked for comes last and stays.
    by_base = {base_of[name]: name for name in sorted(images, key=lambda name: images[name] == transport)}
    meant = base.removesuffix(SUFFIX)
    listed = []
    for own_base, name in sorted(by_base.items(), key=lambda item: (item[0] != meant, item[0])):
        settings = f"remap {prefix}image:={own_base}"
        if images[name] == "compressed" and own_base == name:  # published under a name of its own
            settings = f"remap {prefix}{base}{SUFFIX}:={name}"
        if images[name] != "raw" or transport != "raw":
            settings = f"parameter {prefix}image_transport:={images[name]}, {settings}"
        listed.append(f"{name} ({settings})")
    more = f" and {len(listed) - SHOWN} more topics" if len(listed) > SHOWN else ""
    return f"images are on {', '.join(listed[:SHOWN])}{more}" if listed else ""
