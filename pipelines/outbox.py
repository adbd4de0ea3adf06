"""What a run logs, kept on local disk until the tracking server has it.

The outbox is an append-only file of JSON lines. One background thread sends them in order and notes how far it got, so
a server that is away costs nothing but time, and what a killed process left behind is still there to be sent.
"""

import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lit_ae.errors import UserError

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0  # s between two tries while training goes on
ATTEMPTS = 3  # before a record that alone fails lets the others pass
LINGER = 2.0  # s that records are gathered before they are sent together
METRICS_PER_REQUEST = 1000
REFUSALS_SHOWN = 10
UPLOADS = {"file", "image", "model"}


class Record(NamedTuple):
    """One line of the outbox: its place in the file, in bytes, and what it says."""

    start: int
    end: int
    content: dict[str, Any]


class Recipient(Protocol):
    """Where records go."""

    def deliver(self, records: list[Record]) -> list[str]:
        """Send the records; says, a line each, what was refused for good. Any error means: not yet, try again."""

    def check_run(self) -> None:
        """Raises where the server doesn't answer, or no longer knows the run."""


class Outbox:
    """The records of one run on disk, and how far they have been sent.

    Args:
        directory: the run's own directory; it exists.
    """

    def __init__(self, directory: Path):
        self.path = directory / "outbox.jsonl"
        self._sent_path = directory / "outbox.sent"
        self._append_lock = threading.Lock()
        self.path.touch()
        state = json.loads(self._sent_path.read_text()) if self._sent_path.exists() else {}
        self.offset: int = state.get("offset", 0)
        self.postponed: list[int] = state.get("postponed", [])
        self._torn = not self._ends_with_newline()

    def append(self, kind: str, **content: Any) -> None:
        """Write one record, stamped with the time in ms. It is safe from a killed process once this returns."""
        record = {"kind": kind, "time": time.time_ns() // 1_000_000, **content}
        line = json.dumps(record).encode() + b"\n"
        with self._append_lock, self.path.open("ab", buffering=0) as file:
            line = b"\n" + line if self._torn else line
            written = file.write(line)
            self._torn = written < len(line)
        if self._torn:
            raise OSError(f"the disk that holds {self.path} is full")

    def records(self, start: int = 0) -> Iterator[Record]:
        """The whole records from byte ``start`` on; a torn line is passed over."""
        with self.path.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                if (content := _parsed(line)) is not None:
                    yield Record(start, start + len(line), content)
                start += len(line)

    def next_batch(self) -> list[Record]:
        """The records to send next: one, or neighbouring metrics together; the postponed ones come last."""
        batch: list[Record] = []
        values = 0
        for record in self.records(self.offset):
            values += len(record.content.get("values", ()))
            alike = all(r.content["kind"] == "metrics" for r in (record, *batch[:1]))
            if batch and (not alike or values > METRICS_PER_REQUEST):
                break
            batch.append(record)
        return batch

    def next_postponed(self) -> list[Record]:
        """The record that was set aside first, or nothing."""
        return [next(self.records(start)) for start in self.postponed[:1]]

    def mark_sent(self, batch: list[Record]) -> None:
        """Note on disk that these records need no more sending."""
        if batch[0].start in self.postponed:
            self.postponed.remove(batch[0].start)
        else:
            self.offset = batch[-1].end
        self._save()

    def postpone(self, batch: list[Record]) -> None:
        """Let the others pass; a record that was postponed already goes to the end of that queue."""
        self.postponed = [start for start in self.postponed if start != batch[0].start]
        self.postponed += [record.start for record in batch]
        self.offset = max(self.offset, batch[-1].end)
        self._save()

    def waiting(self) -> int:
        """Records that still have to be sent."""
        return sum(1 for _ in self.records(self.offset)) + len(self.postponed)

    @property
    def is_empty(self) -> bool:
        """Whether all that was written has been sent."""
        return not self.postponed and next(self.records(self.offset), None) is None

    def is_closed(self) -> bool:
        """Whether the last status that was written is a final one."""
        statuses = [r.content["status"] for r in self.records() if r.content["kind"] == "status"]
        return bool(statuses) and statuses[-1] != "RUNNING"

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: at worst something is sent twice, which MLflow sees through
            write_atomically(self._sent_path, {"offset": self.offset, "postponed": self.postponed})

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Replace a small JSON file so that a reader, or a crash, sees the old or the new one."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "kind" in content else None


class Sender:
    """The thread that empties an outbox. It alone talks to the server, and never stops the training.

    Args:
        outbox: what to send.
        recipient: where to.
        address: the server's name in messages.

    Raises:
        UserError: another living process sends the same outbox.
    """

    def __init__(self, outbox: Outbox, recipient: Recipient, address: str):
        self.outbox, self.recipient, self.address = outbox, recipient, address
        self._lock = outbox.path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            run = outbox.path.parent.name
            raise UserError(f"Run {run} is being written by another process: wait until it ends, or stop it.") from None
        self.lost = False
        self._uploading = False
        self._attempts = self._refusals = 0
        self._progress = time.monotonic()
        self._retry_postponed_at = 0.0
        self._wake, self._hurry, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def flush(self, patience: float) -> bool:
        """Wait until all is sent; give up after ``patience`` seconds in which nothing went through."""
        self._progress, self._attempts = time.monotonic(), 0
        self._hurry.set()
        self._wake.set()
        while not self.outbox.is_empty and self._thread.is_alive():
            sends_a_file = self._uploading and not self.lost
            if time.monotonic() - self._progress > patience and not sends_a_file:
                break
            time.sleep(0.02)
        self._hurry.clear()
        return self.outbox.is_empty

    def close(self) -> None:
        """Stop the thread after what it is doing now."""
        self._stop.set()
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout=1.0)
        if not self._thread.is_alive():
            self._lock.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            batch = self._next()
            if batch:
                self._send(batch)
            else:
                self._wake.wait(timeout=1.0)
                self._wake.clear()
                self._hurry.wait(LINGER)

    def _next(self) -> list[Record]:
        batch = self.outbox.next_batch()
        if not batch and (self._hurry.is_set() or time.monotonic() >= self._retry_postponed_at):
            batch = self.outbox.next_postponed()
        return batch

    def _send(self, batch: list[Record]) -> None:
        self._uploading = batch[0].content["kind"] in UPLOADS
        try:
            refused = self.recipient.deliver(batch)
        except Exception as error:
            self._failed(batch, error)
        else:
            self._succeeded(batch, refused)
        finally:
            self._uploading = False

    def _succeeded(self, batch: list[Record], refused: list[str]) -> None:
        self.outbox.mark_sent(batch)
        self._attempts, self._progress = 0, time.monotonic()
        for line in refused:
            self._refusals += 1
            if self._refusals <= REFUSALS_SHOWN:
                logger.warning("MLflow refused %s", line)
        if self.lost:
            self.lost = False
            logger.warning("%s answers again; sending the records that wait", self.address)

    def _failed(self, batch: list[Record], error: Exception) -> None:
        self._attempts += 1
        if not self._server_is_well():
            self._say_lost()
        elif self._attempts >= ATTEMPTS:
            self._postpone(batch, error)
        pause = min(0.25 * 2 ** min(self._attempts, 10), LONGEST_PAUSE)
        if self._hurry.is_set():
            self._stop.wait(min(pause, 1.0))
        else:
            self._hurry.wait(pause)

    def _server_is_well(self) -> bool:
        try:
            self.recipient.check_run()
        except Exception:
            return False
        return True

    def _say_lost(self) -> None:
        known, self.lost = self.lost, True
        if not known and not self._hurry.is_set():  # whoever flushes says it in words of their own
            message = "%s does not answer; training goes on, %d records wait in %s"
            logger.warning(message, self.address, self.outbox.waiting(), self.outbox.path)

    def _postpone(self, batch: list[Record], error: Exception) -> None:
        if batch[0].start not in self.outbox.postponed:
            message = "%s could not take one record (%s); it is tried again later: %s"
            logger.warning(message, self.address, batch[0].content["kind"], error)
        self.outbox.postpone(batch)
        self._attempts, self._retry_postponed_at = 0, time.monotonic() + LONGEST_PAUSE
