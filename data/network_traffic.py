"""Network flows, normal and of attacks."""

from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from data.files import fetch, missing_files, read_checked
from data.flows import CATEGORICAL, FEATURES, flows
from data.intake import NORMAL, Meaning, Pieces
from data.readers import TableReader
from data.table_data import TableData
from lit_ae.errors import UserError

Source = Literal["synthetic", "KDDTest+", "KDDTest-21"]
MIRRORS = ("https://raw.githubusercontent.com/defcom17/NSL_KDD/master/",)
TRAINING = "KDDTrain+.txt"
FILES = {
    TRAINING: "1b86d2f957b33082081bba410fe129b475efebcc13c9014c3f447c8271aadf95",
    "KDDTest+.txt": "fa46b0935342616aa83b7c2578db355b6a7aaabbc492248172c7a1e8b7ab8f84",
    "KDDTest-21.txt": "746993ac9e25868827cacf09eab450050a2a1056e1ce48a1ad39f5dc801d531d",
}
ATTACKS = {
    "DoS": "back land neptune pod smurf teardrop apache2 mailbomb processtable udpstorm",
    "Probe": "ipsweep nmap portsweep satan mscan saint",
    "R2L": (
        "ftp_write guess_passwd imap multihop phf spy warezclient warezmaster named sendmail snmpgetattack snmpguess "
        "worm xlock xsnoop"
    ),
    "U2R": "buffer_overflow httptunnel loadmodule perl rootkit ps sqlattack xterm",
}
FAMILY_OF = {attack: family for family, attacks in ATTACKS.items() for attack in attacks.split()}
SYNTHETIC_ROWS = 12_000


class NetworkTraffic(TableData):
    """NSL-KDD: flows with 41 features, trained on normal ones and tested on four families of attacks.

    By default the flows are made up (12,000, labelled synthetic); the real files are read in ``<root>/NSL-KDD``, where
    what is missing is downloaded to. The training file's normal flows are split by their content into fit, tune and
    calibrate; those that the test file holds too are left out, and so are the training file's attacks.
    Source: M. Tavallaee, E. Bagheri, W. Lu, A. Ghorbani, A Detailed Analysis of the KDD CUP 99 Data Set, 2009; in
    the attacks' families httptunnel is of U2R and worm of R2L (KDDTest+: 7,458 DoS, 2,421 Probe, 2,754 R2L, 200 U2R).

    Args:
        source: ``synthetic``, or the file to test on: ``KDDTest+`` (22,544 flows, 56.9 % attacks) or ``KDDTest-21``
            (11,850, 81.8 %: those that are hard to tell).
        log: put numbers on the scale sign(v)·log(1 + |v|) before they are standardised.
        **loading: what every table takes, see :class:`data.table_data.TableData`.

    Raises:
        UserError: if a value makes no sense.
    """

    meaning = Meaning(FEATURES, kind=lambda frame: frame["kind"], kinds=(NORMAL, *ATTACKS))
    categorical = CATEGORICAL

    def __init__(self, source: Source = "synthetic", log: bool = True, **loading: Any):
        super().__init__(log=log, **loading)
        if source not in get_args(Source):
            raise UserError(f"data.source is {source!r}, but it must be one of {', '.join(get_args(Source))}.")
        self.source, self.synthetic = source, source == "synthetic"

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / "NSL-KDD"

    def prepare_data(self) -> None:
        """Downloads the files that are missing.

        Raises:
            UserError: if a file is missing and cannot be had.
        """
        fetch(self._missing(), self.folder, MIRRORS)

    def _missing(self) -> dict[str, str]:
        wanted = {} if self.synthetic else {name: FILES[name] for name in (TRAINING, f"{self.source}.txt")}
        return {name: sha256 for name, sha256 in wanted.items() if not (self.folder / name).exists()}

    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint(), "source": self.source, "files": FILES, "rows": SYNTHETIC_ROWS}

    def pieces(self) -> Pieces:
        return self._held(flows(SYNTHETIC_ROWS) if self.synthetic else self._read(TRAINING))

    def test_pieces(self) -> Pieces | None:
        return None if self.synthetic else self._held(self._read(f"{self.source}.txt"))

    def _held(self, frame: pd.DataFrame) -> Pieces:
        return lambda: [frame]

    def _read(self, name: str) -> pd.DataFrame:
        if missing := self._missing():
            raise missing_files(missing, self.folder, "prepare_data() has not downloaded it yet")
        read_checked(self.folder / name, FILES[name])
        columns = [*FEATURES, "attack", "difficulty"]
        frame = pd.concat(TableReader(self.folder / name, columns, as_text=frozenset(CATEGORICAL)).pieces())
        return frame.assign(kind=frame["attack"].map({NORMAL: NORMAL, **FAMILY_OF}))
