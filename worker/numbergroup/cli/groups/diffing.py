"""`numbergroup groups diff`."""

import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer
from pydantic import TypeAdapter, ValidationError

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import create_file, display_name
from numbergroup.cli.groups.events import Envelope, events
from numbergroup.cli.groups.reconcile import Difference, Reconciliation, Rules, reconcile
from numbergroup.cli.groups.vendor import Account
from numbergroup.cli.groups.wanted import read_wanted
from numbergroup.cli.output import pluralize
from numbergroup.engine.commands import CommandKind
from numbergroup.text.escaping import escaped_json
from numbergroup_contracts.event import Identifier

_MOST_PROBLEMS = _MOST_WARNINGS = 10
_LONGEST_PREFIX = 64
_NAME: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What was asked for on the command line."""

    account: str
    delete_others: bool
    may_replace: bool
    output: Path | None
    source: str
    ids_prefix: str


def run(file: Path, asked: DiffOptions) -> bool:
    """Print the commands, and what they amount to on standard error. Whether there are any.

    Raises `CommandError` for a file that cannot be used, and when the groups cannot be had: then nothing is
    printed.
    """
    _check(asked)
    account = Account(asked.account)
    if asked.delete_others and CommandKind.DELETE_GROUP not in account.can.commands:
        raise typer.BadParameter("unsupported: the vendor deletes no groups", param_hint="--delete-others")
    wanted = read_wanted(file, account.speakable)
    # What waits for nothing when they are listed is in the list.
    warning = account.waiting()
    size = account.can.numbers_per_call
    rules = Rules(account.can.commands, size, account.speakable, asked.delete_others, asked.may_replace)
    found = reconcile(wanted, account.listed(), rules)
    if found.problems:
        more = len(found.problems) - _MOST_PROBLEMS
        shown = "\n  ".join(found.problems[:_MOST_PROBLEMS]) + (f"\n  and {more} more" if more > 0 else "")
        raise CommandError(
            f"{display_name(file)}: no commands, because these groups cannot be had:\n  {shown}"
        )
    run_id = f"{asked.ids_prefix}{secrets.token_hex(8)}"
    envelope = Envelope(asked.source, asked.account, run_id, account.settings.max_message_bytes, size)
    lines = events(found.differences, envelope)
    if asked.output is None:
        commands = _write(lines, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        commands = _write_file(lines, asked.output)
    _say(found, commands, size, warning)
    return bool(found.differences)


def _check(asked: DiffOptions) -> None:
    if len(asked.ids_prefix) > _LONGEST_PREFIX:
        raise typer.BadParameter(f"{_LONGEST_PREFIX} characters at most", param_hint="--ids-prefix")
    for option, value in (("--source", asked.source), ("--ids-prefix", f"{asked.ids_prefix}-")):
        try:
            _NAME.validate_python(value)
        except ValidationError:
            raise typer.BadParameter("1 to 128 printable characters are needed", param_hint=option) from None


def _write(lines: Iterable[bytes], out: BinaryIO) -> int:
    count = 0
    on_terminal = out.isatty()
    for line in lines:
        out.write((escaped_json(line) if on_terminal else line) + b"\n")
        count += 1
    return count


def _write_file(lines: Iterable[bytes], file: Path) -> int:
    with create_file(file) as out:
        try:
            return _write(lines, out)
        except BaseException:
            file.unlink()
            raise


def _say(found: Reconciliation, commands: int, size: int, warning: str | None) -> None:
    lines = [_differences(found.differences, commands, size)]
    if found.same:
        are = "is as it" if found.same == 1 else "are as they"
        lines.append(f"{pluralize(found.same, 'group')} {are} should be")
    if found.others:
        lines.append(
            f"{pluralize(found.others, 'group')} not in the file, left alone (--delete-others deletes them)"
        )
    if found.unspeakable:
        lines.append(f"{pluralize(found.unspeakable, 'listed number')} left alone: no command can name them")
    warnings = [*found.warnings[:_MOST_WARNINGS], *([] if warning is None else [warning])]
    if (more := len(found.warnings) - _MOST_WARNINGS) > 0:
        warnings.append(f"{more:,} more groupNames differ so from others")
    lines += [f"warning: {one}" for one in warnings]
    typer.echo("\n".join(lines), err=True)


def _differences(differences: Sequence[Difference], commands: int, size: int) -> str:
    if not differences:
        return "no differences"
    kinds = Counter(map(_kind, differences))
    groups = ", ".join(f"{count:,} to {kind}" for kind, count in kinds.items())
    differ = "differs" if len(differences) == 1 else "differ"
    calls = sum(difference.calls(size) for difference in differences)
    numbers = sum(difference.numbers for difference in differences)
    return (
        f"{pluralize(len(differences), 'group')} {differ} ({groups}): {pluralize(commands, 'command')}, "
        f"{pluralize(calls, 'call')}, {pluralize(numbers, 'number')}"
    )


def _kind(difference: Difference) -> str:
    kinds = {step.kind for step in difference.steps}
    if CommandKind.CREATE in kinds:
        return "create"
    if CommandKind.DELETE_GROUP in kinds:
        return "delete"
    return "empty" if difference.empties else "change"
