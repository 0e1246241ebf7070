"""`numbergroup groups`: list a vendor's groups, and compare them with a file.

The modules with the work are imported when a command runs, so that the command line starts quickly.
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

Account = Annotated[str, typer.Option("--account", metavar="NAME", help="The account that has the groups.")]


class Format(StrEnum):
    """The formats of `groups list`."""

    TABLE = "table"
    CSV = "csv"
    NDJSON = "ndjson"


@app.command("list")
def list_(
    *,
    account: Account = "default",
    group: Annotated[
        str | None, typer.Option(metavar="ID", help="List only the group with this groupId.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="List only groups with this groupName.")
    ] = None,
    output_format: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, csv (one number a row) or ndjson. csv and ndjson have all numbers in full.",
        ),
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="Same as --format ndjson.")] = False,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Do not escape csv cells that a spreadsheet would interpret as formulas."),
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show phone numbers in full in the table.")
    ] = False,
) -> None:
    """List the groups that the vendor has.

    It reads all pages of the vendor's list, within the account's rate limit. `groups diff` accepts csv and
    ndjson; phone numbers are not masked in them. In csv, a cell that begins with =, +, - or @ gets an
    apostrophe before it, because spreadsheets would interpret it as a formula; --raw turns that off. If the
    output is not a terminal, the table's columns are separated by tabs.
    """
    from numbergroup.cli.groups.listing import run

    with handle_errors():
        run(
            account,
            group,
            name,
            output_format=Format.NDJSON if as_json else output_format,
            raw=raw,
            reveal=reveal,
        )


@app.command()
def diff(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The wanted groups, CSV or NDJSON; - is standard input."),
    ],
    *,
    account: Account = "default",
    delete_others: Annotated[
        bool, typer.Option("--delete-others", help="Delete groups that are not in the file.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace/--no-replace",
            help="Replace a whole group where that needs fewer calls than adding and deleting numbers.",
        ),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to this new file. Default: standard output."
        ),
    ] = None,
    source: Annotated[str, typer.Option(metavar="NAME", help="`source` of the commands.")] = "cli",
    ids_prefix: Annotated[
        str, typer.Option(metavar="TEXT", help="Prefix of the commands' ids.")
    ] = "groups-diff-",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 if there are differences.")
    ] = False,
) -> None:
    """Print the commands that turn the vendor's groups into those of a file.

    The commands need the fewest calls. They are NDJSON for `publish`; nothing is sent. CSV has a header:
    groupId or groupName, and phone (one number a row) or phones (separated by spaces, commas or semicolons).
    NDJSON has an object a line: groupId or groupName, and phones. If a groupId is given, the groupName is
    ignored. A group with a new name is created. Other columns and members are ignored. In CSV, an apostrophe
    before =, +, - or @ is removed.

    The result is a snapshot: commands that wait in the broker are not considered. Numbers are not masked.
    """
    from numbergroup.cli.groups.diffing import DiffOptions, run

    with handle_errors():
        options = DiffOptions(
            account=account,
            delete_others=delete_others,
            may_replace=replace,
            output=output,
            source=source,
            ids_prefix=ids_prefix,
        )
        if run(file, options) and exit_code:
            raise typer.Exit(ExitCode.DIFFERENT)
