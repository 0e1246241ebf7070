"""A listing of all groups: read page by page, and put together. Pure.

It ends when what is looked for was found. Else it must prove that the group is not there.

**Where the listing ends.** The vendor may give fewer groups a page than it was asked for, and does not say
whether `total` counts all groups or those of the page. A `total` that is higher than the rows of its page
counts all: the listing ends when so many were found. A first page with as many rows as `total` is ambiguous:
it may have all groups, or be cut short by a vendor that counts the page. So one more page is asked for.

**Gaps.** A group that is deleted between two pages moves all groups after it forward by one, and the next
page would skip a group that exists; if one was made meanwhile, not even `total` shows that. So each page
begins with the last group of the page before. If it does not, the listing has a gap, and proves nothing.
Pages of one group cannot overlap: a vendor that shows so few at once is not believed.
"""

from dataclasses import replace

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Outcome, Unavailable
from numbergroup.engine.group.creation import has_marker

_MOST_GROUPS, _MOST_NUMBERS = 100_000, 5_000_000


class Listing:
    """`page` is the call to make next; `look` is the call that is made in that way."""

    def __init__(self, page_size: int, look: Call) -> None:
        self.page = Call(CallKind.LIST, limit=page_size)
        self._look = look
        self._groups: dict[str, Group] = {}
        self._numbers = 0
        self._joint: str | None = None
        self._has_gap = False
        self._total: int | None = None
        self._counts_all = False

    def take(self, outcome: Outcome) -> Outcome | None:
        """How the listing ended, with the groups that it found if it did well; `None`: there is another page.

        It is `complete` when the pages have no gap, and as many groups were found as the vendor says that
        there are. `total` is the highest that the vendor gave.
        """
        if not isinstance(outcome, Applied):
            return outcome
        rows, known = outcome.groups or (), len(self._groups)
        joins = bool(rows) and rows[0].group_id == self._joint
        self._note_gap(joins=joins, is_empty=not rows)
        self._groups.update((group.group_id, group) for group in rows)
        self._count(outcome.total, len(rows))
        is_found = any(map(self._is_sought, rows))
        is_end = len(rows) <= joins or (self._counts_all and self._is_whole)
        if is_found or is_end:
            groups, complete = tuple(self._groups.values()), is_end and self._is_whole and not self._has_gap
            return replace(outcome, groups=groups, total=self._total, complete=complete)
        self._numbers += sum(len(one.numbers) for one in rows[joins:])
        if len(self._groups) >= _MOST_GROUPS or self._numbers > _MOST_NUMBERS:
            return Unavailable("the listing does not end", in_doubt=False)
        if len(self._groups) == known:
            # Asked further, it would go on for ever; and what was not listed is not proved absent.
            return Unavailable("the listing repeats itself", in_doubt=False)
        overlap = len(rows) > 1
        self._joint = rows[-1].group_id if overlap else None
        self.page = replace(self.page, offset=self.page.offset + len(rows) - overlap)
        return None

    def _note_gap(self, *, joins: bool, is_empty: bool) -> None:
        """A page that is not the first begins with the joint, or it is empty, and there is none."""
        self._has_gap |= bool(self._groups) and not joins and not (is_empty and self._joint is None)

    def _count(self, total: int | None, rows: int) -> None:
        if total is not None:
            self._total = max(total, self._total or 0)
            self._counts_all |= total > rows

    def _is_sought(self, group: Group) -> bool:
        if self._look.group_id is not None:
            return group.group_id == self._look.group_id
        return self._look.marker is not None and has_marker(group, self._look.marker)

    @property
    def _is_whole(self) -> bool:
        """Whether as many groups were found as there are, as far as the vendor says that."""
        return self._total is None or len(self._groups) >= self._total
