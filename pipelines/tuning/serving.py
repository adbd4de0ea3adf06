"""Optuna Dashboard, and the gRPC proxy that stands before a database."""

import optuna
from optuna_dashboard import run_server

from lit_ae.errors import UserError
from pipelines.tuning.command import Asked
from pipelines.tuning.storage import open_storage

PORT = 8080


def serve(asked: Asked) -> int:
    """Serves the storage until Ctrl-C.

    Raises:
        UserError: the storage does not answer, or the address makes no sense.
    """
    storage = open_storage(asked.running.storage)
    host, _, number = asked.argument.rpartition(":")
    try:
        if asked.action == "proxy":
            serve_proxy(storage, host or "localhost", int(number), asked.running.storage)
        else:
            port = int(number) if number.isdecimal() else PORT
            print(f"Optuna Dashboard on http://{host or 'localhost'}:{port} (Ctrl-C ends it)", flush=True)
            run_server(storage, host=host or "localhost", port=port)
    except ValueError as error:
        raise UserError(f"--{asked.action} takes host:port, not '{asked.argument}'.") from error
    except (OSError, RuntimeError) as error:
        raise UserError(f"{asked.argument or PORT} can't be served ({error}): choose another port.") from error
    except KeyboardInterrupt:
        return 0
    return 0


def serve_proxy(storage: optuna.storages.BaseStorage, host: str, port: int, url: str) -> None:
    """Serves a database by gRPC.

    Raises:
        UserError: the storage is a journal file, whose trials Optuna's proxy does not tell apart.
    """
    if isinstance(storage, optuna.storages.JournalStorage):
        raise UserError(f"The proxy stands before a database, and {url} is a file: give --storage postgresql://… .")
    print(f"Serving the studies on grpc://{host}:{port} (Ctrl-C ends it)", flush=True)
    optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(storage), host=host, port=port)
