"""What a user can put right: one clear sentence, no traceback."""


class UserError(Exception):
    """A mistake that the user can mend. Its text is one sentence that says what is wrong and what to do."""
