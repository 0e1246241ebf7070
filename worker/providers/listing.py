"""A listing of all groups: read page by page, and put together. Pure."""

from dataclasses import replace

from worker.engine.model import Applied, Call, CallKind, Group, Outcome, Unavailable

_MOST_GROUPS, _MOST_NUMBERS = 100_000, 5_000_000


class Listing:
    """`page` is the call to make next. A short page is the last: the vendor's `total` is not to be relied
    on."""

    def __init__(self, page_size: int) -> None:
        self.page = Call(CallKind.LIST, limit=page_size)
        self._groups: dict[str, Group] = {}
        self._numbers = 0

    def take(self, outcome: Outcome) -> Outcome | None:
        """How the listing ended, with all its groups if it did well; `None`: there is another page."""
        if not isinstance(outcome, Applied):
            return outcome
        found, known = outcome.groups or (), len(self._groups)
        self._groups.update((group.group_id, group) for group in found)
        if len(found) < self.page.limit:
            return replace(outcome, groups=tuple(self._groups.values()))
        self._numbers += sum(len(one.numbers) for one in found)
        if len(self._groups) >= _MOST_GROUPS or self._numbers > _MOST_NUMBERS:
            return Unavailable("the listing does not end", in_doubt=False)
        if len(self._groups) == known:
            # Asked further, it would go on for ever; and what was not listed is not proved absent.
            return Unavailable("the listing repeats itself", in_doubt=False)
        self.page = replace(self.page, offset=self.page.offset + len(found))
        return None
