"""The model card: what a version is, what it was trained on, how it was judged, what it can't do, how to load it."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lit_ae.detection.detector import Detector
from pipelines.promoting.contender import Contender
from pipelines.promoting.decision import Decision
from pipelines.provenance import NOTE

LONGEST = 5000  # characters that a database may keep of a version's description
BASELINES = {
    "PCA": ("baseline_pca", "pca"),
    "k-NN": ("baseline_knn",),
    "isolation forest": ("baseline_isolation_forest",),
    "untrained": ("baseline_untrained",),
}
SHOWN = ("ap", "auroc", "f1", "precision", "recall", "false_alarm_rate", "recall_at_false_alarms_0.01", "mse", "psnr",
         "ssim", "nll", "token_accuracy", "exact")  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What came of a promotion.

    Attributes:
        name: of the registered model.
        decision: by the gates.
        forced: the reason of whoever promoted it nevertheless; None where nobody did.
    """

    name: str
    decision: Decision
    forced: str | None = None

    @property
    def promoted(self) -> bool:
        """Whether the version becomes the champion."""
        return self.decision.passed or self.forced is not None

    @property
    def word(self) -> str:
        """passed, forced or refused."""
        return "passed" if self.decision.passed else "refused" if self.forced is None else "forced"


def model_card(verdict: Verdict, challenger: Contender, champion: Contender | None) -> str:
    """The card, as Markdown."""
    run = challenger.run
    place = f"models:/{verdict.name}/{challenger.version}" if challenger.version else challenger.address
    return "\n".join(
        [
            f"# {verdict.name}{f' version {challenger.version}' if challenger.version else ''}",
            "",
            f"**{headline(verdict, champion)}** {verdict.decision.reason}",
            "",
            run.data.tags.get(NOTE, "").partition("\n\n")[0],
            f"Run {run.info.run_id}, data digest {run.data.params.get('data/digest', 'unknown')[:16]}, judged {now()}.",
            "",
            "## Gates",
            "",
            "| gate | outcome | reason |",
            "| --- | --- | --- |",
            *(f"| {gate.name} | {gate.outcome} | {gate.reason.replace('|', '/')} |" for gate in verdict.decision.gates),
            "",
            "## Figures of the runs on the test rows",
            "",
            *figures(challenger, champion),
            "",
            "## Limits",
            "",
            *limits(challenger),
            "",
            "## How to load",
            "",
            "```python",
            "import mlflow",
            f'mlflow.pyfunc.load_model("{place}").predict(rows)',
            "```",
            "",
        ]
    )


def headline(verdict: Verdict, champion: Contender | None) -> str:
    """The verdict in a few words."""
    against = f"against version {champion.version}" if champion else "as the first model of its name"
    said = {"passed": "Passed", "refused": "Refused", "forced": f"Promoted by force ({verdict.forced})"}
    return f"{said[verdict.word]}, {against}."


def figures(challenger: Contender, champion: Contender | None) -> Iterator[str]:
    """What both runs have logged, and beside it the baselines of the model's run."""
    own = challenger.run.data.metrics
    theirs = champion.run.data.metrics if champion else {}
    yield f"| figure | this model | champion | {' | '.join(BASELINES)} |"
    yield "| --- " * (3 + len(BASELINES)) + "|"
    for name in SHOWN:
        if f"test/{name}" in own:
            beside = [_first(own, groups, name) for groups in BASELINES.values()]
            values = (own[f"test/{name}"], theirs.get(f"test/{name}"), *beside)
            yield f"| {name} | {' | '.join('' if value is None else f'{value:.4g}' for value in values)} |"


def _first(metrics: Mapping[str, float], groups: Iterable[str], name: str) -> float | None:
    """The figure of the first group that has it."""
    return next((metrics[f"{group}/{name}"] for group in groups if f"{group}/{name}" in metrics), None)


def limits(challenger: Contender) -> Iterator[str]:
    """What the model does not promise."""
    spec = challenger.model.spec
    if spec.synthetic:
        yield "- It was trained on made-up data: its figures say nothing of any other."
    if spec.schema:
        names = spec.schema.names
        yield f"- It takes tables with the columns {', '.join(names[:12])}{' …' if len(names) > 12 else ''}."
    else:
        form = "strings" if spec.tokenizer else f"samples of shape {list(spec.shape)}"
        yield f"- It takes {form} like those of {spec.name}."
    yield from _promise(challenger.detector)
    rows = challenger.run.data.params.get("data/rows/test", "its")
    yield f"- It was judged on {rows} test rows alone; nothing is promised of rows unlike them."


def _promise(detector: Detector | None) -> Iterator[str]:
    if detector is None:
        yield "- It has no detector: it reconstructs, and gives no verdicts."
        return
    yield f"- Detector: {detector}. The promise holds for normal rows like those of the calibration."


def as_description(card: str, run_id: str) -> str:
    """The card as the description of a version, cut where a database could not keep it."""
    end = f"\n\n… The whole card is model_card.md of run {run_id}.\n"
    return card if len(card) <= LONGEST else card[: LONGEST - len(end)] + end


def version_tags(verdict: Verdict, champion: Contender | None, run_id: str) -> Mapping[str, str]:
    """The verdict with its reasons, as tags of the version."""
    gates = {f"lit_ae.gate.{gate.name}": f"{gate.outcome}: {gate.reason}" for gate in verdict.decision.gates}
    against = champion.version if champion and champion.version else "none"
    tags = {"lit_ae.verdict": verdict.word, "lit_ae.reason": verdict.decision.reason, "lit_ae.judged": now()}
    tags |= {"lit_ae.judged_against": against, "lit_ae.promotion_run": run_id}
    return {
        **tags,
        **gates,
        **({"lit_ae.forced": verdict.forced} if verdict.word == "forced" and verdict.forced else {}),
    }


def now() -> str:
    """The time, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
