"""`numbergroup groups`: what the vendor has, and what it would take to have something else.

Commands import what they need when they run: starting up stays quick.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from numbergroup.cli.error_handling import handle_errors
from numbergroup.cli.exit_codes import ExitCode

app = typer.Typer(
    name="groups",
    help="List a vendor's groups, and compare them with a file.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Account = Annotated[str, typer.Option("--account", metavar="NAME", help="Whose groups.")]


class Format(StrEnum):
    """How groups are printed."""

    TABLE = "table"
    CSV = "csv"
    NDJSON = "ndjson"


@app.command("list")
def list_(
    account: Account = "default",
    group: Annotated[str | None, typer.Option(metavar="ID", help="Only the group with this groupId.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only groups with this groupName.")] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, csv (one number a row) or ndjson; the last two have all numbers in full.",
        ),
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format ndjson.")] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="In csv, write cells as they are, also those that a spreadsheet takes for formulas."
        ),
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show phone numbers in full in the table.")
    ] = False,
) -> None:
    """List the groups that the vendor has.

    All of them, page by page, within the account's rate limit. csv and ndjson are data: `groups diff` takes
    both, and phone numbers are not masked in them. csv is fit for spreadsheets: a cell that they would take
    for a formula (it begins with =, +, - or @) has an apostrophe before it, unless --raw. Not on a terminal,
    the table's columns are separated by tabs.
    """
    from numbergroup.cli.groups.listing import run

    with handle_errors():
        run(account, group, name, form=Format.NDJSON if as_json else form, raw=raw, reveal=reveal)


@app.command()
def diff(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The groups as they should be, CSV or NDJSON; - is standard input."
        ),
    ],
    account: Account = "default",
    delete_others: Annotated[
        bool, typer.Option("--delete-others", help="Delete the groups that are not in the file.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace/--no-replace",
            help="Whether a group may be replaced where that takes fewer calls than to add and delete.",
        ),
    ] = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new file; else standard output.")
    ] = None,
    source: Annotated[str, typer.Option(metavar="NAME", help="`source` of the commands.")] = "cli",
    ids_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="What the commands' ids begin with.")
    ] = "groups-diff-",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 3 when there are differences.")
    ] = False,
) -> None:
    """Print the commands that make the groups what they should be.

    The fewest calls, as NDJSON that `publish` takes; nothing is sent. CSV has a header: groupId or groupName,
    and phone (one number a row) or phones (separated by spaces, commas or semicolons). NDJSON has an object a
    line: groupId or groupName, and phones. With a groupId, the groupName is not looked at; a group whose name
    is not there yet is created. Other columns and members do not count. In CSV, an apostrophe before =, +, -
    or @ is left out.

    It is a snapshot: what waits in the broker is not in it. The numbers are not masked.
    """
    from numbergroup.cli.groups.diffing import DiffOptions, run

    with handle_errors():
        differ = run(file, DiffOptions(account, delete_others, replace, output, source, ids_prefix))
        if differ and exit_code:
            raise typer.Exit(ExitCode.DIFFERENT)
