"""Logs as JSON lines."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LOG = logging.getLogger("lit_ae.serve")
LOUD = ("mlflow", "alembic", "urllib3", "uvicorn", "lightning")  # what they say below a warning is not kept


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, event, and the facts that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_as_json() -> None:
    """Sends the logs of this process to standard output, a JSON line each."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.captureWarnings(True)
    for name in LOUD:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)


def say(event: str, level: int = logging.INFO, *, error: BaseException | None = None, **facts: Any) -> None:
    """Logs an event with its facts."""
    LOG.log(level, event, extra={"facts": facts}, exc_info=error)
