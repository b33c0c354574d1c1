"""The server's pages: `/inpaint` for files, `/invocations` in MLflow's protocol, `/` and `/health` about itself."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from pennet.errors import UserError
from pennet.images import Picture
from pennet.picture_pairs import KINDS, answer_like, check_pairs, png
from pipelines.serving.admission import Admission
from pipelines.serving.asking import Asked, read_form, read_invocation
from pipelines.serving.limits import Limits, Refusal, refused, status_of
from pipelines.serving.model_thread import ModelThread

logger = logging.getLogger(__name__)

Read = Callable[[Request, Limits], Awaitable[Asked]]
Write = Callable[[Asked, Sequence[Picture]], Response]
_PAGES = "POST /inpaint, POST /invocations, GET / and GET /health"


class _Form(NamedTuple):
    read: Read
    write: Write


def create_app(model: ModelThread, about: dict[str, Any], limits: Limits) -> FastAPI:
    """The ASGI application.

    Args:
        model: fills holes.
        about: what `/` says of the model.
        limits: what is taken.
    """
    # No pages of FastAPI's own: they load their scripts from the internet.
    app = FastAPI(title="PEN-Net Studio", openapi_url=None)
    app.add_middleware(Admission, limits=limits)

    async def answer(request: Request, form: _Form) -> Response:
        asked = await form.read(request, limits)
        pairs = await asyncio.to_thread(check_pairs, asked.images, asked.masks, limits.max_pixels)
        filled = await model.fill(pairs, asked.sharpness)
        return await asyncio.to_thread(form.write, asked, filled)

    @app.post("/inpaint")
    async def inpaint(request: Request) -> Response:
        return await answer(request, _Form(read_form, _png_or_zip))

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        return await answer(request, _Form(read_invocation, _predictions))

    @app.get("/")
    async def index() -> dict[str, Any]:
        return {"model": about, "limits": asdict(limits), "kinds": KINDS, "pages": _PAGES}

    @app.get("/health")
    @app.get("/ping")  # MLflow's name
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> Response:
        return _said(request, error.status, str(error))

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> Response:
        return _said(request, status_of(error), str(error))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        hint = f"; there are {_PAGES}" if error.status_code in (404, 405) else ""
        return _said(request, error.status_code, f"{error.detail}{hint}")

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return _said(request, 400, "the client went away while it sent the request")

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        return refused(500, "the server failed at this request; its log says why")  # the traceback goes there by itself

    return app


def _said(request: Request, status: int, message: str) -> JSONResponse:
    logger.info("%s %s: %d, %s", request.method, request.url.path, status, message)
    return refused(status, message)


def _png_or_zip(asked: Asked, filled: Sequence[Picture]) -> Response:
    """One picture as a PNG file, several as a zip file with `0.png`, `1.png` and so on."""
    if len(filled) == 1:
        return Response(png(filled[0]), media_type="image/png")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for place, picture in enumerate(filled):
            archive.writestr(zipfile.ZipInfo(f"{place}.png"), png(picture))
    return Response(file.getvalue(), media_type="application/zip")


def _predictions(asked: Asked, filled: Sequence[Picture]) -> Response:
    answers = [answer_like(image, picture) for image, picture in zip(asked.images, filled, strict=True)]
    predictions = [answer if isinstance(answer, str) else answer.tolist() for answer in answers]  # type: ignore[union-attr]
    return Response(json.dumps({"predictions": predictions}, separators=(",", ":")), media_type="application/json")
