"""Servers on loopback: one that hands out the archive slowly, and an MLflow server that is killed and comes back."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from faults.processes import COMMAND_SECONDS, end_all, start, wait
from faults.projects import STORE, change, copy
from faults.trials import Experiment, Loss, Reference, finish
from pennet.errors import UserError
from pipelines.loopback import answers

DOWNLOAD_SECONDS = 2.0
_PIECES = 40
_SERVER_SECONDS = 180.0


class SlowArchive(ThreadingHTTPServer):
    """Serves one file, from any byte on, in `DOWNLOAD_SECONDS`: slow enough to be cut in the middle."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.sha256 = hashlib.sha256(content).hexdigest()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/small.zip"

    def handle_error(self, request: object, client_address: object) -> None:
        """The client was killed."""


class _Handler(BaseHTTPRequestHandler):
    server: SlowArchive

    def do_GET(self) -> None:
        content = self.server.content
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.send_header("ETag", f'"{self.server.sha256}"')
        self.end_headers()
        step = -(-len(content) // _PIECES)
        for place in range(begin, len(content), step):
            self.wfile.write(content[place : place + step])
            time.sleep(DOWNLOAD_SECONDS / _PIECES)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[SlowArchive]:
    with SlowArchive(content) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class MLflowServer:
    """A real `mlflow server` over the store of a project. Its mark is another one: it is no process of the trial."""

    def __init__(self, project: Path, port: int, log: Path) -> None:
        self.project, self.port, self.log = project, port, log
        self.folder = project / STORE
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it answers.

        Raises:
            UserError: it does not.
        """
        options = [
            f"--backend-store-uri=sqlite:///{self.folder}/mlflow.db",
            f"--artifacts-destination={self.folder}/artifacts",
        ]
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host=127.0.0.1",
            f"--port={self.port}",
            "--workers=1",
            *options,
        ]
        self.process = start(self.folder, command, self.log)
        deadline = time.monotonic() + _SERVER_SECONDS
        while not answers(f"{self.url}/health"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"the MLflow server does not answer at {self.url}; its output: {self.log}")
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to the server and its workers."""
        end_all(self.folder)
        if self.process is not None:
            self.process.wait(30)


@contextlib.contextmanager
def mlflow_server(project: Path, log: Path) -> Iterator[MLflowServer]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = int(unused.getsockname()[1])
    server = MLflowServer(project, port, log)
    change(project, {"tracking": {"uri": server.url}})
    try:
        server.start()
        yield server
    finally:
        server.kill()


def beside(folder: Path, trial: Path) -> contextlib.AbstractContextManager[MLflowServer]:
    """The server of a reference."""
    return mlflow_server(folder, trial / "server.log")


def cut(experiment: Experiment, expected: Reference, trial: Path, number: int, seed: int) -> Loss:
    """One trial: the MLflow server is killed while a training writes to it, and comes back a little later."""
    rng = random.Random(f"{seed} {experiment.name} {number}")
    moment, pause = rng.uniform(0, expected.seconds), rng.uniform(0, 5)
    folder, log = copy(experiment.template(), trial / "project"), trial / "log"
    with mlflow_server(folder, trial / "server.log") as server:
        process = start(folder, experiment.command, log)
        time.sleep(moment)
        server.kill()
        time.sleep(pause)
        server.start()
        said = f"server killed after {moment:.1f} s, away for {pause:.1f} s"
        if status := wait(process, COMMAND_SECONDS, folder):
            return Loss(said, [f"the training ended with exit status {status}"])
        problems = finish(experiment, expected, folder, log)
    return Loss(said, problems)
