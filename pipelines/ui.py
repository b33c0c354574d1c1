"""MLflow's pages over the store of `params.yaml`: `make ui`."""

from __future__ import annotations

import argparse
import os
import sys

from pennet.errors import UserError
from pipelines.loopback import check_port_is_free
from pipelines.params import load_params
from pipelines.stack.mlflow_server import artifacts_folder, server_command
from pipelines.tracking.store import check_sqlite


def main() -> None:
    """Becomes MLflow's server, once it is sure that it can run."""
    parser = argparse.ArgumentParser(description="MLflow's pages over the store of params.yaml, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=5000, help="of the pages")
    port = parser.parse_args().port
    try:
        uri = load_params().tracking.uri
        if uri.startswith("http"):
            raise UserError(f"the runs are on a server that has its own pages: {uri}")
        check_port_is_free(port, "MLFLOW_PORT")
        check_sqlite(uri)  # makes the store where there is none
    except (UserError, OSError) as error:
        sys.exit(f"ui: {error}")
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri
    os.execv(sys.executable, server_command(artifacts_folder(uri), port, workers=1))


if __name__ == "__main__":
    main()
