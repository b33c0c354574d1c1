"""MLflow's pages over the store of `params.yaml`: `make ui`."""

from __future__ import annotations

import argparse
import os
import sys

from pennet.errors import UserError
from pipelines.loopback import check_port_is_free
from pipelines.params import load_params
from pipelines.tracking.store import check_sqlite


def main() -> None:
    """Becomes `mlflow ui`, once it is sure that it can run."""
    parser = argparse.ArgumentParser(description="MLflow's pages over the store of params.yaml, until Ctrl-C.")
    parser.add_argument("--port", type=int, default=5000, help="of the pages")
    port = parser.parse_args().port
    try:
        uri = load_params().tracking.uri
        if uri.startswith("http"):
            raise UserError(f"the runs are on a server that has its own pages: {uri}")
        check_sqlite(uri)
        check_port_is_free(port, "MLFLOW_PORT")
    except (UserError, OSError) as error:
        sys.exit(f"ui: {error}")
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--port", str(port)])


if __name__ == "__main__":
    main()
