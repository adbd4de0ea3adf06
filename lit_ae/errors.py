"""What goes wrong in a way that has a name."""


class UserError(Exception):
    """A mistake that the user can mend. Its text is one sentence, without traceback: what is wrong and what to do."""


class NotFinite(Exception):
    """A figure of the objective became NaN or infinite.

    Args:
        stage: ``train``, ``val`` or ``test``.
        step: the global step at which it was seen first.
        term: the figure's name.
    """

    def __init__(self, stage: str, step: int, term: str):
        super().__init__(f"{stage}/{term} is not finite at step {step}")
        self.stage, self.step, self.term = stage, step, term
