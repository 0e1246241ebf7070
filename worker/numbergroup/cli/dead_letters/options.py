"""The options that several `dead-letters` commands share."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

Id = Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id: `deadLetterId` in a result.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Print at most N lines.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show phone numbers in full.")]
SelectAll = Annotated[bool, typer.Option("--all", help="Select all dead letters.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

_Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids of dead letters: `deadLetterId` in results.")
]
_FILTERS: dict[str, Any] = {
    "account": Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Select those of this account.")
    ],
    "group": Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="HANDLE",
            help="Select those of this group: id:GROUPID, key:GROUPKEY, or either without its prefix.",
        ),
    ],
    "fingerprint": Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="HEX", help="Select those with this fingerprint."),
    ],
    "kind": Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="Select those with this kind of error: refused, …"),
    ],
    "older_than": Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="Select those that failed before: 90s, 30m, 2h, 1d12h."
        ),
    ],
    "newer_than": Annotated[
        str | None,
        typer.Option("--newer-than", metavar="AGE", help="Select those that failed since: 90s, 30m, …"),
    ],
}


def with_filters(*, ids: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the filter options, and with `ids` the argument ID, in place of its first parameter.

    The command gets the `DeadLetterFilter` that the user has chosen as its first argument.
    """
    chosen = ({"ids": _Ids} if ids else {}) | _FILTERS

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            from numbergroup.cli.dead_letters.filters import DeadLetterFilter

            filters = {name: values.pop(name) for name in chosen}
            command(DeadLetterFilter(**filters | {"ids": filters.get("ids") or ()}), **values)

        keyword = inspect.Parameter.KEYWORD_ONLY
        added = [
            inspect.Parameter(name, keyword, default=None, annotation=annotation)
            for name, annotation in chosen.items()
        ]
        signature = inspect.signature(command)
        _, *own = signature.parameters.values()
        parameters = [*added, *(parameter.replace(kind=keyword) for parameter in own)]
        run.__annotations__ = {}  # They name types that are imported when the command runs.
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return run

    return decorate
