"""Servers on this machine: reached directly, never through a proxy, and on ports that nobody else holds."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request

from pennet.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def without_proxy() -> dict[str, str]:
    """`NO_PROXY` and `no_proxy` as the user has set them, with this machine added."""
    named = [name.strip() for key in ("no_proxy", "NO_PROXY") for name in os.environ.get(key, "").split(",")]
    names = [name for name in dict.fromkeys([*named, *LOOPBACK]) if name]
    value = "*" if "*" in names else ",".join(names)
    return {"NO_PROXY": value, "no_proxy": value}


def answers(url: str, timeout_seconds: float = 5) -> bool:
    """Whether a server of this machine answers with success."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=timeout_seconds):
            return True
    except (urllib.error.URLError, OSError):
        return False


def check_port_is_free(port: int, variable: str) -> None:
    """Finds a port that is taken before a server is started on it.

    Args:
        port: on 127.0.0.1.
        variable: the variable of `make` that sets it, for the message.

    Raises:
        UserError: another program listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a server that has just ended left is no hindrance
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise UserError(f"port {port} is taken ({error}); choose another: {variable}={port + 1}") from error
