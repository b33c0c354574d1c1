"""Downloads against a real server that does what servers and networks do."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pennet.data.sources.download import fetch
from pennet.errors import TransientError, UserError
from pennet.metrics import weights
from tests.data.server import Answer, running

CONTENT = bytes(range(256)) * 8000
HALF = CONTENT[: len(CONTENT) // 2]
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "get it elsewhere"


ANSWERS = {
    "chunked": Answer(chunked=True),
    "unsaid": Answer(length=None),
    "nonsense": Answer(length="many"),
    "cut": Answer(cut_after=len(HALF)),
    "cutchunk": Answer(chunked=True, cut_after=len(HALF)),
    "reset": Answer(cut_after=len(HALF), reset=True),
    "stalled": Answer(cut_after=len(HALF), stall=True),
    "silent": Answer(silent=True),
    "slow": Answer(trickle=True),
    "other": Answer(body=bytes(len(CONTENT))),
    "short": Answer(length=str(len(HALF))),
    **{str(status): Answer(status) for status in (403, 404, 408, 429, 503)},
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """What it does with a path is the path's name, whatever comes after the dot; `elsewhere` asks it as a proxy."""
    with running(CONTENT) as http:
        for suffix in ("zip", "pth"):
            http.answers |= {f"{name}.{suffix}": [answer] for name, answer in ANSWERS.items()}
        http.answers["http://elsewhere.invalid/archive.zip"] = [ANSWERS["cut"]]
        yield http.url


def test_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "source.zip").write_bytes(CONTENT)
    fetch(str(tmp_path / "source.zip"), tmp_path / "archive.zip", SHA256, REMEDY)
    assert (tmp_path / "archive.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["whole.zip", "chunked.zip", "unsaid.zip", "nonsense.zip", "whole.zip?version=2"])
def test_file_is_downloaded(server: str, tmp_path: Path, name: str) -> None:
    fetch(f"{server}/{name}", tmp_path / "a" / "archive.zip", SHA256, REMEDY)
    assert (tmp_path / "a" / "archive.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut.zip", r"the connection broke after 1,024,000 of 2,048,000 bytes"),
        ("cutchunk.zip", r"IncompleteRead"),
        ("reset.zip", r"[Rr]eset|the connection broke"),
        ("stalled.zip", r"no answer in 0\.5 s"),
        ("silent.zip", r"no answer in 0\.5 s"),
        ("slow.zip", r"only \d+ bytes in \d+ s"),
        ("503.zip", r"the server answers 503 Service Unavailable"),
        ("429.zip", r"the server answers 429 Too Many Requests"),
        ("408.zip", r"the server answers 408"),
    ],
)
def test_what_may_pass_is_named_and_worth_another_try(server: str, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "archive.zip").write_bytes(b"old")
    seconds = {"stalled.zip": 0.5, "silent.zip": 0.5, "slow.zip": 2.0}.get(name, 20.0)  # the others answer, soon or late
    with pytest.raises(TransientError, match=rf"/{name}: cannot be downloaded.*({message}).*{REMEDY}"):
        fetch(f"{server}/{name}", tmp_path / "archive.zip", SHA256, REMEDY, timeout_seconds=seconds)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("404.zip", r"the server answers 404 Not Found"),
        ("403.zip", r"the server answers 403"),
        ("other.zip", rf"sha256 is [0-9a-f]{{64}}, expected {SHA256}"),
        ("short.zip", rf"sha256 is {hashlib.sha256(HALF).hexdigest()}, expected"),
    ],
)
def test_what_will_not_pass_is_named_and_final(server: str, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "archive.zip").write_bytes(b"old")
    with pytest.raises(UserError, match=rf"/{name}: .*{message}.*{REMEDY}") as caught:
        fetch(f"{server}/{name}", tmp_path / "archive.zip", SHA256, REMEDY)
    assert not isinstance(caught.value, TransientError)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://127.0.0.1:port/a.zip", "http://127.0.0.1/a b.zip", "http://a..b/é.zip"]
)
def test_address_that_is_none_is_final(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded .*correct the address") as caught:
        fetch(url, tmp_path / "archive.zip", SHA256, REMEDY)
    assert not isinstance(caught.value, TransientError)


def test_unreachable_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9.*cannot be downloaded.*refused"):
        fetch("http://127.0.0.1:9/archive.zip", tmp_path / "archive.zip", SHA256, REMEDY)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.zip: no such file; get it elsewhere"):
        fetch(str(tmp_path / "nowhere.zip"), tmp_path / "archive.zip", SHA256, REMEDY)


def test_loopback_is_asked_directly_whatever_proxy_is_set(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for host in ("127.0.0.1", "localhost"):
        fetch(f"{server}/whole.zip".replace("127.0.0.1", host), tmp_path / "archive.zip", SHA256, REMEDY)


def test_other_hosts_go_through_the_proxy_which_is_named_without_its_password(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stands in for a proxy: it is asked for `http://elsewhere.invalid/...` and sends half a file."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.replace("://", "://me:secret@"))
    with pytest.raises(TransientError, match=rf"through the proxy {server.partition('//')[2]}") as caught:
        fetch("http://elsewhere.invalid/archive.zip", tmp_path / "archive.zip", SHA256, REMEDY)
    assert "secret" not in str(caught.value)


def test_disk_that_refuses_is_no_fault_of_the_server(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught:
        fetch(f"{server}/whole.zip", tmp_path / "file" / "archive.zip", SHA256, REMEDY)
    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize("name", ["404.pth", "cut.pth", "other.pth"])
def test_weights_come_the_same_way(server: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "weights.pth"
    assert weights.download(f"{server}/whole.pth", path, SHA256, REMEDY).read_bytes() == CONTENT
    with pytest.raises(weights.WeightsUnavailable, match=rf"/{name}: .*{REMEDY}"):
        weights.download(f"{server}/{name}", path, SHA256, REMEDY)
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [CONTENT]
