"""`numbergroup pause` and `numbergroup resume`: their options."""

from typing import Annotated

import typer

from numbergroup.cli.error_handling import handle_errors

AccountName = Annotated[str, typer.Argument(metavar="NAME", help="The account, as in the settings.")]
GroupHandle = Annotated[
    str,
    typer.Argument(
        metavar="HANDLE",
        help="id:GROUPID or key:GROUPKEY, as commands address the group. id: may be omitted, unless the "
        "GROUPID has a colon.",
    ),
]
GroupAccount = Annotated[str, typer.Option("--account", metavar="NAME", help="The group's account.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the log and for `status`.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

pause = typer.Typer(
    help="Pause the calls of an account or a group.", no_args_is_help=True, rich_markup_mode=None
)
resume = typer.Typer(
    help="Resume the calls of an account or a group.", no_args_is_help=True, rich_markup_mode=None
)


@pause.command("account")
def _pause_account(name: AccountName, reason: Reason = "", as_json: Json = False) -> None:
    """Pause the calls of an account.

    Within about a second no worker begins a call of the account any more, until `numbergroup resume`. Calls
    in flight end. Commands wait; only those that expire are dead-lettered.
    """
    from numbergroup.cli.pause import parse_account, run_pause

    with handle_errors():
        run_pause(parse_account(name), reason, as_json=as_json)


@pause.command("group")
def _pause_group(
    handle: GroupHandle, account: GroupAccount = "default", reason: Reason = "", as_json: Json = False
) -> None:
    """Pause the calls of a group.

    Within about a second no worker begins a call of the group any more, until `numbergroup resume`. Other
    groups go on. A group that commands address by its key must be paused by its key.
    """
    from numbergroup.cli.pause import parse_group, run_pause

    with handle_errors():
        run_pause(parse_group(handle, account), reason, as_json=as_json)


@resume.command("account")
def _resume_account(name: AccountName, as_json: Json = False) -> None:
    """Resume the calls of an account.

    It is tried at once, also if no operator had paused it and the vendor refused it. If the vendor throttles
    it, it is tried when that is over.
    """
    from numbergroup.cli.pause import parse_account, run_resume

    with handle_errors():
        run_resume(parse_account(name), as_json=as_json)


@resume.command("group")
def _resume_group(handle: GroupHandle, account: GroupAccount = "default", as_json: Json = False) -> None:
    """Resume the calls of a group.

    It is tried at once, also if it was parked and no operator had paused it.
    """
    from numbergroup.cli.pause import parse_group, run_resume

    with handle_errors():
        run_resume(parse_group(handle, account), as_json=as_json)
