"""`numbergroup groups diff`."""

import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import create_file, display_name
from numbergroup.cli.groups.events import Envelope, make_events
from numbergroup.cli.groups.reconcile import Difference, Reconciliation, Rules, reconcile
from numbergroup.cli.groups.vendor import VendorAccount
from numbergroup.cli.groups.wanted import read_wanted
from numbergroup.cli.identifiers import check_identifier
from numbergroup.cli.output import pluralize
from numbergroup.engine.commands import CommandKind
from numbergroup.text.escaping import escaped_json

_MAX_PROBLEMS_SHOWN = _MAX_WARNINGS_SHOWN = 10
_MAX_PREFIX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """The options of the command line."""

    account: str
    delete_others: bool
    may_replace: bool
    output: Path | None
    source: str
    ids_prefix: str


def run(file: Path, options: DiffOptions) -> bool:
    """Print the commands, and a summary on standard error. Return whether there are differences.

    Raises `CommandError` when the file or the list of groups cannot be used; then nothing is printed.
    """
    _check(options)
    account = VendorAccount(options.account)
    capabilities = account.capabilities
    if options.delete_others and CommandKind.DELETE_GROUP not in capabilities.commands:
        raise typer.BadParameter("unsupported: the vendor deletes no groups", param_hint="--delete-others")
    wanted = read_wanted(file, account.is_number)
    # Before the listing: commands that do not wait any more by then are included in the list.
    backlog_warning = account.describe_backlog()
    rules = Rules(
        capabilities.commands,
        capabilities.numbers_per_call,
        account.is_number,
        delete_others=options.delete_others,
        may_replace=options.may_replace,
    )
    result = reconcile(wanted, account.list_groups(), rules)
    if result.problems:
        more = len(result.problems) - _MAX_PROBLEMS_SHOWN
        lines = [*result.problems[:_MAX_PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        shown = "\n  ".join(lines)
        raise CommandError(f"{display_name(file)}: no commands, because of these problems:\n  {shown}")
    envelope = Envelope(
        options.source,
        options.account,
        run_id=f"{options.ids_prefix}{secrets.token_hex(8)}",
        max_bytes=account.settings.max_message_bytes,
        numbers_per_call=capabilities.numbers_per_call,
    )
    events = make_events(result.differences, envelope)
    if options.output is None:
        command_count = _write(events, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with create_file(options.output) as out:
            command_count = _write(events, out)
    _print_summary(result, command_count, capabilities.numbers_per_call, backlog_warning)
    return bool(result.differences)


def _check(options: DiffOptions) -> None:
    if len(options.ids_prefix) > _MAX_PREFIX_LENGTH:
        raise typer.BadParameter(
            f"must have at most {_MAX_PREFIX_LENGTH} characters", param_hint="--ids-prefix"
        )
    check_identifier(options.source, "--source")
    check_identifier(f"{options.ids_prefix}-", "--ids-prefix")


def _write(lines: Iterable[bytes], out: BinaryIO) -> int:
    count = 0
    on_terminal = out.isatty()
    for line in lines:
        out.write((escaped_json(line) if on_terminal else line) + b"\n")
        count += 1
    return count


def _print_summary(
    result: Reconciliation, command_count: int, numbers_per_call: int, backlog_warning: str | None
) -> None:
    lines = [_describe_differences(result.differences, command_count, numbers_per_call)]
    if result.unchanged:
        are = "is as it" if result.unchanged == 1 else "are as they"
        lines.append(f"{pluralize(result.unchanged, 'group')} {are} should be")
    if result.others:
        lines.append(
            f"{pluralize(result.others, 'group')} not in the file, left alone (--delete-others deletes them)"
        )
    if result.invalid_numbers:
        lines.append(
            f"{pluralize(result.invalid_numbers, 'listed number')} left alone: no command may contain them"
        )
    warnings = result.warnings[:_MAX_WARNINGS_SHOWN]
    if backlog_warning is not None:
        warnings.append(backlog_warning)
    if (more := len(result.warnings) - _MAX_WARNINGS_SHOWN) > 0:
        warnings.append(f"{more:,} more groupNames differ from others in this way")
    lines += [f"warning: {warning}" for warning in warnings]
    typer.echo("\n".join(lines), err=True)


def _describe_differences(
    differences: Sequence[Difference], command_count: int, numbers_per_call: int
) -> str:
    if not differences:
        return "no differences"
    kinds = Counter(map(_kind_of, differences))
    groups = ", ".join(f"{count:,} to {kind}" for kind, count in kinds.items())
    differ = "differs" if len(differences) == 1 else "differ"
    calls = sum(difference.count_calls(numbers_per_call) for difference in differences)
    numbers = sum(difference.number_count for difference in differences)
    return (
        f"{pluralize(len(differences), 'group')} {differ} ({groups}): {pluralize(command_count, 'command')}, "
        f"{pluralize(calls, 'call')}, {pluralize(numbers, 'number')}"
    )


def _kind_of(difference: Difference) -> str:
    kinds = {step.kind for step in difference.steps}
    if CommandKind.CREATE in kinds:
        return "create"
    if CommandKind.DELETE_GROUP in kinds:
        return "delete"
    return "empty" if difference.empties else "change"
