"""Where studies are kept: a journal file on one machine, PostgreSQL or a gRPC proxy before it for several."""

import fcntl
import logging
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.study import Study
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from lit_ae.errors import UserError

ANSWER_WITHIN = 10.0  # s
PATIENCE = 600.0  # s that a running study waits for a storage that is away
DRIVERS = {"postgresql": "postgresql+pg8000", "postgres": "postgresql+pg8000"}
EXAMPLES = "outputs/studies.journal, postgresql://user:password@host/studies or grpc://host:13000"
T = TypeVar("T")


class KernelLock(JournalFileOpenLock):
    """A lock that a killed process lets go of at once; Optuna's own ones are waited for half a minute."""

    def __init__(self, path: Path):
        super().__init__(str(path))
        self._path = path.with_name(f"{path.name}.lock")
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        file = self._path.open("a")
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL or in a journal file, which has answered.

    Raises:
        UserError: it can't be reached, holds MLflow's tables, is of another version, or is not for several processes.
    """
    warnings.simplefilter("ignore", ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "grpc":
        return _proxy(url)
    if scheme:
        return _database(url)
    return _journal(Path(url))


def is_there(url: str) -> bool:
    """Whether something is kept at a URL already, as far as a file can tell; a server may always have something."""
    return "://" in url or Path(url).exists()


def _journal(path: Path) -> BaseStorage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path), KernelLock(path)))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The storage {path} can't be used ({reason}): give --storage another file.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no journal of studies: give --storage {EXAMPLES}.") from error


def _database(url: str) -> BaseStorage:
    place = without_password(url)
    if url.startswith("sqlite"):
        raise UserError(f"{place}: SQLite is not for several processes: give --storage {EXAMPLES}.")
    try:
        address = make_url(url)
        address = address.set(drivername=DRIVERS.get(address.drivername, address.drivername))
        engine = create_engine(address)
        with engine.connect() as connection:
            tables = set(inspect(connection).get_table_names())
        engine.dispose()
        if "experiments" in tables:
            raise UserError(f"{place} is MLflow's own database: make another one for the studies, and give its URL.")
        return RDBStorage(address.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True})
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise UserError(f"{place} is no URL of a storage that is installed: give --storage {EXAMPLES}.") from error
    except RuntimeError as error:
        raise UserError(_of_another_version(place, error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise UserError(
            f"The storage {place} can't be reached ({_first_line(error)}): start it, or name another."
        ) from error


def _proxy(url: str) -> BaseStorage:
    parts = urlsplit(url)
    try:
        storage = GrpcStorageProxy(host=parts.hostname or "localhost", port=parts.port or 13000)
        storage.wait_server_ready(timeout=ANSWER_WITHIN)
        return storage
    except (ConnectionError, ValueError) as error:
        raise UserError(
            f"The storage {url} does not answer: start it with python -m pipelines.tune --proxy "
            f"{parts.netloc} --storage postgresql://… ."
        ) from error


def _of_another_version(place: str, error: RuntimeError) -> str:
    found = re.search(r"set up by optuna ([\w.]+)", str(error))
    made_by = f"Optuna {found[1]}" if found else "another Optuna"
    if "storage upgrade" in str(error):
        return (
            f"The storage {place} was made by {made_by} and is older than this one, {optuna.__version__}: "
            "`optuna storage upgrade --storage URL` renews it; nothing was changed."
        )
    return f"The storage {place} was made by {made_by}, newer than this one, {optuna.__version__}: update Optuna."


def without_password(url: str) -> str:
    """The URL as it may be shown and kept."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1@", url)


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return (re.sub(r"\s+", " ", text) or type(error).__name__)[:120]


def patiently(call: Callable[[], T], patience: float = PATIENCE) -> T:
    """The call's result; where the storage is away, it is asked again for so many seconds."""
    deadline, pause = time.monotonic() + patience, 0.2
    while True:
        try:
            return call()
        except (UpdateFinishedTrialError, KeyError, ValueError, UserError):
            raise
        except Exception as error:
            if not _is_away(error) or time.monotonic() > deadline:
                raise
            logging.getLogger(__name__).warning("The storage does not answer (%s); trying again", _first_line(error))
            time.sleep(pause)
            pause = min(2 * pause, 10.0)


def _is_away(error: Exception) -> bool:
    """Whether a storage is not there at the moment: Optuna wraps what its database says."""
    import grpc

    causes = (error, error.__cause__, error.__context__)
    return any(isinstance(cause, SQLAlchemyError | OSError | grpc.RpcError) for cause in causes)


def find_study(name: str, storage: BaseStorage) -> Study | None:
    """The study of that name, or None."""
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None


def refuse_the_tracking_store(storage: str, tracking: str) -> None:
    """Refuses to keep studies where MLflow keeps its runs: both have a table ``alembic_version``.

    Raises:
        UserError: it is the same database.
    """
    if "://" not in storage or "://" not in tracking or tracking.startswith("http"):
        return
    parts = [urlsplit(url) for url in (storage, tracking)]
    one, other = [(p.scheme.partition("+")[0], p.hostname, p.port, p.path) for p in parts]
    if one == other:
        raise UserError(
            f"{without_password(storage)} is MLflow's own database: make another one for the studies, and give its URL."
        )
