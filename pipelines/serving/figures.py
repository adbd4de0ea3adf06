"""What Prometheus reads."""

import pandas as pd
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class Figures:
    """Counters, gauges and histograms of one server."""

    def __init__(self) -> None:
        self.registry = every = CollectorRegistry()
        ProcessCollector(registry=every)
        self.requests = Counter("lit_ae_requests", "Requests answered", ["path", "status"], registry=every)
        self.seconds = Histogram(
            "lit_ae_request_seconds", "From a request to its answer", ["path"], registry=every, buckets=SECONDS
        )
        self.rows = Counter("lit_ae_rows", "Rows answered", ["output"], registry=every)
        self.verdicts = Counter("lit_ae_verdicts", "Rows by their verdict", ["verdict"], registry=every)
        self.under_way = Gauge("lit_ae_requests_under_way", "Scoring requests not answered yet", registry=every)
        self.waiting = Gauge("lit_ae_requests_waiting", "Requests that wait for the model", registry=every)
        self.batch_rows = Histogram(
            "lit_ae_batch_rows", "Rows that went through the model together", registry=every, buckets=ROWS
        )
        self.model = Gauge("lit_ae_model_info", "The model that answers", ["name", "version"], registry=every)
        self.reloads = Counter(
            "lit_ae_reloads", "New versions: taken, refused or failed to load", ["outcome"], registry=every
        )
        self.refused = Gauge("lit_ae_version_refused", "1 while the alias's version is not served", registry=every)
        self.registry_up = Gauge(
            "lit_ae_registry_up", "Whether the last look at the alias was answered", registry=every
        )
        self.logged = Counter("lit_ae_logged_rows", "Scored rows written to the log", registry=every)
        self.lost = Counter("lit_ae_lost_log_rows", "Scored rows that the log could not take", registry=every)
        self.log_failures = Counter("lit_ae_log_failures", "Writes of the log that failed", registry=every)
        for outcome in ("taken", "refused", "failed"):
            self.reloads.labels(outcome)
        self.registry_up.set(1)

    def show_model(self, name: str, version: str) -> None:
        """Names the model that answers from now on."""
        self.model.clear()
        self.model.labels(name, version).set(1)

    def count(self, output: str, answer: object, rows: int) -> None:
        """Counts an answer's rows, and their verdicts where it has any."""
        self.rows.labels(output).inc(rows)
        if isinstance(answer, pd.DataFrame) and "verdict" in answer:
            for verdict, number in answer["verdict"].value_counts().items():
                self.verdicts.labels(verdict).inc(number)

    def text(self) -> bytes:
        """All of it in Prometheus's own format."""
        return generate_latest(self.registry)
