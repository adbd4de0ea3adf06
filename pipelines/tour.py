"""The whole life of a model in about three minutes, on made-up sensor readings: ``python -m pipelines.tour``."""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from mlflow import MlflowClient

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser
from pipelines.command_line import ROOT, one_line_errors
from pipelines.results import finished, marks, require_marks, write

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = MARK = "tour"
NAME = "plant"  # of the registered model
KEY = "LIT_AE_API_KEY"
VARIANTS = {
    "Autoencoder": ["--model.latent_dim", "30"],
    "DenoisingAutoencoder": ["--model.latent_dim", "30"],
    "VAE": ["--model.latent_dim", "4", "--model.beta", "0.1"],
}
PATIENCE = 120.0  # s until a server is ready
GATES = (
    r"^(Champion|Passed|Refused|Promoted|  \w+ +(passed|failed|not applicable) )"  # lines of a promotion that are shown
)
RESTLESS = 1.2  # by which every reading of a hot plant varies more


def main(argv: list[str] | None = None) -> int:
    """Tells the story, a chapter a function."""
    began = monotonic()
    with one_line_errors():
        asked = parser().parse_args(argv)
        if asked.write:
            require_marks(asked.write, MARK)
        tour = Tour(asked.output_dir)
        champion = train_three(tour)
        crown_first(tour, champion)
        tune(tour)
        compare(tour)
        promote(tour)
        with served(tour) as address:
            ask(tour, address)
            watch_a_quiet_day(tour)
            drift_arrives(tour)
            recalibrate(tour)
            notice_reload(tour, address)
            roll_back(tour)
        end(tour, monotonic() - began)
        if asked.write:
            write(asked.write, MARK, "\n".join(["```text", *tour.told[1:], "```"]))
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = OneLineParser(
        prog="python -m pipelines.tour",
        description="Trains three variants, tunes, compares, promotes, serves, scores, notices drift, recalibrates and "
        "rolls back, on made-up sensor readings: about three minutes on two cores, no download.",
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("outputs/tour"),
        help="the tour's own folder, MLflow store included; emptied when it begins (default outputs/tour)",
    )
    begin, end = marks(MARK)
    parser.add_argument("--write", type=Path, help=f"put the story between {begin} and {end} of this file")
    return parser


class Tour:
    """The folder, the commands and the voice of a tour.

    Args:
        folder: emptied, if it is an earlier tour's.

    Raises:
        UserError: the folder holds something else, or can't be written.
    """

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        store = self.folder / "mlflow.db"
        if self.folder.is_dir() and any(self.folder.iterdir()) and not store.exists():
            raise UserError(f"{folder} holds something that is no tour: name another folder with --output_dir.")
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{folder} can't be written ({error.strerror}): choose another --output_dir.") from error
        self.uri = f"sqlite:///{store}"
        small = {"OMP_NUM_THREADS": "1"}  # networks as small as these are slower on several threads
        self.environment = {**small, **os.environ, "MLFLOW_TRACKING_URI": self.uri, KEY: "a-key-for-the-tour"}
        self.environment |= {"MLFLOW_EXPERIMENT_NAME": EXPERIMENT, "PYTHONWARNINGS": "ignore"}
        os.environ.update(self.environment)
        MlflowClient(self.uri).create_experiment(EXPERIMENT, artifact_location=str(self.folder / "artifacts"))
        self.shown = str(folder)
        self.told: list[str] = []
        self.chapters = 0

    def say(self, text: str) -> None:
        """Prints, with the folder as it was given, and remembers."""
        text = text.replace(str(self.folder), self.shown)
        self.told += text.split("\n")
        print(text, flush=True)

    def chapter(self, title: str, text: str) -> None:
        """Begins a chapter."""
        self.chapters += 1
        self.say(f"\n\n{self.chapters}. {title}\n{'-' * (len(title) + 3)}\n{textwrap.fill(text, 110)}")

    def run(self, name: str, words: Sequence[str], shown: str = "", expected: Sequence[int] = (0,)) -> int:
        """Runs ``python -m pipelines.<words>``, and prints the lines of its output that ``shown`` finds.

        All of its output is kept in the folder as ``<name>.log``.

        Raises:
            UserError: it ended with another exit code than one of those expected.
        """
        self.say(f"\n$ python -m pipelines.{shlex.join(words)}")
        command = [sys.executable, "-m", f"pipelines.{words[0]}", *words[1:]]
        log = self.folder / f"{name}.log"
        with log.open("w") as kept:
            code = subprocess.run(
                command, cwd=ROOT, env=self.environment, stdout=kept, stderr=subprocess.STDOUT
            ).returncode
        lines = log.read_text().splitlines()
        for line in lines:
            if shown and re.search(shown, line):
                self.say(f"  {line}")
        if code not in expected:
            raise UserError(f"pipelines.{words[0]} ended with exit code {code}, see {log}: {(lines or [''])[-1]}")
        return code

    @property
    def outputs(self) -> list[str]:
        return ["--output_dir", str(self.folder / "runs")]


def train_three(tour: Tour) -> str:
    """Trains three variants; returns the run of the first."""
    tour.chapter(
        "Three variants learn what normal readings look like",
        "Fifty sensors of a plant, 8,000 normal rows to learn from; in some test rows ten sensors are raised. "
        "Each training is one MLflow run.",
    )
    for variant, options in VARIANTS.items():
        recipe = ["--recipe", "plant_sensors", "--model", variant, "--model.network.hidden", "[]", *options]
        words = ["train", *recipe, "--tracking.run_name", variant, "--tracking.output_dir", tour.outputs[1]]
        tour.run(f"train_{variant}", words, r"^\s+(model|auroc|ap|false_alarm_rate)\s")
    return run_called("Autoencoder")


def run_called(name: str) -> str:
    """The id of the tour's run of that name."""
    found = finished(name, EXPERIMENT)
    if found is None:
        raise UserError(f"The run {name} did not end well: see the logs.")
    return str(found.info.run_id)


def crown_first(tour: Tour, run: str) -> None:
    tour.chapter(
        "The first champion",
        "A model becomes champion by a policy's gates: better than PCA, keeps its false-alarm budget, loads in a "
        "process that can't see this project, reproduces its figures.",
    )
    tour.run("first_champion", ["promote", NAME, "--run", run, *tour.outputs], GATES)


def tune(tour: Tour) -> None:
    tour.chapter(
        "A study looks for a better one",
        "By damaged copies of calibration rows, no label; the chosen trial is trained anew, and is the challenger.",
    )
    words = ["tune", "--study", "tune_sensors", "--workers", "2", "--final_seeds", "1", "--register", NAME]
    storage = ["--storage", str(tour.folder / "studies.journal"), "--tracking.output_dir", tour.outputs[1]]
    tour.run("tune", [*words, *storage], r"^(trial|Registered)")


def compare(tour: Tour) -> None:
    tour.chapter(
        "Which differences are real",
        "Champion, challenger and the two others on the same test rows, paired bootstrap.",
    )
    models = [f"models:/{NAME}@champion", f"models:/{NAME}@challenger"]
    others = [run_called(variant) for variant in list(VARIANTS)[1:]]
    tour.run("compare", ["compare", *models, *others, *tour.outputs], r"is best by|can't be told|that is real|^Report")


def promote(tour: Tour) -> None:
    tour.chapter("Up against the champion", "Exit code 0: promoted; 1: refused, with the reasons. Both are an answer.")
    code = tour.run("promote", ["promote", NAME, *tour.outputs], GATES, expected=(0, 1))
    tour.say("  The challenger is champion now." if code == 0 else "  The champion stays.")


@contextmanager
def served(tour: Tour) -> Iterator[str]:
    """The champion behind HTTP, until the block ends; gives its address."""
    tour.chapter("The champion answers", "A server that watches the alias, with an API key and a log of scored rows.")
    words = ["serve", f"models:/{NAME}@champion", "--port", "0", "--poll", "1", "--drain", "0"]
    words += ["--log", str(tour.folder / "log"), *tour.outputs]
    tour.say(f"\n$ python -m pipelines.{shlex.join(words)} &")
    log = tour.folder / "serve.log"
    with log.open("w") as kept:
        command = [sys.executable, "-m", f"pipelines.{words[0]}", *words[1:]]
        server = subprocess.Popen(command, cwd=ROOT, env=tour.environment, stdout=kept, stderr=subprocess.STDOUT)
    try:
        yield address_of(server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def address_of(server: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where the server listens, once it is ready.

    Raises:
        UserError: it ended, or is not ready in time.
    """
    end = monotonic() + PATIENCE
    while server.poll() is None and monotonic() < end:
        if found := re.search(r"http://[\d.]+:\d+", log.read_text()):
            try:
                urllib.request.urlopen(f"{found[0]}/ready", timeout=5)
                return found[0]
            except OSError:
                pass
        sleep(0.2)
    raise UserError(f"The server did not become ready: see {log}.")


def ask(tour: Tour, address: str) -> None:
    """One row with raised sensors, as a client would send it."""
    body = readings(0, 1, seed=1, spikes=(3.0, 5.0)).to_json(orient="records")
    tour.say(f"\n$ curl -H 'x-api-key: …' -H 'content-type: application/json' -d @one_row.json {address}/score")
    headers = {"content-type": "application/json", "x-api-key": tour.environment[KEY]}
    with urllib.request.urlopen(urllib.request.Request(f"{address}/score", body.encode(), headers)) as answer:
        tour.say(f"  {json.dumps(json.load(answer))}")


def watch_a_quiet_day(tour: Tour) -> None:
    tour.chapter("A quiet day", "3,000 rows are scored from a file, and compared with what the model knows as normal.")
    table(tour, "monday.csv", readings(2980, 20, seed=2))
    tables = [f"models:/{NAME}@champion", str(tour.folder / "monday.csv"), str(tour.folder / "monday_scored.csv")]
    tour.run("score", ["score", *tables, *tour.outputs], r"anomal|normal")
    watch(tour, "monday", expected=(0,))


def drift_arrives(tour: Tour) -> None:
    tour.chapter(
        "Drift arrives",
        "The plant runs hotter, and every sensor is a fifth more restless. Nothing is wrong, yet rows look strange.",
    )
    table(tour, "tuesday.csv", RESTLESS * readings(2980, 20, seed=3))
    watch(tour, "tuesday", expected=(10, 11, 12))


def watch(tour: Tour, day: str, expected: Sequence[int]) -> None:
    words = ["monitor", f"models:/{NAME}@champion", "--input", str(tour.folder / f"{day}.csv")]
    words += ["--report", str(tour.folder / f"{day}_report"), *tour.outputs]
    tour.run(f"monitor_{day}", words, r"\S", expected)


def recalibrate(tour: Tour) -> None:
    tour.chapter(
        "Recalibrated in seconds",
        "The threshold alone is set anew, by rows that the operators confirmed as normal; the new version is put up "
        "like any other.",
    )
    table(tour, "confirmed.csv", RESTLESS * readings(2000, 0, seed=4))
    confirmed = [f"models:/{NAME}@champion", str(tour.folder / "confirmed.csv")]
    tour.run("recalibrate", ["recalibrate", *confirmed, *tour.outputs], r"\S")
    tour.run("promote_recalibrated", ["promote", NAME, *tour.outputs], GATES)


def notice_reload(tour: Tour, address: str) -> None:
    """The server has taken up the new champion by itself."""
    tour.say(f"\n$ curl {address}/version")
    sleep(3)
    with urllib.request.urlopen(f"{address}/version") as answer:
        tour.say(f"  {json.dumps(json.load(answer))}")


def roll_back(tour: Tour) -> None:
    tour.chapter("Rolled back", "The plant is cooled down again, and the old threshold is back by one command.")
    why = ["--rollback", "--reason", "the plant was cooled down"]
    tour.run("roll_back", ["promote", NAME, *why, *tour.outputs], r"\S")


def end(tour: Tour, seconds: float) -> None:
    tour.chapter("Look at it", f"All of that took {seconds:.0f} s.")
    tour.say(f"\n  Reports     {tour.folder}/monday_report/report.html and tuesday_report/report.html")
    tour.say(f"  Every run   mlflow ui --backend-store-uri {tour.uri}")


def readings(normal: int, spiked: int, seed: int, spikes: tuple[float, float] = (1.0, 2.0)) -> "pd.DataFrame":
    """Made-up readings, normal ones and ones with ten sensors raised so far, in no particular order."""
    import numpy as np
    import pandas as pd

    from data.sensor_generator import SENSORS, normal_readings, spiked_readings

    rng = np.random.default_rng(seed)
    rows = np.concatenate([normal_readings(normal, rng), spiked_readings(spiked, rng, *spikes)])
    return pd.DataFrame(rng.permutation(rows), columns=[f"sensor_{number:02d}" for number in range(SENSORS)])


def table(tour: Tour, name: str, frame: "pd.DataFrame") -> None:
    """Writes rows as a user has them."""
    frame.to_csv(tour.folder / name, index=False)
    tour.say(f"\n  {name}: {len(frame):,} rows")


if __name__ == "__main__":
    sys.exit(main())
