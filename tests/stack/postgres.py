"""A PostgreSQL server of this machine's own package, on loopback, in a folder that is thrown away."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack.stack import free_port

USER, PASSWORD = "pennet", "p@ss w%rd/:"
"""A password that has to be quoted in an address."""


def programs() -> Path:
    """The folder of `initdb` and `pg_ctl`; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    return found[-1].parent if found else Path(str(on_path)).parent


@contextmanager
def postgres() -> Iterator[str]:
    """Gives its address; the server is gone afterwards. It refuses to run as root, so root starts it as `nobody`."""
    bin_folder = programs()
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to other users
    data, port = folder / "data", free_port()
    (folder / "password").write_text(PASSWORD + "\n")
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)

    def program(name: str, *arguments: str) -> None:
        command = [str(bin_folder / name), *arguments]
        result = subprocess.run(
            command,
            user=user,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        log = folder / "log"
        assert result.returncode == 0, result.stdout + (log.read_text() if log.exists() else "")

    try:
        quick = ["--no-sync", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={folder / 'password'}"]
        program("initdb", "--pgdata", str(data), "--encoding=UTF8", "--locale=C", *quick)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        program("pg_ctl", "--pgdata", str(data), "--log", str(folder / "log"), "--wait", "-o", options, "start")
        try:
            yield f"postgresql://{USER}:p%40ss%20w%25rd%2F%3A@127.0.0.1:{port}/postgres"
        finally:
            program("pg_ctl", "--pgdata", str(data), "--wait", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
