"""The one exception that reaches a person.

A `UserError` is raised where input from outside turns out to be wrong. Its message is one line
that names the field, the value and what is allowed; the command line prints it and exits with
its code. Anything else that escapes is a defect of the program and shows its traceback.
"""


class UserError(Exception):
    """Bad input from outside, with a message for the person who gave it.

    Args:
        message: one line; control characters are escaped, so that a hostile file name or key
            can neither break the line nor paint the terminal.
        exit_code: the exit status of the command; 2 is bad input.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        # Both values go to `args`, so that the error survives pickling by a process pool.
        super().__init__(printable(message), exit_code)

    @property
    def message(self) -> str:
        """The line to print."""
        return str(self.args[0])

    @property
    def exit_code(self) -> int:
        """The exit status of the command."""
        return int(self.args[1])

    def __str__(self) -> str:
        return self.message


def printable(text: str) -> str:
    """`text` with every character that is not printable written as a Python escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def show(value: object, longest: int = 40) -> str:
    """`value` as it appears in a message: quoted if it is text, cut if it is long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, str) else printable(str(value))
    return text if len(text) <= longest else text[: longest - 3] + "..."
