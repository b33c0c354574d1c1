"""What a request asks for, in the two forms that it may have: files in a form, or MLflow's JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from pipelines.serving.limits import Limits, Refusal

FORM, JSON = "multipart/form-data", "application/json"
_MAX_PARTS = 1000
"""Of a form, before it is looked at."""
_EXAMPLE = '{"inputs": {"image": [...], "mask": [...]}, "params": {"sharpness": 10}}'


class Asked(NamedTuple):
    """Pictures and masks as `pennet.picture_pairs.check_pairs` takes them."""

    images: list[Any]
    masks: list[Any]
    sharpness: Any
    """Checked by the model; None for its own."""


async def read_form(request: Request, limits: Limits) -> Asked:
    """Reads `image` and `mask`, files, of each as many as there are pictures, and `sharpness`.

    Raises:
        Refusal: another kind of body, another field, or more pictures than are taken.
    """
    _check_kind(request, FORM)
    form = await _in_time(request.form(max_files=_MAX_PARTS, max_fields=_MAX_PARTS), limits)
    try:
        if unknown := sorted(form.keys() - {"image", "mask", "sharpness"}):
            raise Refusal(400, f"{unknown[0]}: no field of this form; it has the files image and mask, and sharpness")
        images, masks = [await _files(form, name) for name in ("image", "mask")]
        return _within(Asked(images, masks, _number(form)), limits)
    finally:
        await form.close()


async def read_invocation(request: Request, limits: Limits) -> Asked:
    """Reads MLflow's JSON: `inputs` with lists `image` and `mask` of arrays or of files in base64, and `params`.

    Raises:
        Refusal: another kind of body, no JSON, another key, or more pictures than are taken.
    """
    _check_kind(request, JSON)
    body = await _in_time(request.body(), limits)
    try:
        asked = await asyncio.to_thread(json.loads, body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON ({error}); send {_EXAMPLE}") from error
    inputs, params = _mapping(asked, "inputs", required=True), _mapping(asked, "params")
    for keys, known in ((asked, {"inputs", "params"}), (inputs, {"image", "mask"}), (params, {"sharpness"})):
        if unknown := sorted(keys.keys() - known):
            raise Refusal(400, f"{unknown[0]}: no key that is known here; send {_EXAMPLE}")
    for name in ("image", "mask"):
        if not isinstance(inputs.get(name), list):
            raise Refusal(400, f"inputs.{name}: expected a list of pictures; send {_EXAMPLE}")
    return _within(Asked(inputs["image"], inputs["mask"], params.get("sharpness")), limits)


def _check_kind(request: Request, kind: str) -> None:
    got = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if got != kind:
        raise Refusal(415, f"POST {request.url.path} takes {kind}, got {got or 'no content type'}")


async def _in_time(reading: Any, limits: Limits) -> Any:
    try:
        return await asyncio.wait_for(reading, limits.timeout_seconds)
    except TimeoutError as error:
        raise Refusal(408, f"the request was not sent within {limits.timeout_seconds:g} s") from error


async def _files(form: FormData, name: str) -> list[bytes]:
    parts = form.getlist(name)
    if not parts:
        raise Refusal(400, f"{name} is missing; send it as a file of the form")
    files = []
    for part in parts:
        if not isinstance(part, UploadFile):
            raise Refusal(400, f"{name}: expected a file, got a text; with curl: -F {name}=@FILE")
        files.append(await part.read())
    return files


def _number(form: FormData) -> Any:
    """A sharpness as a number; what is none stays as it is, for the model to refuse."""
    text = form.get("sharpness")
    try:
        return None if text is None else float(str(text))
    except ValueError:
        return text


def _mapping(asked: Any, name: str, required: bool = False) -> dict[str, Any]:
    values = asked.get(name) if isinstance(asked, dict) else None
    if values is None and not required and isinstance(asked, dict):
        return {}
    if not isinstance(values, dict):
        raise Refusal(400, f"{name}: expected an object; send {_EXAMPLE}")
    return values


def _within(asked: Asked, limits: Limits) -> Asked:
    if (number := max(len(asked.images), len(asked.masks))) > limits.max_pictures:
        raise Refusal(413, f"{number} pictures in one request, and at most {limits.max_pictures} are taken; send several")
    return asked
