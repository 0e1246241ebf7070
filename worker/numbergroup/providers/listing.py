"""A listing of all groups: read page by page, and put together. Pure.

The vendor may give fewer groups a page than it was asked for, and does not say whether `total` counts all
groups or those of the page. So a page ends the listing when it is empty, or when it is short and all that
`total` speaks of were found; without a `total` only an empty one does.

A group that is deleted between two pages moves all groups after it forward by one. So the next page starts
one group too late, and skips a group that exists. The count cannot show that: the deleted group was found,
and stands in for the skipped one. A `total` that is lower than on an earlier page is the sign of it.
"""

from dataclasses import replace

from numbergroup.engine.model import Applied, Call, CallKind, Group, Outcome, Unavailable

_MOST_GROUPS, _MOST_NUMBERS = 100_000, 5_000_000


class Listing:
    """`page` is the call to make next."""

    def __init__(self, page_size: int) -> None:
        self.page = Call(CallKind.LIST, limit=page_size)
        self._groups: dict[str, Group] = {}
        self._numbers = 0
        self._total: int | None = None
        self._total_fell = False
        self._totals_of_pages = True

    def take(self, outcome: Outcome) -> Outcome | None:
        """How the listing ended, with all its groups if it did well; `None`: there is another page.

        It is `complete` when as many were found as the vendor says that there are, and that number did not
        fall between two pages. `total` is the highest that the vendor gave.
        """
        if not isinstance(outcome, Applied):
            return outcome
        found, known = outcome.groups or (), len(self._groups)
        self._groups.update((group.group_id, group) for group in found)
        if outcome.total is not None:
            highest = outcome.total if self._total is None else self._total
            self._total_fell |= outcome.total < highest
            self._total = max(outcome.total, highest)
        self._totals_of_pages &= outcome.total == len(found)
        if self._is_last(len(found)):
            groups = tuple(self._groups.values())
            return replace(outcome, groups=groups, total=self._total, complete=self._is_complete)
        self._numbers += sum(len(one.numbers) for one in found)
        if len(self._groups) >= _MOST_GROUPS or self._numbers > _MOST_NUMBERS:
            return Unavailable("the listing does not end", in_doubt=False)
        if len(self._groups) == known:
            # Asked further, it would go on for ever; and what was not listed is not proved absent.
            return Unavailable("the listing repeats itself", in_doubt=False)
        self.page = replace(self.page, offset=self.page.offset + len(found))
        return None

    def _is_last(self, found: int) -> bool:
        return not found or (found < self.page.limit and self._is_complete and self._total is not None)

    @property
    def _is_complete(self) -> bool:
        if self._total is None or self._totals_of_pages:
            return True
        return not self._total_fell and len(self._groups) == self._total
