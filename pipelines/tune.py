"""Searches the options of a training: ``python -m pipelines.tune --help``."""

import sys

from pipelines.command_line import one_line_errors
from pipelines.tuning.command import Asked, read


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and imports what is heavy only for what is asked."""
    with one_line_errors():
        asked = read(sys.argv[1:] if argv is None else argv)
        return 0 if asked is None else answer(asked)


def answer(asked: Asked) -> int:
    """Does what was asked; returns the exit code."""
    if asked.action == "show":
        from pipelines.tuning.show import show

        return show(asked)
    if asked.action in ("dashboard", "proxy"):
        from pipelines.tuning.serving import serve

        return serve(asked)
    from pipelines.tuning.study import tune

    return tune(asked)


if __name__ == "__main__":
    sys.exit(main())
