"""The one exception for what a user can mend."""


class UserError(Exception):
    """A mistake in the input: what was wanted, what came, what to do, in one line.

    The programs print it without a traceback and exit with code 2.
    """


def unknown_name(kind: str, name: object, choices) -> UserError:
    """The error for a name that is not in a table: it lists the names that are."""
    return UserError(f"Unknown {kind} {name!r}. Choose one of: {', '.join(sorted(choices))}.")
