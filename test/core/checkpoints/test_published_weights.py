"""The publisher's file over HTTP, from a server on this machine: downloaded once, whole or not at all, faults named."""

import hashlib
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from efficientnet_pytorch import EfficientNet

from transposenet_core.checkpoints import published_weights
from transposenet_core.checkpoints.importing import load_pretrained_backbone
from transposenet_core.errors import UserError
from transposenet_core.models.backbone import backbone_names, build_backbone


class WeightsServer(ThreadingHTTPServer):
    """Serves `content` for every path, with the error that `fault` names, and records the requests."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.fault, self.asked = content, "", list[str]()
        self.done = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: WeightsServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.fault.isdigit():
            self.send_error(int(self.server.fault))
            return
        if self.server.fault == "stalls":
            self.server.done.wait(10)
            return
        if self.server.fault == "moved" and "elsewhere" not in self.path:
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        half = len(self.server.content) // 2 if self.server.fault == "breaks off" else None
        self.wfile.write(self.server.content[:half])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("published") / "weights.pth"
    torch.save(EfficientNet.from_name("efficientnet-b0").state_dict(), path)
    return path.read_bytes()


@pytest.fixture
def server(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsServer]:
    """A publisher whose file is in the table, and an empty folder of torch.hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    urllib.request.install_opener(None)  # type: ignore[arg-type]  # it has read the environment before
    with WeightsServer(content) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        publish(monkeypatch, f"http://127.0.0.1:{running.server_port}", content)
        yield running
        running.done.set()
        running.shutdown()
        thread.join()
    urllib.request.install_opener(None)  # type: ignore[arg-type]


def publish(monkeypatch: pytest.MonkeyPatch, host: str, content: bytes) -> None:
    digits = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setitem(published_weights.PUBLISHED, "efficientnet-b0", f"{host}/b0-{digits}.pth")


def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub" / "checkpoints"


def load() -> tuple[torch.nn.Module, str]:
    backbone = build_backbone("efficientnet-b0", (3, 4), 0.2)
    return backbone, load_pretrained_backbone(backbone, "efficientnet-b0", "imagenet")


@pytest.mark.parametrize("fault", ["", "moved"], ids=["direct", "moved"])
def test_it_is_downloaded_once(server: WeightsServer, tmp_path: Path, content: bytes, fault: str) -> None:
    server.fault = fault
    digest = hashlib.sha256(content).hexdigest()
    backbone, origin = load()
    assert origin == f"b0-{digest[:8]}.pth sha256 {digest}"
    asked = list(server.asked)
    assert asked == [f"/b0-{digest[:8]}.pth"] + (["/elsewhere"] if fault else [])
    again, origin_again = load()
    assert (server.asked, origin_again) == (asked, origin)
    assert [path.read_bytes() for path in cache(tmp_path).iterdir()] == [content]
    torch.manual_seed(7)
    whole = EfficientNet.from_name("efficientnet-b0")
    for filled in (backbone, again):
        torch.testing.assert_close(filled.stem.weight, whole._conv_stem.weight, atol=0, rtol=0)


def test_the_environments_proxy_is_used(
    server: WeightsServer, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    publish(monkeypatch, "http://weights.invalid", content)
    load()
    assert server.asked == [f"http://weights.invalid/{next(cache(tmp_path).iterdir()).name}"]


def refuse_connections(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        publish(monkeypatch, f"http://127.0.0.1:{free.getsockname()[1]}", server.content)


def stall(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.fault = "stalls"
    monkeypatch.setattr(published_weights, "STALLED_SECONDS", 0.2)


def serve_another_file(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = b"<html>please log in</html>"


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda server, _: setattr(server, "fault", "404"), "cannot be downloaded .HTTP Error 404"),
        (lambda server, _: setattr(server, "fault", "503"), "cannot be downloaded .HTTP Error 503"),
        (lambda server, _: setattr(server, "fault", "breaks off"), "does not have the sha256"),
        (serve_another_file, "does not have the sha256 [0-9a-f]{8}"),
        (refuse_connections, "cannot be downloaded .*refused"),
        (stall, "cannot be downloaded .*timed out"),
    ],
    ids=["404", "503", "breaks off", "another file", "refused", "stalls"],
)
def test_a_failed_download_names_the_alternatives_and_leaves_nothing(
    server: WeightsServer,
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable,
    sentence: str,
) -> None:
    break_it(server, monkeypatch)
    url = published_weights.PUBLISHED["efficientnet-b0"]
    with pytest.raises(UserError, match=sentence) as error:
        load()
    by_hand = cache(tmp_path) / url.rpartition("/")[2]
    for part in (url, str(by_hand), "backbone.weights=FILE", "backbone.weights=none"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert list(cache(tmp_path).iterdir()) == []
    assert socket.getdefaulttimeout() is None
    # The alternative that the message names.
    by_hand.write_bytes(content)
    assert load()[1].startswith(f"{by_hand.name} sha256 {by_hand.stem[-8:]}")


def test_a_damaged_cached_file_is_named_and_not_used(server: WeightsServer, tmp_path: Path) -> None:
    load()
    (path,) = cache(tmp_path).iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5000])
    with pytest.raises(
        UserError, match=f"{len(whole) - 5000} bytes whose sha256 does not begin with.*; delete it"
    ) as error:
        load()
    assert str(path) in str(error.value) and len(server.asked) == 1
    path.unlink()
    load()
    assert len(server.asked) == 2 and path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_named(server: WeightsServer, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file where a folder is needed")
    with pytest.raises(UserError, match="cannot be downloaded .*Not a directory|File exists"):
        load()
    assert server.asked == []


def test_every_backbone_has_a_published_file_whose_name_holds_its_hash() -> None:
    assert list(published_weights.PUBLISHED) == [*backbone_names(), "googlenet_tv"]
    names = [url.rpartition("/")[2] for url in published_weights.PUBLISHED.values()]
    assert names[:2] == ["efficientnet-b0-355c32eb.pth", "efficientnet-b1-f1951068.pth"]
    assert names[2:] == ["resnet50-11ad3fa6.pth", "googlenet-1378be20.pth"]
    assert all(url.startswith("https://") for url in published_weights.PUBLISHED.values())
