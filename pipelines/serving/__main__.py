"""Serves a registered model on this machine, until Ctrl-C: `make serve`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from dataclasses import fields
from typing import Any

from pennet.errors import UserError
from pipelines.loopback import check_port_is_free
from pipelines.params import load_params
from pipelines.serving.limits import Limits

_HELP = {
    "max_pixels": "of one picture",
    "max_pictures": "in one request",
    "max_request_mb": "of one request",
    "max_requests": "at once; the next is told to come again",
    "timeout_seconds": "for sending a request, and again for its answer",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="serving", description="Serves a registered model, until Ctrl-C.")
    parser.add_argument("--model", help="models:/NAME@ALIAS or models:/NAME/VERSION; else the first data set's champion")
    parser.add_argument("--store", help="MLflow's tracking URI; else that of params.yaml")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; there is no password")
    parser.add_argument("--port", type=int, default=8000)
    for field in fields(Limits):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=type(field.default), default=field.default, help=_HELP[field.name])
    arguments = parser.parse_args()
    try:
        serve(arguments)
    except (UserError, OSError) as error:
        sys.exit(f"serving: {error}")


def serve(arguments: argparse.Namespace) -> None:
    """Loads the model once, and answers until a signal; then what was asked for is finished first.

    Raises:
        UserError: the port is taken, or there is no such model.
    """
    limits = Limits(**{field.name: getattr(arguments, field.name) for field in fields(Limits)})
    if wrong := [name for name, value in vars(limits).items() if value <= 0]:
        raise UserError(f"--{wrong[0].replace('_', '-')}: {getattr(limits, wrong[0])}, but it must be above 0")
    check_port_is_free(arguments.port, "SERVE_PORT")
    params = load_params()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)

    import uvicorn

    from pennet.seeding import apply_runtime
    from pipelines.serving.app import create_app
    from pipelines.serving.model_thread import ModelThread
    from pipelines.tracking.served import load_served

    uri = arguments.model or f"models:/{params.tracking.registered_model}-{params.datasets[0]}@champion"
    served = load_served(uri, arguments.store or params.tracking.uri, apply_runtime(params.runtime))
    thread = ModelThread(served.fill, limits.timeout_seconds, lambda: apply_runtime(params.runtime))
    app = create_app(thread, served.about, limits)
    about = f"{served.about['name']} version {served.about['version']} on {served.about['device']}"
    stopped: list[int] = []

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            if self.started:  # it listens now
                print(f"serving {about}: http://{arguments.host}:{arguments.port} - stop: Ctrl-C", flush=True)
            self.should_exit |= bool(stopped)

    for signum in (signal.SIGINT, signal.SIGTERM):  # uvicorn's handlers are in their place while it serves
        signal.signal(signum, lambda signum, _: stopped.append(signum))
    patience = round(2 * limits.timeout_seconds)
    server = Server(uvicorn.Config(app, host=arguments.host, port=arguments.port, timeout_graceful_shutdown=patience))
    server.run()
    thread.close()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
