"""`numbergroup groups list`."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import orjson
import typer

from numbergroup.cli.dead_letters.formatting import format_text
from numbergroup.cli.groups import Format
from numbergroup.cli.groups.cells import escaped as for_spreadsheet
from numbergroup.cli.groups.vendor import VendorAccount
from numbergroup.cli.output import pluralize
from numbergroup.cli.table import Rows
from numbergroup.engine.calls import Group
from numbergroup.engine.settling.results import describe_group as as_listed
from numbergroup.text.comparing import visible_name
from numbergroup.text.escaping import escaped, escaped_json

_SHOWN = 3
_NONE = "-"


def run(
    account: str,
    group_id: str | None,
    name: str | None,
    *,
    output_format: Format,
    raw: bool,
    reveal: bool,
) -> None:
    """Print the account's groups, or those with this id or name, and their number on standard error.

    `raw`: do not escape CSV cells for spreadsheets. Raises `CommandError` when the vendor does not answer.
    """
    listed = VendorAccount(account).list_groups(must_be_complete=False)
    wanted_name = None if name is None else visible_name(name)
    groups = [
        group
        for group in listed
        if group_id in (None, group.group_id) and wanted_name in (None, visible_name(group.name))
    ]
    if output_format is Format.TABLE:
        _print_table(groups, reveal=reveal)
    else:
        out = sys.stdout.buffer
        out.writelines(
            _encode_csv(groups, out, raw=raw) if output_format is Format.CSV else _encode_ndjson(groups)
        )
        out.flush()
    numbers = sum(len(group.numbers) for group in groups)
    total = f" of {len(listed):,}" if len(groups) < len(listed) else ""
    summary = "no such groups" if listed and not groups else pluralize(len(groups), "group") + total
    typer.echo(f"{summary}, {pluralize(numbers, 'number')}" if groups else summary, err=True)


def _print_table(groups: Sequence[Group], *, reveal: bool) -> None:
    rows = Rows(("group", "name", "numbers", "phones", "remark"), ("group", "numbers"), len(groups))
    for group in groups:
        more = ", …" if len(group.numbers) > _SHOWN else ""
        numbers = [format_text(number, reveal=reveal) for number in group.numbers[:_SHOWN]]
        # A group without a name has its id as its name, which is never masked.
        name = group.name if group.name == group.group_id else format_text(group.name, reveal=reveal)
        rows.add(
            group.group_id,
            name or _NONE,
            f"{len(group.numbers):,}",
            ", ".join(numbers) + more or _NONE,
            format_text(group.remark, reveal=reveal) or _NONE,
        )
    rows.end()


def _encode_csv(groups: Iterable[Group], out: BinaryIO, *, raw: bool) -> Iterator[bytes]:
    if not out.isatty():
        return as_csv(groups, raw=raw)
    shown_groups = (
        replace(
            group,
            group_id=escaped(group.group_id),
            name=escaped(group.name),
            remark=escaped(group.remark),
        )
        for group in groups
    )
    return as_csv(shown_groups, raw=raw)


def as_csv(groups: Iterable[Group], *, raw: bool = False) -> Iterator[bytes]:
    """Yield CSV with one number a row, because spreadsheets cut off long cells.

    A group without numbers has one row. Unless `raw`, cells are escaped that a spreadsheet would
    interpret as formulas.
    """
    cell = str if raw else for_spreadsheet
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("groupId", "groupName", "phone", "remark"))
    # `writer` quotes LF only, but readers may also drop CR, and blanks at the ends.
    quoting = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for group in groups:
        # `groups diff` does not accept files with NUL.
        texts = [text.replace("\0", "\ufffd") for text in (group.group_id, group.name, group.remark)]
        row_writer = quoting if any("\r" in text or text != text.strip() for text in texts) else writer
        group_id, name, remark = map(cell, texts)
        row_writer.writerows((group_id, name, cell(number), remark) for number in group.numbers or ("",))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _encode_ndjson(groups: Iterable[Group]) -> Iterator[bytes]:
    for group in groups:
        yield escaped_json(orjson.dumps(as_listed(group))) + b"\n"
