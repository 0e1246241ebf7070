"""Selects the letters of an operator's action."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numbergroup.ledger.dead_letters.letter import Letter


@dataclass(slots=True, frozen=True)
class Selection:
    """Conditions that a letter must all meet; without conditions, every letter is selected.

    `group` is `id:…`, `key:…`, or a bare handle for either. `before` and `after` limit the time of the last
    failure.
    """

    account: str | None = None
    group: str | None = None
    fingerprint: str | None = None
    kind: str | None = None
    before: datetime | None = None
    after: datetime | None = None

    @property
    def is_everything(self) -> bool:
        return self == Selection()

    def matches(self, letter: Letter) -> bool:
        details = letter.details
        return (
            (self.account is None or details.account == self.account)
            and (self.group is None or self._is_group(details.group))
            and (self.fingerprint is None or details.fingerprint == self.fingerprint)
            and (self.kind is None or details.error.kind == self.kind)
            and (self.before is None or letter.failed_at <= self.before)
            and (self.after is None or letter.failed_at >= self.after)
        )

    def _is_group(self, group: str | None) -> bool:
        return group is not None and self.group in (group, group.partition(":")[2])

    def as_json(self) -> dict[str, Any]:
        """Return the given conditions, for the audit stream."""
        conditions = {
            "account": self.account,
            "group": self.group,
            "fingerprint": self.fingerprint,
            "kind": self.kind,
            "olderThan": self.before and self.before.isoformat(),
            "newerThan": self.after and self.after.isoformat(),
        }
        return {name: value for name, value in conditions.items() if value is not None}
