"""Downloads that go on where they were cut, against a real server: cut, changed, lied to."""

import hashlib

import pytest

from pennet.errors import TransientError, UserError
from tests.data.downloading import ARCHIVE, CONTENT, CUT, OTHER, REMEDY, SHA256, Place, corrupted, cut_before, ranges
from tests.data.server import Answer, Server


def test_whole_file_leaves_nothing_else(server: Server, place: Place) -> None:
    assert place.fetch(f"{server.url}/{ARCHIVE}") == SHA256
    assert place.is_done()
    assert ranges(server) == [None]
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "broken",
    [
        Answer(cut_after=CUT),
        Answer(cut_after=CUT, stall=True),
        Answer(cut_after=CUT, chunked=True),
        Answer(length=str(len(CONTENT)), body=CONTENT[:CUT]),
    ],
    ids=["cut", "stall", "chunked", "short"],
)
def test_broken_connection_costs_no_byte_twice(server: Server, place: Place, broken: Answer, waits: list[float]) -> None:
    server.answers[ARCHIVE] = [broken, Answer()]
    seconds = 3.0 if broken.stall else 20.0  # the others, and the next answer, come soon or late
    assert place.fetch(f"{server.url}/{ARCHIVE}", timeout_seconds=seconds) == SHA256
    assert place.is_done()
    assert ranges(server) == [None, f"bytes={CUT}-"]
    assert server.requests[1].headers["if-range"] == '"1"'
    assert server.sent == len(CONTENT)
    assert waits == [1.0]


def test_reset_connection_is_gone_on_from(server: Server, place: Place) -> None:
    """How much came before a reset is the kernel's to say."""
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, reset=True), Answer()]
    assert place.fetch(f"{server.url}/{ARCHIVE}") == SHA256
    assert place.is_done()


def test_next_call_goes_on_where_the_last_one_ended(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=CUT), Answer()]
    with pytest.raises(
        TransientError, match=r"after 1,300,000 of 3,000,000 bytes\); try again to go on from the 1,300,000 bytes"
    ):
        place.fetch(f"{server.url}/{ARCHIVE}", attempts=1)
    assert place.kept() == [CONTENT[:CUT]]
    assert not place.path.exists()
    assert place.fetch(f"{server.url}/{ARCHIVE}", attempts=1) == SHA256
    assert place.is_done()
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize(
    "known", [{"sha256": SHA256}, {"md5": hashlib.md5(CONTENT).hexdigest().upper()}, {"size_bytes": len(CONTENT)}]
)
def test_any_knowledge_will_do(server: Server, place: Place, known: dict[str, object]) -> None:
    url = cut_before(server, place, **known)
    assert place.fetch(url, **known) == SHA256
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]


def test_no_checksum_is_computed_that_nobody_published(
    server: Server, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    new = hashlib.new
    monkeypatch.setattr(hashlib, "new", lambda name, *data, **options: made.append(name) or new(name, *data, **options))
    monkeypatch.setattr(hashlib, "md5", lambda *data, **options: made.append("md5"))
    url = cut_before(server, place)
    place.fetch(url)
    assert place.is_done()
    assert "md5" not in made


def test_other_version_is_downloaded_from_its_start(server: Server, place: Place) -> None:
    """The server heeds If-Range: it sends all of the new file."""
    known = {"sha256": hashlib.sha256(OTHER).hexdigest()}
    url = cut_before(server, place, Answer(body=OTHER, etag='"2"'), **known)
    place.fetch(url, **known)
    assert place.is_done(OTHER)
    assert ranges(server) == [f"bytes={CUT}-"]


@pytest.mark.parametrize(
    "other",
    [
        Answer(body=OTHER, etag='"2"', if_range=False),
        Answer(body=OTHER[:-5], etag=None, if_range=False),
        Answer(body=OTHER[:-5], headers={"Content-Range": f"bytes {CUT}-{len(OTHER) - 6}/{len(OTHER) - 5}"}, if_range=False),
    ],
    ids=["etag", "total", "same-etag"],
)
def test_other_version_is_noticed_if_the_server_mixes_them(server: Server, place: Place, other: Answer) -> None:
    known = {"kind": "any", "md5": hashlib.md5(other.body or b"").hexdigest()}
    url = cut_before(server, place, other, Answer(body=other.body), **known)
    place.fetch(url, **known)
    assert place.is_done(other.body or b"")
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_other_version_of_the_same_size_is_noticed_without_a_checksum(server: Server, place: Place) -> None:
    other = Answer(body=OTHER, etag='"2"', if_range=False)
    url = cut_before(server, place, other, size_bytes=len(OTHER))
    place.fetch(url, size_bytes=len(OTHER))
    assert place.is_done(OTHER)
    assert ranges(server) == [f"bytes={CUT}-", None]


@pytest.mark.parametrize(
    "said",
    [
        f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {CUT + 1}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {CUT}-{len(CONTENT)}/{len(CONTENT) + 1}",
        "bytes all",
    ],
)
def test_content_range_that_does_not_fit_is_not_believed(server: Server, place: Place, said: str) -> None:
    url = cut_before(server, place, Answer(headers={"Content-Range": said}), Answer())
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_content_range_that_says_no_total_is_enough(server: Server, place: Place) -> None:
    url = cut_before(server, place, Answer(headers={"Content-Range": f"bytes {CUT}-{len(CONTENT) - 1}/*"}))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]


def test_part_that_nobody_asked_for_is_refused(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(206, headers={"Content-Range": "bytes 5-9/10"}, body=b"56789")]
    with pytest.raises(UserError, match=r"asked for bytes from 0 on, the server sends 'bytes 5-9/10'"):
        place.fetch(f"{server.url}/{ARCHIVE}")


def test_server_without_ranges_starts_again(server: Server, place: Place) -> None:
    url = cut_before(server, place, Answer(ranges=False))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]
    assert server.sent == len(CONTENT)


def test_server_without_versions_is_asked_for_the_rest_if_a_checksum_decides(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, etag=None), Answer(etag=None)]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert "if-range" not in server.requests[1].headers
    assert server.sent == len(CONTENT)


def test_server_without_versions_is_asked_for_all_if_nothing_else_decides(server: Server, place: Place) -> None:
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, etag=None), Answer(etag=None)]
    place.fetch(f"{server.url}/{ARCHIVE}", size_bytes=len(CONTENT))
    assert place.is_done()
    assert ranges(server) == [None, None]


def test_date_of_change_stands_in_for_a_weak_etag(server: Server, place: Place) -> None:
    date = "Mon, 23 Dec 2019 10:00:00 GMT"
    weak = {"etag": 'W/"1"', "headers": {"Last-Modified": date}, "if_range": False}
    server.answers[ARCHIVE] = [Answer(cut_after=CUT, **weak), Answer(**weak)]  # type: ignore[arg-type]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert server.requests[1].headers["if-range"] == date


def test_nothing_is_asked_for_where_nothing_is_missing(server: Server, place: Place) -> None:
    """All bytes were here, and the process was killed before it could check them."""
    url = cut_before(server, place)
    (partial,) = place.partial_dir.glob("*.part")
    partial.write_bytes(CONTENT)
    place.fetch(url)
    assert place.is_done()
    assert server.requests == []


def test_whole_partial_file_that_is_wrong_is_downloaded_again(server: Server, place: Place) -> None:
    url = cut_before(server, place)
    (partial,) = place.partial_dir.glob("*.part")
    partial.write_bytes(corrupted(CONTENT))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [None]


def test_no_more_bytes_means_that_all_are_here(server: Server, place: Place) -> None:
    """A chunked answer says no total, so only the server's 416 does."""
    server.answers[ARCHIVE] = [Answer(chunked=True, cut_after=len(CONTENT)), Answer()]
    place.fetch(f"{server.url}/{ARCHIVE}")
    assert place.is_done()
    assert ranges(server) == [None, f"bytes={len(CONTENT)}-"]
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("headers", [{}, {"Content-Range": "bytes */5"}])
def test_no_such_bytes_means_another_file(server: Server, place: Place, headers: dict[str, str]) -> None:
    url = cut_before(server, place, Answer(416, headers=headers), Answer())
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-", None]


@pytest.mark.parametrize("notes", ["{", "[]", '{"url": 1, "size": 2}', None])
def test_lost_notes_cost_nothing_if_a_checksum_decides(server: Server, place: Place, notes: str | None) -> None:
    url = cut_before(server, place)
    (path,) = place.partial_dir.glob("*.json")
    path.write_text(notes) if notes else path.unlink()
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-"]


def test_partial_file_that_is_wrong_is_thrown_away_once(server: Server, place: Place) -> None:
    url = cut_before(server, place)
    (partial,) = place.partial_dir.glob("*.part")
    partial.write_bytes(corrupted(CONTENT[:CUT]))
    place.fetch(url)
    assert place.is_done()
    assert ranges(server) == [f"bytes={CUT}-", None]


def test_file_that_stays_wrong_is_named_and_not_kept(server: Server, place: Place) -> None:
    url = cut_before(server, place, Answer(body=corrupted(OTHER)))
    with pytest.raises(
        UserError, match=rf"/{ARCHIVE}: .*sha256 is [0-9a-f]{{64}}, expected {SHA256}; it is .*; {REMEDY}"
    ) as caught:
        place.fetch(url)
    assert not isinstance(caught.value, TransientError)
    assert ranges(server) == [f"bytes={CUT}-", None]
    assert not list(place.partial_dir.iterdir())
    assert not place.path.exists()
