"""Made-up network flows, in the columns of NSL-KDD: for a first look without a download."""

import numpy as np
import pandas as pd
from numpy.random import Generator

FEATURES = (
    *("duration", "protocol_type", "service", "flag", "src_bytes", "dst_bytes", "land", "wrong_fragment", "urgent"),
    *("hot", "num_failed_logins", "logged_in", "num_compromised", "root_shell", "su_attempted", "num_root"),
    *("num_file_creations", "num_shells", "num_access_files", "num_outbound_cmds", "is_host_login"),
    *("is_guest_login", "count", "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate", "srv_rerror_rate"),
    *("same_srv_rate", "diff_srv_rate", "srv_diff_host_rate", "dst_host_count", "dst_host_srv_count"),
    *("dst_host_same_srv_rate", "dst_host_diff_srv_rate", "dst_host_same_src_port_rate"),
    *("dst_host_srv_diff_host_rate", "dst_host_serror_rate", "dst_host_srv_serror_rate", "dst_host_rerror_rate"),
    "dst_host_srv_rerror_rate",
)
CATEGORICAL = ("protocol_type", "service", "flag")
KINDS = {"normal": 0.8, "DoS": 0.12, "Probe": 0.05, "R2L": 0.025, "U2R": 0.005}
SERVICES = {"http": "tcp", "smtp": "tcp", "ftp_data": "tcp", "domain_u": "udp", "ecr_i": "icmp"}


def flows(rows: int, seed: int = 0) -> pd.DataFrame:
    """Flows with the 41 features of NSL-KDD and the column ``kind``: normal, DoS, Probe, R2L or U2R.

    Not made to resemble any real network: rates and sizes follow the service, a DoS flow floods, a Probe flow meets
    refused connections on many services, R2L fails to log in, and U2R gets a root shell.

    Args:
        rows: how many.
        seed: another one gives other flows.
    """
    rng = np.random.default_rng(seed)
    service = rng.choice(list(SERVICES), rows, p=[0.55, 0.15, 0.1, 0.17, 0.03])
    kind = rng.choice(list(KINDS), rows, p=list(KINDS.values()))
    frame = pd.DataFrame({name: np.zeros(rows) for name in FEATURES})
    frame["service"], frame["flag"], frame["kind"] = service, "SF", kind
    frame["protocol_type"] = frame["service"].map(SERVICES)
    _describe_normal(frame, rng)
    for name, change in (("DoS", _flood), ("Probe", _probe), ("R2L", _break_in), ("U2R", _take_root)):
        part = frame[kind == name].copy()
        change(part, rng)
        frame.loc[part.index] = part
    return frame


def _describe_normal(frame: pd.DataFrame, rng: Generator) -> None:
    rows = len(frame)
    level = frame["service"].map({"http": 5.5, "smtp": 6.7, "ftp_data": 7.5, "domain_u": 3.8, "ecr_i": 3.4}).to_numpy()
    frame["src_bytes"] = np.round(np.exp(rng.normal(level, 0.6)))
    answered = frame["service"].isin(["http", "smtp", "domain_u"])
    frame["dst_bytes"] = np.where(answered, np.round(np.exp(rng.normal(level + 1.5, 0.8))), 0)
    frame["duration"] = np.where(frame["service"] == "smtp", rng.poisson(1.5, rows), rng.poisson(0.1, rows))
    frame["logged_in"] = (frame["protocol_type"] == "tcp").astype(float)
    frame["count"] = 1 + rng.poisson(8, rows)
    frame["srv_count"] = np.minimum(frame["count"], 1 + rng.poisson(8, rows))
    frame["same_srv_rate"] = np.round(rng.beta(20, 1, rows), 2)
    frame["diff_srv_rate"] = np.round(1 - frame["same_srv_rate"], 2)
    frame["srv_diff_host_rate"] = np.round(rng.beta(1, 6, rows), 2)
    frame["dst_host_count"] = rng.integers(1, 256, rows)
    frame["dst_host_srv_count"] = np.maximum(1, np.round(frame["dst_host_count"] * rng.beta(8, 2, rows)))
    frame["dst_host_same_srv_rate"] = np.round(frame["dst_host_srv_count"] / frame["dst_host_count"], 2)
    frame["dst_host_same_src_port_rate"] = np.round(rng.beta(1, 8, rows), 2)


def _flood(part: pd.DataFrame, rng: Generator) -> None:
    part["flag"], part["src_bytes"], part["dst_bytes"], part["logged_in"] = "S0", 0.0, 0.0, 0.0
    part["count"] = rng.integers(100, 512, len(part))
    for name in ("serror_rate", "srv_serror_rate", "dst_host_serror_rate", "dst_host_srv_serror_rate"):
        part[name] = np.round(rng.beta(30, 1, len(part)), 2)


def _probe(part: pd.DataFrame, rng: Generator) -> None:
    part["flag"], part["dst_bytes"] = "REJ", 0.0
    part["diff_srv_rate"] = np.round(rng.beta(5, 2, len(part)), 2)
    for name in ("rerror_rate", "srv_rerror_rate", "dst_host_rerror_rate", "dst_host_srv_rerror_rate"):
        part[name] = np.round(rng.beta(8, 2, len(part)), 2)


def _break_in(part: pd.DataFrame, rng: Generator) -> None:
    part["service"], part["protocol_type"] = "ftp", "tcp"
    part["num_failed_logins"], part["hot"] = 1.0 + rng.poisson(1, len(part)), 1.0 + rng.poisson(2, len(part))


def _take_root(part: pd.DataFrame, rng: Generator) -> None:
    part["root_shell"], part["num_root"] = 1.0, 1.0 + rng.poisson(2, len(part))
    part["num_file_creations"] = 1.0 + rng.poisson(1, len(part))
