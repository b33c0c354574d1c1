"""PostgreSQL for both servers by one variable, `DATABASE_URL`; each keeps its tables in a schema of its own."""

from __future__ import annotations

from typing import Any

from pennet.errors import UserError

MLFLOW_SCHEMA = "mlflow"
PREFECT_SCHEMA = "prefect"
_CONNECT_SECONDS = 10


def mlflow_variables(url: str) -> dict[str, str]:
    """What MLflow's server needs to keep its runs there: in the environment, where no list of processes shows a password.

    Raises:
        UserError: not the address of a PostgreSQL database.
    """
    parsed = _parsed(url)
    query = {**parsed.query, "options": f"-csearch_path={MLFLOW_SCHEMA}"}
    address = parsed.set(drivername="postgresql+psycopg2", query=query)
    return {"MLFLOW_BACKEND_STORE_URI": address.render_as_string(hide_password=False)}


def prefect_variables(url: str) -> dict[str, str]:
    """What Prefect's server needs to keep its runs there.

    Raises:
        UserError: not the address of a PostgreSQL database.
    """
    parsed = _parsed(url)
    query = {("ssl" if key == "sslmode" else key): value for key, value in parsed.query.items()}  # asyncpg's name for it
    address = parsed.set(drivername="postgresql+asyncpg", query=query)
    return {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": address.render_as_string(hide_password=False),
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_SEARCH_PATH": f"{PREFECT_SCHEMA},public",
    }


def prepare_database(url: str) -> None:
    """Makes the two schemas, if they are not there.

    Raises:
        UserError: nothing answers there, or the user may not make a schema; without the password.
    """
    try:
        import psycopg2
    except ImportError as error:
        raise UserError("DATABASE_URL needs psycopg2: pip install -c constraints.txt '.[ops,scale]'") from error
    parsed = _parsed(url)
    shown = parsed.render_as_string(hide_password=True)
    address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg2.connect(address, connect_timeout=_CONNECT_SECONDS)
        try:
            with connection, connection.cursor() as cursor:
                for schema in (MLFLOW_SCHEMA, PREFECT_SCHEMA):
                    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        finally:
            connection.close()
    except psycopg2.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"DATABASE_URL {shown} cannot be used: {reason}") from error


def _parsed(url: str) -> Any:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UserError("DATABASE_URL is no address; it is postgresql://USER:PASSWORD@HOST:PORT/NAME") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres") or not parsed.database:
        shown = parsed.render_as_string(hide_password=True)
        raise UserError(f"DATABASE_URL is {shown}; it must be postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return parsed
