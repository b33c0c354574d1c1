"""`python -m pipelines.stack up|down|status|run|worker|deploy`: what `make` calls, and what other machines call.

Ports, the data folder and the database are environment variables (`settings.py`): `make up PREFECT_PORT=4300`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

from pennet.errors import UserError
from pipelines.loopback import answers
from pipelines.process import TERMINATION_SECONDS
from pipelines.stack.running import end_left_over_parts, is_up, read_note, say, wait_until_down
from pipelines.stack.settings import Settings, settings

HELP = {
    "up": "MLflow, Prefect and a worker, until Ctrl-C or `down`",
    "down": "end the stack that is up in this data folder",
    "status": "what runs",
    "run": "run the nightly deployment now",
    "worker": "a worker for the server of PREFECT_API_URL: on more machines",
    "deploy": "the work pool, the limit `gpu` and prefect.yaml to the server of PREFECT_API_URL",
}


def main() -> None:
    from pipelines.workspace import run_environment

    parser = argparse.ArgumentParser(prog="python -m pipelines.stack", description="The servers and the worker.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in HELP.items():
        commands.add_parser(name, help=text, description=text)
    command = parser.parse_args().command
    try:
        chosen = settings()
        os.environ["PREFECT_HOME"] = str(chosen.prefect_home)
        os.environ.update(run_environment())
        _COMMANDS[command](chosen)
    except (UserError, OSError) as error:
        sys.exit(f"{command}: {error}")
    except KeyboardInterrupt:
        say("stopped")


def _up(chosen: Settings) -> None:
    from pipelines.stack.up import up

    up(chosen)


def _down(chosen: Settings) -> None:
    """Returns when everything is down.

    Raises:
        UserError: it did not end in time.
    """
    from pipelines.stack.up import CANCEL_SECONDS

    note = read_note(chosen.folder)
    if not is_up(chosen.folder) or note is None:
        left = end_left_over_parts(chosen.folder)
        print(f"ended what was left of a stack that was killed: {', '.join(left)}" if left else "no stack was up")
        return
    os.kill(note.supervisor, signal.SIGTERM)
    seconds = CANCEL_SECONDS + 5 * TERMINATION_SECONDS
    if not wait_until_down(chosen.folder, seconds):
        raise UserError(f"process {note.supervisor} did not end within {seconds} s; its logs: {chosen.logs}")
    print("down")


def _status(chosen: Settings) -> None:
    from pipelines.stack.status import status

    print("\n".join(status(chosen)))


def _run(chosen: Settings) -> None:
    from pipelines.stack.deployments import run_now
    from pipelines.stack.prefect_api import PrefectApi

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        note = read_note(chosen.folder)
        if note is None or not is_up(chosen.folder):  # whatever answers on the port is a stranger's
            raise UserError(f"no stack is up in {chosen.folder}; start one in another terminal: make up")
        url = f"{note.prefect_url}/api"
    if not answers(f"{url}/health"):
        raise UserError(f"no Prefect server answers at {url}; make status shows what runs")
    print(f"created flow run {run_now(PrefectApi(url))}: {url.removesuffix('/api')}/runs")


def _worker(chosen: Settings) -> None:
    from pipelines.stack.worker import work

    work(chosen)


def _deploy(chosen: Settings) -> None:
    from pipelines.stack.deployments import deploy
    from pipelines.stack.prefect_api import PrefectApi

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise UserError("PREFECT_API_URL says to which server; on the server's machine: make up")
    deploy(PrefectApi(url), chosen.gpu_slots, chosen.logs / "deploy.log")
    print(f"deployed prefect.yaml to {url}")


_COMMANDS: dict[str, Callable[[Settings], None]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "run": _run,
    "worker": _worker,
    "deploy": _deploy,
}


if __name__ == "__main__":
    main()
