"""`numbergroup groups list`."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import orjson
import typer

from numbergroup.cli.groups import Format
from numbergroup.cli.groups.cells import escaped as for_spreadsheet
from numbergroup.cli.groups.vendor import Account
from numbergroup.cli.masking import mask_text
from numbergroup.cli.output import pluralize
from numbergroup.cli.table import Rows
from numbergroup.engine.commands import Group
from numbergroup.engine.settling.results import describe_group as as_listed
from numbergroup.text.comparing import visible_name
from numbergroup.text.escaping import escaped, escaped_json

_SHOWN = 3
_NONE = "-"


def run(
    account: str, group_id: str | None, name: str | None, *, form: Format, raw: bool, reveal: bool
) -> None:
    """Print them, and how many they are on standard error. `raw`: CSV for programs, whatever a spreadsheet
    would make of it. Raises `CommandError` when they cannot be had."""
    listed = Account(account).listed(whole=False)
    wanted = None if name is None else visible_name(name)
    found = [
        group
        for group in listed
        if group_id in (None, group.group_id) and wanted in (None, visible_name(group.name))
    ]
    if form is Format.TABLE:
        _table(found, reveal)
    else:
        out = sys.stdout.buffer
        out.writelines(_csv(found, out, raw=raw) if form is Format.CSV else _ndjson(found))
        out.flush()
    numbers = sum(len(group.numbers) for group in found)
    of_all = f" of {len(listed):,}" if len(found) < len(listed) else ""
    said = "no such groups" if listed and not found else pluralize(len(found), "group") + of_all
    typer.echo(f"{said}, {pluralize(numbers, 'number')}" if found else said, err=True)


def _table(groups: Sequence[Group], reveal: bool) -> None:
    def shown(text: str) -> str:
        return text if reveal else mask_text(text)

    rows = Rows(("group", "name", "numbers", "phones", "remark"), ("group", "numbers"), len(groups))
    for group in groups:
        more = ", …" if len(group.numbers) > _SHOWN else ""
        phones = ", ".join(map(shown, group.numbers[:_SHOWN])) + more
        # Without a name of its own, a group has its id for one.
        name = group.name if group.name == group.group_id else shown(group.name)
        rows.add(
            group.group_id,
            name or _NONE,
            f"{len(group.numbers):,}",
            phones or _NONE,
            shown(group.remark) or _NONE,
        )
    rows.end()


def _csv(groups: Iterable[Group], out: BinaryIO, *, raw: bool) -> Iterator[bytes]:
    if not out.isatty():
        return as_csv(groups, raw=raw)
    shown = (
        replace(
            group,
            group_id=escaped(group.group_id),
            name=escaped(group.name),
            remark=escaped(group.remark),
        )
        for group in groups
    )
    return as_csv(shown, raw=raw)


def as_csv(groups: Iterable[Group], *, raw: bool = False) -> Iterator[bytes]:
    """One number a row: spreadsheets cut long cells off. A group without numbers has one row all the same.

    Unless it is `raw`, cells that a spreadsheet would take for formulas are escaped.
    """
    cell = str if raw else for_spreadsheet
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("groupId", "groupName", "phone", "remark"))
    # By itself it quotes what ends its own lines; no other end of a line, nor blanks that readers may skip.
    quoting = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for group in groups:
        # NUL is no text, and `groups diff` takes no file that has one.
        texts = [text.replace("\0", "\ufffd") for text in (group.group_id, group.name, group.remark)]
        by = quoting if any("\r" in text or text != text.strip() for text in texts) else writer
        group_id, name, remark = map(cell, texts)
        by.writerows((group_id, name, cell(number), remark) for number in group.numbers or ("",))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _ndjson(groups: Iterable[Group]) -> Iterator[bytes]:
    for group in groups:
        yield escaped_json(orjson.dumps(as_listed(group))) + b"\n"
