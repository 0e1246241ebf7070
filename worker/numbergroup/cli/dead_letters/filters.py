"""Selects the dead letters that a command applies to, by the options of the command line."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
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
_PART_OF_AGE = re.compile(r"([0-9]+)([smhdw])")
_FINGERPRINT = re.compile("[0-9a-f]{12}")
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class DeadLetterFilter:
    """The filters of a command, as the user wrote them. Ages such as `2h` count back from the selection."""

    account: str | None = None
    group: str | None = None
    fingerprint: str | None = None
    kind: str | None = None
    older_than: str | None = None
    newer_than: str | None = None
    ids: Sequence[str] = ()

    def to_selection(self, now: datetime) -> Selection:
        """Return the filters without the ids. Raises `typer.BadParameter` for an invalid age."""
        before = _subtract_age(now, self.older_than, "--older-than")
        after = _subtract_age(now, self.newer_than, "--newer-than")
        return Selection(self.account, self.group, self.fingerprint, self.kind, before, after)

    def validate(self, *, select_all: bool | None = None) -> None:
        """Check the values, and that only one of ids, filters and `select_all` is given.

        Unless `select_all` is None, one of them is required. Raises `typer.BadParameter`.
        """
        if self.kind is not None and self.kind not in ERROR_KINDS:
            raise typer.BadParameter(
                f"{self.kind!r} is not one of {', '.join(ERROR_KINDS)}", param_hint="--kind"
            )
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise typer.BadParameter(
                f"{self.fingerprint!r} is not 12 hexadecimal digits: `dead-letters list --by fingerprint` "
                "lists the fingerprints",
                param_hint="--fingerprint",
            )
        has_filters = not self.to_selection(datetime.now(UTC)).is_everything
        given = bool(self.ids) + has_filters + bool(select_all)
        if given > 1:
            raise typer.BadParameter("give ids, filters or --all, but only one of these")
        if select_all is not None and not given:
            raise typer.BadParameter("give the ids of dead letters, filters, or --all")

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return the filters for the audit stream, which lists the ids itself."""
        return {} if self.ids else {"filter": self.to_selection(now).as_json()}

    async def scan(self, reader: LetterReader) -> AsyncIterator[Letter]:
        """Yield the selected dead letters, oldest first. Raises `CommandError` when an id is unknown."""
        if self.ids:
            found = await reader.find(list(dict.fromkeys(self.ids)))
            if missing := [letter_id for letter_id in self.ids if letter_id not in found]:
                more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
                raise CommandError(
                    f"no such dead letter: {', '.join(map(escaped, missing[:_SHOWN]))}{more}; "
                    "nothing was changed"
                )
            for letter in found.values():
                yield letter
            return
        selection = self.to_selection(await reader.server_time())
        async for letter in reader.scan():
            if selection.matches(letter):
                yield letter


def _subtract_age(now: datetime, age: str | None, option: str) -> datetime | None:
    if age is None:
        return None
    if not _AGE.fullmatch(age):
        raise typer.BadParameter(f"{age!r} is not an age such as 90s, 30m, 2h, 1d12h, 3w", param_hint=option)
    try:
        seconds = sum(int(count) * _UNITS[unit] for count, unit in _PART_OF_AGE.findall(age))
        return now - timedelta(seconds=seconds)
    except OverflowError:
        raise typer.BadParameter(f"{age!r} is too long ago", param_hint=option) from None
