"""`numbergroup pause` and `numbergroup resume`, as they are typed."""

from typing import Annotated

import typer

from numbergroup.cli.error_handling import handle_errors

Account = Annotated[str, typer.Argument(metavar="NAME", help="The account, as in the settings.")]
Handle = Annotated[
    str,
    typer.Argument(
        metavar="HANDLE",
        help="id:GROUPID or key:GROUPKEY, as its commands address it; id: may be left out, unless there is a "
        "colon in the GROUPID.",
    ),
]
OfAccount = Annotated[str, typer.Option("--account", metavar="NAME", help="The group's account.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why: for the log, and for `status`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]

pause = typer.Typer(
    help="Let no call of an account or a group begin.", no_args_is_help=True, rich_markup_mode=None
)
resume = typer.Typer(help="Let a paused account or group go on.", no_args_is_help=True, rich_markup_mode=None)


@pause.command("account")
def _pause_account(name: Account, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let no call of the account begin.

    All workers heed it within about a second, until `numbergroup resume`. What is in flight ends. Commands
    wait; nothing is dead-lettered but what expires.
    """
    from numbergroup.cli.pause import account, run_pause

    with handle_errors():
        run_pause(account(name), reason, as_json)


@pause.command("group")
def _pause_group(
    handle: Handle, of_account: OfAccount = "default", reason: Reason = "", as_json: AsJson = False
) -> None:
    """Let no call of the group begin.

    All workers heed it within about a second, until `numbergroup resume`. Other groups go on. A group that
    is addressed by its key is paused by its key.
    """
    from numbergroup.cli.pause import group, run_pause

    with handle_errors():
        run_pause(group(handle, of_account), reason, as_json)


@resume.command("account")
def _resume_account(name: Account, as_json: AsJson = False) -> None:
    """Let the account go on.

    It is tried at once, also where the vendor had refused it and no operator had paused it; but where the
    vendor throttles it, when that is over.
    """
    from numbergroup.cli.pause import account, run_resume

    with handle_errors():
        run_resume(account(name), as_json)


@resume.command("group")
def _resume_group(handle: Handle, of_account: OfAccount = "default", as_json: AsJson = False) -> None:
    """Let the group go on.

    It is tried at once, also where it was parked and no operator had paused it.
    """
    from numbergroup.cli.pause import group, run_resume

    with handle_errors():
        run_resume(group(handle, of_account), as_json)
