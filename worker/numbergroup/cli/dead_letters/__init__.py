"""`numbergroup dead-letters`: what operators do with commands that could not succeed.

Commands import what they need when they run: starting up stays quick.
"""

from pathlib import Path
from typing import Annotated

import typer

from numbergroup.cli.error_handling import handle_errors

app = typer.Typer(
    name="dead-letters",
    help="See, mend, replay and discard what could not succeed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Account = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Only letters of this account.")
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="HANDLE", help="Only of this group: id:… or key:…, or a bare handle for either."
    ),
]
Fingerprint = Annotated[
    str | None, typer.Option("--fingerprint", metavar="HEX", help="Only what went wrong in this way.")
]
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only errors of this kind: refused, invalid, …")
]
OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help="Only what failed before: 90s, 30m, 2h, 1d12h."),
]
NewerThan = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="Only what failed since.")]
Json = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show phone numbers in full.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Letters, as `deadLetterId` has them.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A letter, as `deadLetterId` has it.")]
All = Annotated[bool, typer.Option("--all", help="Every letter there is.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]


@app.command("list")
def list_(
    account: Account = None,
    group: Group = None,
    fingerprint: Fingerprint = None,
    kind: Kind = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many lines at most.")] = 50,
    by: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="Count them instead, by fingerprint, account or kind."),
    ] = None,
    as_json: Json = False,
    reveal: Reveal = False,
) -> None:
    """List letters, the newest first; or count them.

    Not on a terminal, columns are separated by tabs.
    """
    from numbergroup.cli.dead_letters.filters import DeadLetterFilter
    from numbergroup.cli.dead_letters.listing import run

    with handle_errors():
        run(
            DeadLetterFilter(account, group, fingerprint, kind, older_than, newer_than),
            limit,
            by,
            as_json,
            reveal,
        )


@app.command()
def show(letter: Id, as_json: Json = False, reveal: Reveal = False) -> None:
    """Show one letter, all that is known of it.

    Also which of its numbers later commands have decided since.
    """
    from numbergroup.cli.dead_letters.showing import run

    with handle_errors():
        run(letter, as_json, reveal)


@app.command()
def replay(
    letters: Ids = None,
    account: Account = None,
    group: Group = None,
    fingerprint: Fingerprint = None,
    kind: Kind = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    everything: All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Include numbers that later commands have decided since.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
    reveal: Reveal = False,
) -> None:
    """Give letters to the workers again.

    They keep their ids and, within a group, their order. Numbers that later commands have decided since are
    left out. Each gets a new result; one that fails again is a letter again, and keeps its history.
    """
    from numbergroup.cli.dead_letters.filters import DeadLetterFilter
    from numbergroup.cli.dead_letters.replaying import run

    with handle_errors():
        asked = DeadLetterFilter(account, group, fingerprint, kind, older_than, newer_than, letters or ())
        asked.check(everything)
        run(asked, dry_run, force, yes, as_json, reveal)


@app.command()
def edit(
    letter: Id,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The new event; - is standard input. Else $EDITOR opens."),
    ] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Replay it at once.")] = False,
    as_json: Json = False,
) -> None:
    """Mend a letter's command.

    It must be one that workers take, under the same source and id. What arrived first is kept beside it.
    """
    from numbergroup.cli.dead_letters.editing import run

    with handle_errors():
        run(letter, file, replay, as_json)


@app.command()
def discard(
    letters: Ids = None,
    account: Account = None,
    group: Group = None,
    fingerprint: Fingerprint = None,
    kind: Kind = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    everything: All = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where they are written before; else dead-letters-<UTC time>.ndjson.",
        ),
    ] = None,
    no_export: Annotated[bool, typer.Option("--no-export", help="Keep no copy.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove letters for good.

    They are exported first, whole, into a file that `import` takes. Then the number of letters has to be
    typed.
    """
    from numbergroup.cli.dead_letters.discarding import run
    from numbergroup.cli.dead_letters.filters import DeadLetterFilter

    with handle_errors():
        asked = DeadLetterFilter(account, group, fingerprint, kind, older_than, newer_than, letters or ())
        asked.check(everything)
        if no_export and export is not None:
            raise typer.BadParameter("give --export or --no-export, not both")
        run(asked, export, no_export, yes, as_json)


@app.command("export")
def export_(
    letters: Ids = None,
    account: Account = None,
    group: Group = None,
    fingerprint: Fingerprint = None,
    kind: Kind = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new file; else standard output.")
    ] = None,
    reveal: Reveal = False,
) -> None:
    """Write letters as NDJSON, oldest first.

    Only with --reveal can they be imported again: else their phone numbers are masked.
    """
    from numbergroup.cli.dead_letters.exporting import run
    from numbergroup.cli.dead_letters.filters import DeadLetterFilter

    with handle_errors():
        asked = DeadLetterFilter(account, group, fingerprint, kind, older_than, newer_than, letters or ())
        asked.check()
        run(asked, output, reveal)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of `export --reveal`; - is standard input.")],
    as_json: Json = False,
) -> None:
    """Take in letters from a file.

    They keep their ids; those that are there already are passed over. Nothing is taken in when a line of the
    file is no letter, or masked.
    """
    from numbergroup.cli.dead_letters.importing import run

    with handle_errors():
        run(file, as_json)


@app.command()
def audit(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many lines at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what operators did, the last first."""
    from numbergroup.cli.dead_letters.auditing import run

    with handle_errors():
        run(limit, as_json)
