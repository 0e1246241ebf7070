"""`numbergroup dead-letters`: show, replay, edit and discard dead letters.

The modules with the work are imported when a command runs, so that the command line starts quickly.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from numbergroup.cli.dead_letters.options import Id, Json, Limit, Reveal, SelectAll, Yes, with_filters
from numbergroup.cli.error_handling import handle_errors

if TYPE_CHECKING:
    from numbergroup.cli.dead_letters.filters import DeadLetterFilter

app = typer.Typer(
    name="dead-letters",
    help="Show, replay, edit and discard dead letters.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
@with_filters(ids=False)
def list_(
    letter_filter: "DeadLetterFilter",
    *,
    limit: Limit = 50,
    by: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="Count dead letters by fingerprint, account or kind instead."),
    ] = None,
    as_json: Json = False,
    reveal: Reveal = False,
) -> None:
    """List dead letters, newest first, or count them.

    If the output is not a terminal, columns are separated by tabs.
    """
    from numbergroup.cli.dead_letters.listing import run

    with handle_errors():
        run(letter_filter, limit=limit, by=by, as_json=as_json, reveal=reveal)


@app.command()
def show(letter_id: Id, as_json: Json = False, reveal: Reveal = False) -> None:
    """Show everything about one dead letter.

    Also which of its numbers were decided by later commands: a replay leaves those out.
    """
    from numbergroup.cli.dead_letters.showing import run

    with handle_errors():
        run(letter_id, as_json=as_json, reveal=reveal)


@app.command()
@with_filters(ids=True)
def replay(
    letter_filter: "DeadLetterFilter",
    *,
    select_all: SelectAll = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Include numbers that later commands have decided.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
    reveal: Reveal = False,
) -> None:
    """Send dead letters to the workers again.

    They keep their ids and, within a group, their order. Numbers that later commands have decided are left
    out. Each replay gets a new result. One that fails becomes a dead letter again, with its history.
    """
    from numbergroup.cli.dead_letters.replaying import run

    with handle_errors():
        letter_filter.validate(select_all=select_all)
        run(letter_filter, dry_run=dry_run, force=force, yes=yes, as_json=as_json, reveal=reveal)


@app.command()
def edit(
    letter_id: Id,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the new event from FILE; - is standard input. Default: open $EDITOR."
        ),
    ] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Replay it at once.")] = False,
    as_json: Json = False,
) -> None:
    """Edit the command of a dead letter.

    The new event must be a valid command with the same source and id. The original event is kept beside it.
    """
    from numbergroup.cli.dead_letters.editing import run

    with handle_errors():
        run(letter_id, file, replay=replay, as_json=as_json)


@app.command()
@with_filters(ids=True)
def discard(
    letter_filter: "DeadLetterFilter",
    *,
    select_all: SelectAll = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the copy to this new file. Default: dead-letters-<UTC time>.ndjson."
        ),
    ] = None,
    no_export: Annotated[bool, typer.Option("--no-export", help="Keep no copy.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete dead letters for good.

    They are first exported, in full, to a file that `dead-letters import` accepts. To confirm, type their
    number.
    """
    from numbergroup.cli.dead_letters.discarding import run

    with handle_errors():
        letter_filter.validate(select_all=select_all)
        if no_export and export is not None:
            raise typer.BadParameter("--export and --no-export exclude each other")
        run(letter_filter, export, no_export=no_export, yes=yes, as_json=as_json)


@app.command("export")
@with_filters(ids=True)
def export_(
    letter_filter: "DeadLetterFilter",
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write to this new file. Default: standard output."
        ),
    ] = None,
    reveal: Reveal = False,
) -> None:
    """Write dead letters as NDJSON, oldest first.

    Phone numbers are masked unless --reveal is given. An export with masked numbers cannot be imported.
    """
    from numbergroup.cli.dead_letters.exporting import run

    with handle_errors():
        letter_filter.validate()
        run(letter_filter, output, reveal=reveal)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A file that `export --reveal` wrote; - is standard input."),
    ],
    as_json: Json = False,
) -> None:
    """Import dead letters from a file.

    They keep their ids; those that exist already are skipped. If any line is invalid or masked, nothing is
    imported.
    """
    from numbergroup.cli.dead_letters.importing import run

    with handle_errors():
        run(file, as_json=as_json)


@app.command()
def audit(limit: Limit = 50, as_json: Json = False) -> None:
    """List what operators did, newest first."""
    from numbergroup.cli.dead_letters.auditing import run

    with handle_errors():
        run(limit, as_json=as_json)
