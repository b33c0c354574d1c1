"""The server's answers and refusals, in this process, with a model that turns holes green."""

import asyncio
import base64
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from pennet.errors import UserError
from pipelines.serving.app import create_app
from pipelines.serving.limits import Limits
from pipelines.serving.model_thread import ModelThread
from tests.test_picture_pairs import bomb

SMALL = Limits(max_pixels=2000, max_pictures=3, max_request_mb=1, timeout_seconds=60)
GREEN = np.array([0, 255, 0], np.uint8)
BOUNDARY = "b"


def green(image: np.ndarray, mask: np.ndarray, sharpness: Any) -> np.ndarray:
    if sharpness == 0:
        raise UserError("sharpness: expected a number from 1")
    if sharpness == 13:
        raise RuntimeError("secret of the inside")
    if sharpness == 14:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    return np.where(mask[..., None] > 0, GREEN, image)


def picture(seed: int, width: int = 30, height: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def hole(width: int = 30, height: int = 20) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[5:9, 3:12] = 255
    return mask


def file(array: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=kind)
    return buffer.getvalue()


def opened(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)))


def filled(image: np.ndarray) -> np.ndarray:
    return green(image, hole(image.shape[1], image.shape[0]), None)


def text(array: np.ndarray) -> str:
    return base64.b64encode(file(array)).decode()


def form(*fields: tuple[str, bytes]) -> dict[str, Any]:
    """The files of a request, as httpx takes them."""
    return {"files": [(name, (f"{name}.png", content)) for name, content in fields]}


IMAGE, MASK = ("image", file(picture(0))), ("mask", file(hole()))


@pytest.fixture
def model() -> Iterator[ModelThread]:
    thread = ModelThread(green, SMALL.timeout_seconds)
    yield thread
    thread.close()


@pytest.fixture
def app(model: ModelThread) -> FastAPI:
    return create_app(model, {"name": "greener", "version": "3"}, SMALL)


def talk(app: FastAPI, conversation: Callable[[httpx.AsyncClient], Any]) -> Any:
    async def run() -> Any:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://served", timeout=30) as client:
            return await asyncio.wait_for(conversation(client), 60)

    return asyncio.run(run())


def post(app: FastAPI, path: str, **request: Any) -> httpx.Response:
    return talk(app, lambda client: client.post(path, **request))


def test_one_picture_comes_back_as_a_png_with_its_known_pixels(app: FastAPI) -> None:
    for kind in ("PNG", "JPEG", "WEBP", "BMP"):
        image = ("image", file(picture(0), kind))
        answer = post(app, "/inpaint", **form(image, MASK))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert np.array_equal(opened(answer.content), filled(opened(image[1])))


def test_several_pictures_of_several_sizes_come_back_as_a_zip(app: FastAPI) -> None:
    sizes = [(30, 20), (17, 40), (64, 12)]
    images = [picture(seed, *size) for seed, size in enumerate(sizes)]
    fields = [("image", file(image)) for image in images] + [("mask", file(hole(*size))) for size in sizes]
    answer = post(app, "/inpaint", **form(*fields))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["0.png", "1.png", "2.png"]
        for name, image in zip(archive.namelist(), images, strict=True):
            assert np.array_equal(opened(archive.read(name)), filled(image))


def test_mlflows_protocol_takes_arrays_and_base64_in_one_request(app: FastAPI) -> None:
    images, masks = [picture(0), picture(1, 9, 16)], [hole(), hole(9, 16)]
    inputs = {"image": [images[0].tolist(), text(images[1])], "mask": [text(masks[0]), (masks[1] // 255).tolist()]}
    answer = post(app, "/invocations", json={"inputs": inputs, "params": {"sharpness": None}})
    assert answer.status_code == 200
    array, png = answer.json()["predictions"]
    assert np.array_equal(array, filled(images[0]))
    assert np.array_equal(opened(base64.b64decode(png)), filled(images[1]))


def test_the_server_says_what_it_is(app: FastAPI) -> None:
    page = talk(app, lambda client: client.get("/"))
    assert page.json()["model"] == {"name": "greener", "version": "3"}
    assert page.json()["limits"]["max_pixels"] == 2000
    for path in ("/health", "/ping"):
        assert talk(app, lambda client, path=path: client.get(path)).json() == {"status": "ok"}


ARRAYS = {"image": [picture(0).tolist()], "mask": [(hole() // 255).tolist()]}
FLOATS = {"image": [(picture(0) / 255).tolist()], "mask": ARRAYS["mask"]}
LARGE = file(picture(0, 50, 41))
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/inpaint", form(IMAGE), 400, "mask is missing; send it as a file"),
    ("/inpaint", {"files": [IMAGE], "data": {"mask": "text"}}, 400, "mask: expected a file, got a text"),
    ("/inpaint", form(IMAGE, MASK, ("masks", b"")), 400, "masks: no field of this form"),
    ("/inpaint", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "Missing boundary"),
    ("/inpaint", {"json": ARRAYS}, 415, "POST /inpaint takes multipart/form-data, got application/json"),
    ("/inpaint", {"content": b"x"}, 415, "got no content type"),
    ("/inpaint", form(("image", b"%!PS"), MASK), 415, "image[0]: no picture that is read here; send one of AVIF"),
    ("/inpaint", form(("image", IMAGE[1][:90]), MASK), 422, "image[0]: cannot be read as a picture"),
    ("/inpaint", form(IMAGE, ("mask", file(hole(30, 19)))), 422, "mask[0]: expected 30x20 px like its image, got 30x19 px"),
    ("/inpaint", form(IMAGE, ("mask", file(0 * hole()))), 422, "mask[0]: no hole"),
    ("/inpaint", form(IMAGE, IMAGE, MASK), 422, "image holds 2 pictures and mask 1"),
    ("/inpaint", form(IMAGE, MASK) | {"data": {"sharpness": "0"}}, 422, "sharpness: expected a number from 1"),
    ("/inpaint", form(("image", LARGE), MASK), 413, "image[0]: 50x41 are 2050 pixels, and at most 2000 are taken"),
    ("/inpaint", form(("image", bomb(50_000)), MASK), 413, "image[0]: "),
    ("/inpaint", form(*[IMAGE, MASK] * 4), 413, "4 pictures in one request, and at most 3 are taken"),
    ("/inpaint", form(("image", bytes(1 << 20)), MASK), 413, "the request is larger than 1 MB"),
    (
        "/inpaint",
        form(IMAGE, MASK) | {"data": {"sharpness": "14"}},
        413,
        "a picture of 30x20 px is too large for this server",
    ),
    (
        "/invocations",
        {"json": {"inputs": FLOATS}},
        422,
        "image[0]: expected uint8 (H, W, 3) from 0 to 255, RGB, got float64",
    ),
    ("/invocations", {"json": {"inputs": ARRAYS, "params": {"sharpnes": 1}}}, 400, "sharpnes: no key that is known here"),
    ("/invocations", {"json": {"instances": []}}, 400, "inputs: expected an object; send {"),
    ("/invocations", {"json": {"inputs": {"image": [], "mask": "x"}}}, 400, "inputs.mask: expected a list of pictures"),
    ("/invocations", {"json": {"inputs": {"image": [], "mask": []}}}, 422, "image holds no picture"),
    ("/invocations", {"json": [1]}, 400, "inputs: expected an object"),
    ("/invocations", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "the body is no JSON"),
    (
        "/invocations",
        {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
        400,
        "the body is no JSON",
    ),
    ("/invocations", form(IMAGE, MASK), 415, "POST /invocations takes application/json, got multipart/form-data"),
    ("/fill", {}, 404, "Not Found; there are POST /inpaint"),
    ("/health", {}, 405, "Method Not Allowed; there are"),
]


@pytest.mark.parametrize(("path", "request_", "status", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(
    app: FastAPI, path: str, request_: dict[str, Any], status: int, message: str
) -> None:
    answer = post(app, path, **request_)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert post(app, "/inpaint", **form(IMAGE, MASK)).status_code == 200


def test_a_bug_is_logged_and_not_shown(app: FastAPI) -> None:
    answer = post(app, "/inpaint", **form(IMAGE, MASK), data={"sharpness": "13"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed at this request; its log says why"}


def test_a_body_without_a_length_is_counted(app: FastAPI) -> None:
    async def endless() -> AsyncIterator[bytes]:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        yield head.encode()
        while True:
            yield bytes(100_000)

    for path, kind in (("/inpaint", f"multipart/form-data; boundary={BOUNDARY}"), ("/invocations", "application/json")):
        answer = post(app, path, content=endless(), headers={"Content-Type": kind})
        assert answer.status_code == 413
        assert answer.json() == {"error": "the request is larger than 1 MB; send fewer or smaller pictures"}


class Slow:
    """A model that waits until it is told to go on."""

    def __init__(self) -> None:
        self.entered, self.go_on, self.calls = threading.Event(), threading.Event(), 0

    def __call__(self, image: np.ndarray, mask: np.ndarray, sharpness: Any) -> np.ndarray:
        self.calls += 1
        self.entered.set()
        assert self.go_on.wait(30)
        return green(image, mask, None)


@pytest.fixture
def slow() -> Iterator[Slow]:
    model = Slow()
    yield model
    model.go_on.set()


def test_the_one_too_many_is_told_to_come_again_and_health_answers(slow: Slow) -> None:
    thread = ModelThread(slow, SMALL.timeout_seconds)

    async def conversation(client: httpx.AsyncClient) -> None:
        inside = asyncio.create_task(client.post("/inpaint", **form(IMAGE, MASK)))
        await asyncio.to_thread(slow.entered.wait, 30)
        answer = await client.post("/inpaint", **form(IMAGE, MASK))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json() == {"error": "busy with as many requests as are taken at once (1); come again"}
        assert (await client.get("/health")).status_code == 200
        slow.go_on.set()
        assert (await inside).status_code == 200
        assert (await client.post("/inpaint", **form(IMAGE, MASK))).status_code == 200

    talk(create_app(thread, {}, Limits(max_requests=1)), conversation)
    thread.close()


def test_what_nobody_waits_for_any_more_is_not_computed(slow: Slow) -> None:
    """One request runs too long, one waits too long: 504 and 503; of the first only the picture at hand is computed."""
    thread = ModelThread(slow, timeout_seconds=1)

    async def conversation(client: httpx.AsyncClient) -> None:
        first = asyncio.create_task(client.post("/inpaint", **form(IMAGE, IMAGE, MASK, MASK)))
        await asyncio.to_thread(slow.entered.wait, 30)
        second = await client.post("/inpaint", **form(IMAGE, MASK))
        assert (await first).status_code == 504
        assert "not done within 1 s" in (await first).json()["error"]
        assert second.status_code == 503
        assert "its turn did not come within 1 s" in second.json()["error"]
        assert second.headers["retry-after"] == "1"

    talk(create_app(thread, {}, SMALL), conversation)
    slow.go_on.set()
    thread.close()
    assert slow.calls == 1


def test_a_request_that_is_never_sent_ends() -> None:
    thread = ModelThread(green, 60)
    limits = Limits(timeout_seconds=0.2)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)

    answer = post(
        create_app(thread, {}, limits), "/invocations", content=stuck(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 408
    assert json.loads(answer.content) == {"error": "the request was not sent within 0.2 s"}
    thread.close()
