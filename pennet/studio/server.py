"""Serves the page until it is told to stop: bound before anything is loaded, cleaned up whatever happens."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pennet.errors import UserError

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI, Request, Response

SECONDS_TO_END = 2
"""That open connections are given: a page that is open in a browser never hangs up by itself."""
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;"
    " style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; frame-ancestors 'self'"
)
"""What a browser may load and call: this server alone."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        UserError: the port is taken, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except (OSError, OverflowError) as error:
        remedy = f"choose another: --port {port + 1}, or --host"
        raise UserError(f"studio: cannot listen on {host} port {port} ({error}); {remedy}") from error
    return listening


def serve(page: gr.Blocks, listening: socket.socket, max_megabytes: int, allowed: list[Path]) -> None:
    """Answers until SIGINT or SIGTERM.

    Raises:
        KeyboardInterrupt: SIGINT.
        SystemExit: SIGTERM, with code 143.
    """
    import uvicorn

    signal.signal(signal.SIGTERM, _leave)  # uvicorn sends it again once it has ended; the default would skip our clean-up
    config = uvicorn.Config(
        _application(page, max_megabytes, allowed),
        log_level="critical",  # what it says of connections that it has to cut is no news
        timeout_graceful_shutdown=SECONDS_TO_END,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _application(page: gr.Blocks, max_megabytes: int, allowed: list[Path]) -> FastAPI:
    import gradio as gr
    from fastapi import FastAPI

    from pennet.studio.page import CSS, theme

    application = FastAPI(openapi_url=None)

    @application.middleware("http")
    async def keep_to_this_server(request: Request, call_next: Callable) -> Response:  # type: ignore[type-arg]
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return gr.mount_gradio_app(
        application,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        allowed_paths=[str(path.resolve()) for path in allowed],
        show_error=False,
        max_file_size=f"{max_megabytes}mb",
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=CSS,
    )


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)
