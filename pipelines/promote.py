"""Puts a model up against the champion of its name: ``python -m pipelines.promote --help``."""

import argparse
import sys
from pathlib import Path

from lit_ae.errors import UserError
from pipelines.arguments import OneLineParser, add_output_dir
from pipelines.command_line import one_line_errors
from pipelines.promoting.policy import DEFAULT, ENVIRONMENTS, Policy, policy_names, read_policy, with_environment

INTERRUPTED = 130  # exit code of Ctrl-C


class Job(argparse.Namespace):
    """What is asked for.

    Attributes:
        name: of the registered model.
        version: number or alias of the version that asks for promotion.
        run: the run whose model asks for promotion, to be registered first.
        policy: a file, or the name of one that is shipped.
        environment: where the model must load; None for what the policy says.
        rollback: put the previous champion back instead.
        force: promote whatever the gates say.
        reason: why.
        dry_run: judge, and change nothing.
        unlock: take over the lock of a promotion that died.
        experiment: where the promotion's run goes.
        output_dir: where runs keep their files.
    """

    name: str
    version: str
    run: str | None
    policy: str
    environment: str | None
    rollback: bool
    force: bool
    reason: str | None
    dry_run: bool
    unlock: bool
    experiment: str
    output_dir: Path

    def rules(self) -> Policy:
        """The policy, with the environment that was asked for.

        Raises:
            UserError: it can't be read, or names what there is not.
        """
        policy = read_policy(self.policy)
        return policy if self.environment is None else with_environment(policy, self.environment)


def read(argv: list[str]) -> Job:
    """Checks what can be checked without PyTorch and without a server.

    Raises:
        UserError: for a wrong word, or words that make no sense together.
    """
    parser = OneLineParser(
        prog="python -m pipelines.promote",
        description="Judges a version of a registered model against the champion by the gates of a policy, and makes "
        "it the champion if it passes all of them; the champion becomes the previous one. The verdict with its reasons "
        "is kept as tags and model card of the version, and as a run. The first model of a name has gates of its own.",
        epilog="Exit code: 0 promoted (or would be, or rolled back), 1 refused, 2 a mistake or a fault, and the "
        f"champion stays. Policies: {', '.join(policy_names())}; docs/promotion.md says what is in them.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("name", help="of the registered model")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", default="challenger", help="a version's number or alias (default challenger)")
    which.add_argument("--run", help="the id of a run; its model is registered first, as challenger")
    which.add_argument("--rollback", action="store_true", help="make the previous champion the champion again")
    add("--policy", default=DEFAULT, help=f"a YAML file, or the name of a shipped one (default {DEFAULT})")
    add("--environment", choices=ENVIRONMENTS, help="where the model must load: in a process that can't import this "
        "project, or in a new environment of its own requirements (default: what the policy says)")  # fmt: skip
    add("--force", action="store_true", help="promote whatever the gates say; needs --reason, and is recorded")
    add("--reason", help="why, for --force and --rollback")
    add("--dry_run", action="store_true", help="judge and print; register, record and change nothing")
    add("--unlock", action="store_true", help="take over the lock of a promotion that died")
    add("--experiment", default="lit-ae", help="of the promotion's MLflow run (default lit-ae)")
    add_output_dir(parser)
    job = parser.parse_args(argv, Job())
    if job.force and not (job.reason or "").strip():
        raise UserError("--force needs a reason that is recorded: write --reason TEXT.")
    if job.reason and not (job.force or job.rollback):
        raise UserError("--reason goes with --force or --rollback: leave it out, or add one of them.")
    if job.force and job.rollback:
        raise UserError("--rollback has no gates that --force could open: leave --force out.")
    return job


def main(argv: list[str] | None = None) -> int:
    """Reads the command line and the policy, and only then imports PyTorch and MLflow."""
    with one_line_errors():
        job = read(sys.argv[1:] if argv is None else argv)
        policy = job.rules()
        from pipelines.promoting.promotion import promote

        try:
            return promote(job, policy)
        except KeyboardInterrupt:
            print("\nStopped.", file=sys.stderr)
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
