"""One part of the stack: a process with its log, its health and, when it is killed, its successor."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pennet.errors import UserError
from pipelines.loopback import answers
from pipelines.process import child

START_SECONDS = 180
MIN_LIFE_SECONDS = 30
"""A part that ends sooner would end again: it is not started anew."""
_POLL_SECONDS = 0.25
_LAST_LINES = 15


@dataclass
class Part:
    """A process of the stack.

    Attributes:
        name: for people and for the name of its log.
        command: program and arguments.
        log: file that takes what it prints.
        variables: more of its environment.
        port: that it listens on; None if it does not.
        health: address that answers when it is ready.
    """

    name: str
    command: list[str]
    log: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    health: str | None = None
    process: subprocess.Popen[str] | None = None
    since: float = 0.0
    _leaving: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            context = child(self.command, stdout=log.fileno(), variables=self.variables)
            self.process = self._leaving.enter_context(context)
        self.since = time.monotonic()

    def stop(self) -> None:
        """Ends it and all that it started, if it runs."""
        self._leaving.close()
        self.process = None

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def wait_until_healthy(self) -> None:
        """Waits until it answers.

        Raises:
            UserError: it ended, or took too long; with its last lines.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.ended:
                raise UserError(self.last_words())
            if self.is_healthy():
                return
            time.sleep(_POLL_SECONDS)
        raise UserError(f"{self.name} did not answer at {self.health} within {START_SECONDS} s; its log: {self.log}")

    def is_healthy(self) -> bool:
        """Whether it runs and answers itself: a stranger on its port would answer too."""
        if self.process is None or self.ended:
            return False
        if self.port is None or self.health is None:
            return True
        return listens(self.process.pid, self.port) and answers(self.health)

    def last_words(self) -> str:
        """That it ended, how, and the end of its log."""
        status = self.process.returncode if self.process is not None else None
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if self.log.exists() else []
        return "\n".join([f"{self.name} ended with status {status}; the end of its log, {self.log}:", *lines])


def keep_old_log(log: Path) -> None:
    """The log of the start before stays as NAME.log.old."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.old"))


def listens(pid: int, port: int) -> bool:
    """Whether a process or one of its children is the one that listens on a port."""
    try:
        process = psutil.Process(pid)
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for member in (process, *process.children(recursive=True))
            for connection in member.net_connections("tcp")
        )
    except psutil.Error:  # a member has just ended
        return False


PREFECT = [sys.executable, "-m", "prefect"]
