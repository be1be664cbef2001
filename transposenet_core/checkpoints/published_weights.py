"""The backbones' public ImageNet weights: downloaded once by torch.hub, checked at every use."""

from __future__ import annotations

import http.client
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import torch
from efficientnet_pytorch.utils import url_map

from transposenet_core.errors import UserError
from transposenet_core.file_hash import sha256_of

# The publishers' files. The hexadecimal digits in a name are the beginning of the file's sha256.
PUBLISHED = {name: url_map[name] for name in ("efficientnet-b0", "efficientnet-b1")} | {
    "resnet50": "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
    "googlenet_tv": "https://download.pytorch.org/models/googlenet-1378be20.pth",
}
STALLED_SECONDS = 60.0


def published_weights(name: str) -> Path:
    """The publisher's file for backbone `name`: ``<torch.hub.get_dir()>/checkpoints/<its name>``, which honours
    TORCH_HOME. It is downloaded if absent. UserError where it is not available or not the published one."""
    if name not in PUBLISHED:
        raise UserError(
            f"backbone.weights=imagenet: there is no published file for the backbone {name}, only for "
            f"{', '.join(PUBLISHED)}; set backbone.weights=FILE or backbone.weights=none"
        )
    url = PUBLISHED[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    digits = re.findall(r"-([0-9a-f]{8,})\.", path.name)[0]
    if not path.exists():
        _fetch(url, path, digits)
    if not sha256_of(path).startswith(digits):
        raise UserError(
            f"{path}: {path.stat().st_size} bytes whose sha256 does not begin with {digits}, the file is truncated or "
            f"another one; delete it, then the next start downloads {url} again, or put a complete copy in its place"
        )
    return path


def _fetch(url: str, path: Path, digits: str) -> None:
    """torch.hub writes to a temporary name, renames when the hash is right, and removes it when anything fails."""
    ways_on = (
        f"put the file by hand at {path}, or set backbone.weights=FILE (a copy elsewhere) or backbone.weights=none"
    )
    print(f"downloading {url} to {path}", file=sys.stderr, flush=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(STALLED_SECONDS):
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digits)
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"backbone.weights=imagenet: {url} cannot be downloaded ({reason}); {ways_on}") from None
    except RuntimeError:
        raise UserError(
            f"backbone.weights=imagenet: the response from {url} does not have the sha256 {digits}... (a broken "
            f"connection, or the page of a proxy); try again, {ways_on}"
        ) from None


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """torch.hub sets no timeout and would wait forever on a silent connection."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
