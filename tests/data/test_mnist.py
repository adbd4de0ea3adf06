"""Reading the canonical files, and fetching them."""

import gzip
import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from data import mnist
from data.base import Role
from data.mnist import MNIST, parse_idx
from lit_ae.errors import UserError

FIT_FILE_ROWS, TEST_ROWS = 20, 6
REAL = Path(os.environ.get("LIT_AE_DATA", "~/.cache/lit_ae")).expanduser() / "MNIST" / "raw"


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four small files in place of the real ones, by the name of the unpacked file."""
    random = np.random.default_rng(0)
    files = {}
    for part, rows in (("train", FIT_FILE_ROWS), ("t10k", TEST_ROWS)):
        files[f"{part}-images-idx3-ubyte"] = idx(random.integers(0, 256, (rows, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(rows) % 10)
    unpacked = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    packed = {f"{name}.gz": hashlib.sha256(pack(raw)).hexdigest() for name, raw in files.items()}
    monkeypatch.setattr(mnist, "UNPACKED", unpacked)
    monkeypatch.setattr(mnist, "PACKED", packed)
    monkeypatch.setattr(mnist, "MIRRORS", ())
    return files


def pack(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)


def write(folder: Path, content: dict[str, bytes], packed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in content.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(pack(raw) if packed else raw)


@pytest.mark.parametrize("packed", [True, False])
def test_files_are_read_packed_or_unpacked(tmp_path: Path, content: dict[str, bytes], packed: bool) -> None:
    data = MNIST(root=str(tmp_path), tune_rows=5)
    write(data.folder, content, packed)
    data.prepare_data()
    data.setup()
    assert data.split_sizes == {"fit": 15, "tune": 5, "test": 6}
    raw = np.frombuffer(content["train-images-idx3-ubyte"], np.uint8, offset=16).reshape(-1, 1, 28, 28)
    assert np.array_equal(data.rows["fit"].raw.numpy(), raw[:15])
    assert np.array_equal(data.rows["tune"].raw.numpy(), raw[15:])
    assert data.split("tune").x.numpy() == pytest.approx(raw[15:] / 255)
    y = data.split("tune").y
    assert y is not None
    assert y.tolist() == [5, 6, 7, 8, 9]


def test_a_mixture_of_packed_and_unpacked_files_is_enough(tmp_path: Path, content: dict[str, bytes]) -> None:
    data = MNIST(root=str(tmp_path), tune_rows=5)
    write(data.folder, {name: raw for name, raw in content.items() if "images" in name}, packed=True)
    write(data.folder, {name: raw for name, raw in content.items() if "labels" in name}, packed=False)
    data.prepare_data()
    assert len(data.split("test")) == TEST_ROWS


def test_a_folder_that_has_the_files_need_not_be_writable(tmp_path: Path, content: dict[str, bytes]) -> None:
    data = MNIST(root=str(tmp_path), tune_rows=5)
    write(data.folder, content)
    data.folder.chmod(0o555)
    before = data.folder.stat().st_mtime_ns
    data.prepare_data()
    data.setup()
    assert data.folder.stat().st_mtime_ns == before
    data.folder.chmod(0o755)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-7], lambda raw: raw[:-1] + b"?", lambda raw: b""])
@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_file_is_named_with_both_checksums(
    tmp_path: Path, content: dict[str, bytes], damage: Callable[[bytes], bytes], packed: bool
) -> None:
    data = MNIST(root=str(tmp_path), tune_rows=5)
    write(data.folder, content, packed)
    path = data.folder / ("t10k-labels-idx1-ubyte" + (".gz" if packed else ""))
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(damage(path.read_bytes()))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UserError) as error:
        data.setup()
    message = str(error.value)
    assert message.startswith(f"{path} is damaged")
    assert f"{found} instead of {expected}" in message
    assert "delete it" in message


def test_files_that_were_never_fetched_are_named(tmp_path: Path, content: dict[str, bytes]) -> None:
    data = MNIST(root=str(tmp_path))
    write(data.folder, {name: raw for name, raw in content.items() if "images" in name})
    with pytest.raises(UserError, match=r"lacks train-labels-idx1-ubyte\.gz, t10k-labels-idx1-ubyte\.gz, and prepare_"):
        data.setup()


@pytest.mark.parametrize(("tune_rows", "allowed"), [(1, "2 or more"), (19, "18 or less"), (500, "18 or less")])
def test_tune_rows_must_leave_rows_to_train_on(
    tmp_path: Path, content: dict[str, bytes], tune_rows: int, allowed: str
) -> None:
    with pytest.raises(UserError, match=rf"^data\.tune_rows is {tune_rows}, but it must be {allowed}"):
        read(MNIST(root=str(tmp_path), tune_rows=tune_rows), content)


def read(data: MNIST, content: dict[str, bytes]) -> None:
    write(data.folder, content)
    data.setup()


@pytest.mark.parametrize("dimensions", [1, 3])
def test_idx_gives_back_what_was_written(dimensions: int) -> None:
    array = np.arange(24).reshape((2, 3, 4) if dimensions == 3 else (24,))
    parsed = parse_idx(idx(array), "name", dimensions)
    assert parsed.dtype == torch.uint8
    assert parsed.tolist() == array.tolist()


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        GOOD[:3],
        GOOD[:9],
        GOOD[:-1],
        GOOD + b"\0",
        b"\1" + GOOD[1:],
        GOOD[:2] + b"\x0d" + GOOD[3:],
        idx(np.arange(9)),
    ],
)
def test_idx_with_another_magic_or_size_is_refused(bad: bytes) -> None:
    with pytest.raises(UserError, match="some-file is no IDX file"):
        parse_idx(bad, "some-file", dimensions=3)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and keeps a list of what was asked for."""

    def __init__(self, *args: object, asked: list[str], **kwargs: object) -> None:
        self.asked = asked
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(self.path.rpartition("/")[2])
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


class HangsUp(Quiet):
    """Promises a whole file and sends half of it."""

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])


@contextmanager
def serving(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[tuple[str, list[str]]]:
    """A local server: its address, and the list of what it was asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder), asked=asked))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(tmp_path: Path, content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the four packed files, for a server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write(tmp_path / "site", content)
    return tmp_path / "site"


@pytest.fixture
def data(tmp_path: Path) -> MNIST:
    return MNIST(root=str(tmp_path / "root"), tune_rows=5)


def use(monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", mirrors)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_files_are_downloaded_once(data: MNIST, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(site) as (address, asked):
        use(monkeypatch, address)
        data.prepare_data()
        data.prepare_data()
    assert asked == list(mnist.PACKED)
    assert names(data.folder) == names(site)
    assert len(data.split("fit")) == 15


def test_only_what_is_missing_is_downloaded(
    data: MNIST, site: Path, content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(data.folder, {name: raw for name, raw in content.items() if "images" in name}, packed=False)
    with serving(site) as (address, asked):
        use(monkeypatch, address)
        data.prepare_data()
    assert asked == [name for name in mnist.PACKED if "labels" in name]
    assert len(data.split("test")) == TEST_ROWS


@pytest.mark.parametrize("defect", ["wrong content", "hangs up", "not there", "no server"])
def test_the_next_mirror_is_tried(
    data: MNIST, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    with ExitStack() as servers:
        bad, _ = servers.enter_context(serving(defective(defect, site, tmp_path), handler(defect)))
        good, asked = servers.enter_context(serving(site))
        use(monkeypatch, "http://127.0.0.1:9/" if defect == "no server" else bad, good)
        data.prepare_data()
    assert asked == list(mnist.PACKED)
    assert names(data.folder) == names(site)
    assert len(data.split("tune")) == 5


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        ("wrong content", "its SHA-256 is [0-9a-f]{64} instead of [0-9a-f]{64}"),
        ("hangs up", "its SHA-256 is|IncompleteRead"),
        ("not there", "HTTP Error 404"),
        ("no server", "Connection refused"),
    ],
)
def test_when_every_mirror_fails_nothing_is_left_behind(
    data: MNIST, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: str, reason: str
) -> None:
    with serving(defective(defect, site, tmp_path), handler(defect)) as (address, _):
        use(monkeypatch, "http://127.0.0.1:9/" if defect == "no server" else address)
        with pytest.raises(UserError, match=rf"could not be downloaded \(127\.0\.0\.1:\d+: .*({reason})") as error:
            data.prepare_data()
    message = str(error.value)
    assert message.startswith(f"{data.folder} lacks {', '.join(mnist.PACKED)}, and {next(iter(mnist.PACKED))} could")
    assert "--data.root" in message
    assert "LIT_AE_DATA" in message
    assert "\n" not in message
    assert names(data.folder) == []


def test_what_was_downloaded_before_a_failure_stays(data: MNIST, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "t10k-labels-idx1-ubyte.gz").unlink()
    with serving(site) as (address, _):
        use(monkeypatch, address)
        with pytest.raises(UserError, match=r"lacks t10k-labels-idx1-ubyte\.gz, and t10k-labels-idx1-ubyte\.gz could"):
            data.prepare_data()
    assert names(data.folder) == names(site)


def test_a_root_that_cannot_be_written_to_is_named(tmp_path: Path, content: dict[str, bytes]) -> None:
    (tmp_path / "file").write_text("in the way")
    data = MNIST(root=str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"file/MNIST/raw lacks train-images.* nothing can be written there"):
        data.prepare_data()


def defective(defect: str, site: Path, tmp_path: Path) -> Path:
    """The folder of a server with this defect."""
    if defect == "hangs up":
        return site
    folder = tmp_path / "defective"
    folder.mkdir()
    if defect == "wrong content":
        for name in names(site):
            (folder / name).write_bytes(b"<html>Sign in to this network</html>")
    return folder


def handler(defect: str) -> type[Quiet]:
    return HangsUp if defect == "hangs up" else Quiet


@pytest.mark.skipif(not list(REAL.glob("train-images*")), reason="the real files are not here")
def test_the_real_files() -> None:
    data = MNIST(root=str(REAL.parent.parent))
    data.setup()
    assert data.split_sizes == {"fit": 55000, "tune": 5000, "test": 10000}
    assert data.digest == "764ee889997e66a3da45509193a89ae35b0e3caa53055032e06771a1a77a9711"
    roles: tuple[Role, ...] = ("fit", "tune", "test")
    fit, tune, test = (data.split(role).y for role in roles)
    assert fit is not None
    assert tune is not None
    assert test is not None
    assert fit[:5].tolist() == [5, 0, 4, 1, 9]
    assert tune[-5:].tolist() == [8, 3, 5, 6, 8]
    assert test[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.split("fit").x.mean().item() == pytest.approx(0.1307, abs=2e-4)
