"""Exit codes, from the enumeration that all commands use."""

import ast

from docs.generator.markup import described, table

from numbergroup.cli import exit_codes


def table_of() -> str:
    """Each code and its meaning."""
    rows = [
        (str(ast.literal_eval(one.value)), one.text)
        for one in described(exit_codes, inside=exit_codes.ExitCode.__name__)
    ]
    return table(("exit code", "meaning"), rows)
