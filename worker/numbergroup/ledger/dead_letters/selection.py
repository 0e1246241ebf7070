"""Which letters an operator means."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from numbergroup.ledger.dead_letters.letter import Letter


@dataclass(slots=True, frozen=True)
class Selection:
    """Every letter that all of the given say yes to; without any, every letter.

    `group` is `id:…`, `key:…`, or a bare handle for either. `before` and `after` bound when it failed last.
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

    def takes(self, letter: Letter) -> bool:
        said = letter.said
        return (
            (self.account is None or said.account == self.account)
            and (self.group is None or self._is_group(said.group))
            and (self.fingerprint is None or said.fingerprint == self.fingerprint)
            and (self.kind is None or said.error.kind == self.kind)
            and (self.before is None or letter.failed_at <= self.before)
            and (self.after is None or letter.failed_at >= self.after)
        )

    def _is_group(self, group: str | None) -> bool:
        return group is not None and self.group in (group, group.partition(":")[2])

    def as_json(self) -> dict[str, Any]:
        """What was asked for, for the audit stream."""
        asked = {
            "account": self.account,
            "group": self.group,
            "fingerprint": self.fingerprint,
            "kind": self.kind,
            "olderThan": self.before and self.before.isoformat(),
            "newerThan": self.after and self.after.isoformat(),
        }
        return {name: value for name, value in asked.items() if value is not None}
