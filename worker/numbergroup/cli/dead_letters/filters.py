"""Which letters a command is about, from what was given on the command line."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from numbergroup.cli.error_handling import CommandError
from numbergroup.ledger.dead_letters.letter import Letter
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.dead_letters.selection import Selection
from numbergroup.text.escaping import escaped
from numbergroup_contracts.results import ERROR_KINDS

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_PART = re.compile(r"([0-9]+)([smhdw])")
_FINGERPRINT = re.compile("[0-9a-f]{12}")
_SHOWN = 5


@dataclass(frozen=True)
class DeadLetterFilter:
    """Filters as they were given; ages such as `2h` count from when the command looks."""

    account: str | None = None
    group: str | None = None
    fingerprint: str | None = None
    kind: str | None = None
    older_than: str | None = None
    newer_than: str | None = None
    ids: Sequence[str] = field(default_factory=tuple)

    def selection(self, now: datetime) -> Selection:
        before = _ago(self.older_than, "--older-than", now)
        after = _ago(self.newer_than, "--newer-than", now)
        return Selection(self.account, self.group, self.fingerprint, self.kind, before, after)

    def check(self, everything: bool | None = None) -> None:
        """Raises `typer.BadParameter` unless it says what is meant: ids, filters or, where that has to be
        said, `everything`; also for filters that no letter can ever meet."""
        if self.kind is not None and self.kind not in ERROR_KINDS:
            raise typer.BadParameter(
                f"{self.kind!r} is none of {', '.join(ERROR_KINDS)}", param_hint="--kind"
            )
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise typer.BadParameter(
                f"{self.fingerprint!r} is no fingerprint of 12 hexadecimal digits: see `dead-letters list "
                "--by fingerprint`",
                param_hint="--fingerprint",
            )
        filters = not self.selection(datetime.now(UTC)).is_everything
        ways = bool(self.ids) + filters + bool(everything)
        if ways > 1:
            raise typer.BadParameter("give ids, or filters, or --all, but one of them only")
        if everything is not None and not ways:
            raise typer.BadParameter("give the ids of letters, filters, or --all")

    def as_json(self, now: datetime) -> dict[str, Any]:
        return {} if self.ids else {"filter": self.selection(now).as_json()}

    async def letters(self, reader: LetterReader) -> AsyncIterator[Letter]:
        """The letters, in the order in which they were written. Raises `Failure` when one is not there."""
        if self.ids:
            found = await reader.find(list(dict.fromkeys(self.ids)))
            if missing := [one for one in self.ids if one not in found]:
                more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
                raise CommandError(
                    f"no such letter: {', '.join(map(escaped, missing[:_SHOWN]))}{more}; nothing was changed"
                )
            for one in found.values():
                yield one
            return
        selection = self.selection(await reader.server_time())
        async for letter in reader.scan():
            if selection.matches(letter):
                yield letter


def _ago(text: str | None, option: str, now: datetime) -> datetime | None:
    if text is None:
        return None
    if not _AGE.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no age such as 90s, 30m, 2h, 1d12h, 3w", param_hint=option)
    try:
        return now - timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(text)))
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long ago", param_hint=option) from None
