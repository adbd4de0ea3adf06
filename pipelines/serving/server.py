"""A server from its first check to its last answer."""

import asyncio
import signal
import socket
from types import FrameType

import torch
import uvicorn

from lit_ae.errors import UserError
from pipelines.serve import Serving
from pipelines.serving.app import Desk, application
from pipelines.serving.figures import Figures
from pipelines.serving.keeper import Keeper
from pipelines.serving.logs import log_as_json, say
from pipelines.serving.row_log import RowLog
from pipelines.terminal import keep_quiet

KEEP_ALIVE = 75  # s that an idle connection stays open; proxies keep theirs for 60 and must not be the last to know


def serve(asked: Serving, key: bytes | None) -> int:
    """Serves until SIGTERM or Ctrl-C, and returns the exit code.

    Raises:
        UserError: the port is taken, there is no such model or device, or the log can't be written.
    """
    keep_quiet()
    listening = bound(asked.host, asked.port)
    with listening:
        check_device(asked.device)
        figures = Figures()
        keeper = Keeper(asked.model, asked.output_dir, asked.device, figures)
        log = RowLog(asked.log, asked.log_rows, asked.log_seconds, figures) if asked.log else None
        desk = Desk(asked, keeper, figures, log)
        log_as_json()
        keeper.watch(asked.poll)
        config = uvicorn.Config(
            application(desk, key), log_config=None, access_log=False, server_header=False,
            timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=int(asked.max_seconds) + 5,
        )  # fmt: skip
        try:
            Server(config, desk).run([listening])
        except OSError as error:
            raise UserError(_taken(asked.host, asked.port, error)) from error
    return 0


class Server(uvicorn.Server):
    """uvicorn's, which is told to stop some time before it takes no more connections, and ends with exit code 0."""

    def __init__(self, config: uvicorn.Config, desk: Desk):
        super().__init__(config)
        self._desk = desk

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = (sockets or self.servers[0].sockets)[0].getsockname()[:2]
        served = self._desk.keeper.current
        say("Serving", address=f"http://{host}:{port}", model=served.name, model_version=served.version,
            detector=str(served.scorer.detector))  # fmt: skip

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """After the first signal /ready says 503 for a while, and what is under way is answered; a second ends it."""
        if self._desk.is_stopping:
            self.should_exit, self.force_exit = True, sig == signal.SIGINT
        else:
            self._desk.is_stopping = True
            asyncio.get_running_loop().call_soon_threadsafe(self._stop_soon, signal.Signals(sig).name)

    def _stop_soon(self, name: str) -> None:
        say("Stopping", signal=name)
        asyncio.get_running_loop().call_later(self._desk.asked.drain, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address; nobody can connect before it listens.

    Raises:
        UserError: somebody else has it, or there is no such address here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind) as probe:
            if port and probe.connect_ex(address) == 0:
                raise UserError(_taken(host, port, None))
        listening = socket.socket(family, kind, protocol)  # asyncio sends at once by TCP, and asks what protocol it is
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        return listening
    except OSError as error:
        raise UserError(_taken(host, port, error)) from error


def _taken(host: str, port: int, error: OSError | None) -> str:
    reason = error.strerror if error else "it is taken"
    return f"{host}:{port} can't be listened on ({reason}): choose another --port or --host."


def check_device(device: str) -> None:
    """Refuses a device that PyTorch can't use here.

    Raises:
        UserError: naming it.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"There is no device {device} here that PyTorch can use: leave --device out for the CPU."
        ) from error
