"""When and where a download asks again: busy servers, bad lines, mirrors."""

import hashlib
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from pennet.data.sources import download
from pennet.errors import TransientError, UserError
from tests.data.downloading import ARCHIVE, CONTENT, CUT, OTHER, PAGE, REMEDY, SHA256, Place, ranges
from tests.data.server import Answer, Server, running


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_busy_server_is_asked_again_ever_later(server: Server, place: Place, waits: list[float], status: int) -> None:
    server.answers[ARCHIVE] = [Answer(status)] * 4 + [Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}", attempts=5)
    assert place.is_done()
    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        (formatdate(time.time() + 100_000, usegmt=True), 300, 300),
        (formatdate(time.time() - 100, usegmt=True), 0, 0),
        ("9" * 400, 300, 300),
        ("soon", 1, 1),
    ],
    ids=[
        "seconds",
        "now",
        "a date",
        "a date that was",
        "for ever",
        "nonsense",
    ],  # a clock in a name differs between processes
)
def test_server_says_when_to_ask_again(
    server: Server, place: Place, waits: list[float], said: str, least: float, most: float
) -> None:
    server.answers[ARCHIVE] = [Answer(429, headers={"Retry-After": said}), Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert len(waits) == 1
    assert least <= waits[0] <= most


def test_date_to_ask_again_is_waited_for(server: Server, place: Place, waits: list[float]) -> None:
    server.answers[ARCHIVE] = [Answer(503, headers={"Retry-After": formatdate(time.time() + 200, usegmt=True)}), Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert 0 < waits[0] <= 200


def test_server_that_stays_busy_is_given_up(server: Server, place: Place, waits: list[float]) -> None:
    server.answers[ARCHIVE] = [Answer(503)]
    with pytest.raises(
        TransientError, match=rf"/{ARCHIVE}: cannot be downloaded \(the server answers 503.*; try again, or {REMEDY}"
    ):
        place.fetch(f"{server.url}/{ARCHIVE}", attempts=3)
    assert len(server.requests) == 3
    assert waits == [1, 2]
    assert not list(place.partial_dir.iterdir())


def test_line_that_breaks_often_is_no_reason_to_give_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 100_000)
    with running(CONTENT) as server:
        server.answers[ARCHIVE] = [Answer(cut_after=200_000)]
        assert place.fetch(f"{server.url}/{ARCHIVE}", attempts=2) == SHA256
        assert len(server.requests) == 15
        assert server.sent == len(CONTENT)


def test_little_that_is_new_is_one(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=10)]
    with pytest.raises(TransientError, match="after 30 of 3,000,000 bytes"):
        place.fetch(f"{server.url}/{ARCHIVE}", attempts=3)


def test_mirrors_are_tried_in_order_until_one_has_it(server: Server, place: Place, tmp_path: Path) -> None:
    server.answers |= {
        "gone": [Answer(404)],
        "bad": [Answer(body=OTHER)],
        "page": [Answer(body=PAGE)],
        "busy": [Answer(503)],
    }
    mirrors = [f"{server.url}/{name}" for name in ("gone", "bad", "page", "busy", "good", "never")]
    assert place.fetch("http://127.0.0.1:9/refused", str(tmp_path / "nowhere.zip"), *mirrors, attempts=2) == SHA256
    assert place.is_done()
    assert [request.path for request in server.requests] == ["gone", "bad", "page", "busy", "busy", "good"]


def test_second_mirror_goes_on_where_the_first_one_broke(server: Server, place: Place) -> None:
    server.answers |= {"first": [Answer(cut_after=CUT), Answer(503)], "second": [Answer(etag='"else"')]}
    assert place.fetch(f"{server.url}/first", f"{server.url}/second") == SHA256
    assert place.is_done()
    assert "if-range" not in server.requests[-1].headers
    assert server.sent == len(CONTENT)


def test_second_mirror_starts_over_if_the_first_one_sent_rubbish(server: Server, place: Place) -> None:
    server.answers |= {"first": [Answer(body=OTHER, cut_after=CUT), Answer(503)]}
    assert place.fetch(f"{server.url}/first", f"{server.url}/second") == SHA256
    assert place.is_done()
    assert ranges(server)[-2:] == [f"bytes={CUT}-", None]


def test_second_mirror_starts_over_if_no_checksum_decides(server: Server, place: Place) -> None:
    server.answers |= {"first": [Answer(body=OTHER, cut_after=CUT), Answer(503)]}
    assert place.fetch(f"{server.url}/first", f"{server.url}/second", size_bytes=len(CONTENT)) == SHA256
    assert ranges(server)[-1] is None


def test_mirrors_that_all_fail_are_listed_with_their_reasons(server: Server, place: Place, tmp_path: Path) -> None:
    server.answers |= {"gone": [Answer(404)], "bad": [Answer(body=OTHER)]}
    urls = [f"{server.url}/gone", f"{server.url}/bad", str(tmp_path / "nowhere.zip")]
    with pytest.raises(UserError) as caught:
        place.fetch(*urls)
    assert not isinstance(caught.value, TransientError)
    assert str(caught.value) == (
        f"{ARCHIVE}: no address gives it\n"
        f"  - {urls[0]}: cannot be downloaded (the server answers 404 Not Found)\n"
        f"  - {urls[1]}: sha256 is {hashlib.sha256(OTHER).hexdigest()}, expected {SHA256};"
        " it is truncated or another version\n"
        f"  - {urls[2]}: no such file\n{REMEDY}"
    )
    with pytest.raises(TransientError, match=rf"(?s)404.*127\.0\.0\.1:9/.*refused.*\ntry again, or {REMEDY}"):
        place.fetch(urls[0], "http://127.0.0.1:9/archive.zip")


def test_path_is_a_mirror(place: Place, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(CONTENT)
    assert place.fetch(str(tmp_path / "mine.zip"), size_bytes=len(CONTENT), sha256=SHA256.upper()) == SHA256
    assert place.is_done()
    assert (tmp_path / "mine.zip").read_bytes() == CONTENT


def test_redirect_is_followed_with_the_range(server: Server, place: Place) -> None:
    to = {"Location": f"{server.url}/elsewhere"}
    server.answers |= {ARCHIVE: [Answer(302, headers=to)], "elsewhere": [Answer(cut_after=CUT), Answer()]}
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert ranges(server) == [None, None, f"bytes={CUT}-", f"bytes={CUT}-"]
