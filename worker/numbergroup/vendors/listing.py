"""Puts a listing of all groups together, page by page. Pure.

The listing ends when the group was found. Otherwise it must prove that the group does not exist.

**Where the listing ends.** The vendor may give fewer groups a page than it was asked for, and does not say
whether `total` counts all groups or those of the page. A `total` that is higher than the rows of its page
counts all: the listing ends when so many were found. A first page with as many rows as `total` is ambiguous:
it may have all groups, or be cut short by a vendor that counts the page. So one more page is asked for.

**Gaps.** A group that is deleted between two pages moves all groups after it forward by one, and the next
page would skip a group that exists; if one was created meanwhile, not even `total` shows that. So each page
begins with the last group of the page before. If it does not, the listing has a gap, and proves nothing.
Pages of one group cannot overlap, so that a listing with such pages proves nothing either.
"""

from dataclasses import replace

from numbergroup.engine.calls import Applied, Call, CallKind, Group, Outcome, Unavailable
from numbergroup.engine.group.creation import has_marker

_MAX_GROUPS, _MAX_NUMBERS = 100_000, 5_000_000


class Listing:
    """Collects the pages for the call `lookup`. `page` is the next call to make."""

    def __init__(self, page_size: int, lookup: Call) -> None:
        self.page = Call(CallKind.LIST, limit=page_size)
        self._lookup = lookup
        self._groups: dict[str, Group] = {}
        self._numbers = 0
        self._last_id: str | None = None
        self._has_gap = False
        self._total: int | None = None
        self._total_counts_all = False

    def add_page(self, outcome: Outcome) -> Outcome | None:
        """Add the outcome of `page`. Returns the outcome of the whole listing, or `None` to read on.

        A success has the groups that were found. It is `complete` when the pages have no gap, and as many
        groups were found as the vendor counts. `total` is the highest that the vendor gave.
        """
        if not isinstance(outcome, Applied):
            return outcome
        rows, known = outcome.groups or (), len(self._groups)
        is_joined = bool(rows) and rows[0].group_id == self._last_id
        self._record_gap(is_joined=is_joined, is_empty=not rows)
        self._groups.update((group.group_id, group) for group in rows)
        self._update_total(outcome.total, len(rows))
        is_found = any(map(self._is_sought, rows))
        is_end = len(rows) <= is_joined or (self._total_counts_all and self._is_whole)
        if is_found or is_end:
            groups, complete = tuple(self._groups.values()), is_end and self._is_whole and not self._has_gap
            return replace(outcome, groups=groups, total=self._total, complete=complete)
        self._numbers += sum(len(group.numbers) for group in rows[is_joined:])
        if len(self._groups) >= _MAX_GROUPS or self._numbers > _MAX_NUMBERS:
            return Unavailable("the listing does not end", in_doubt=False)
        if len(self._groups) == known:
            # It would never end; and a group that was not listed is not proved absent.
            return Unavailable("the listing repeats itself", in_doubt=False)
        overlap = len(rows) > 1
        self._last_id = rows[-1].group_id if overlap else None
        self.page = replace(self.page, offset=self.page.offset + len(rows) - overlap)
        return None

    def _record_gap(self, *, is_joined: bool, is_empty: bool) -> None:
        """Record a gap between two pages.

        A page that is not the first begins with the last group of the page before. It is empty if that page
        had one group only.
        """
        self._has_gap |= bool(self._groups) and not is_joined and not (is_empty and self._last_id is None)

    def _update_total(self, total: int | None, rows: int) -> None:
        if total is not None:
            self._total = max(total, self._total or 0)
            self._total_counts_all |= total > rows

    def _is_sought(self, group: Group) -> bool:
        if self._lookup.group_id is not None:
            return group.group_id == self._lookup.group_id
        return self._lookup.marker is not None and has_marker(group, self._lookup.marker)

    @property
    def _is_whole(self) -> bool:
        """Whether as many groups were found as the vendor counts, if it does."""
        return self._total is None or len(self._groups) >= self._total
