"""Prefect's REST API, as far as the stack needs it. Without Prefect's own client, which takes three seconds to import."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from pennet.errors import UserError

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ACTIVE = ("PENDING", "RUNNING", "CANCELLING")
_TIMEOUT_SECONDS = 30
_BUSY = 503
"""What the server answers while SQLite is locked by another of its writers, having written nothing."""
_ATTEMPTS = 6


class NotThere(UserError):
    """The server answers, but has nothing of that name."""


class PrefectApi:
    """A server by the address of its API, reached directly, never through a proxy.

    Every method raises `UserError` where the server does not answer or refuses, `NotThere` where it has no such thing.
    """

    def __init__(self, url: str):
        self.url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        return self._send("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._send("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._send("PATCH", path, body)

    def flow_runs(self, *states: str) -> list[dict[str, Any]]:
        """The flow runs in one of these kinds of state, 200 at most."""
        return self.post("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": list(states)}}}, "limit": 200})

    def set_state(self, kind: str, run_id: str, state: str, message: str) -> None:
        """Puts a run of a kind (`flow_runs`, `task_runs`) into a state, whatever state it is in."""
        proposal = {"type": state, "message": message, "state_details": {}}
        self.post(f"{kind}/{run_id}/set_state", {"state": proposal, "force": True})

    def cancel(self, run_id: str, message: str) -> None:
        """Asks the worker of a flow run to end it."""
        proposal = {"type": "CANCELLING", "message": message, "state_details": {}}
        self.post(f"flow_runs/{run_id}/set_state", {"state": proposal, "force": False})

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"}, method=method)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                    answer = response.read()
                break
            except urllib.error.HTTPError as error:
                if error.code == _BUSY and attempt < _ATTEMPTS:
                    time.sleep(attempt)
                    continue
                kind = NotThere if error.code == 404 else UserError
                detail = error.read().decode(errors="replace")[:300]
                raise kind(f"the Prefect server at {self.url} refused {method} {path}: {error.code} {detail}") from error
            except (urllib.error.URLError, OSError) as error:
                raise UserError(f"no Prefect server answers at {self.url} ({error})") from error
        return json.loads(answer) if answer else None
