"""Letters as they lie in the ledger."""

import orjson
from dead_letters_written import letter, update
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.ledger.dead_letters.letter import Letter, Position, decode_letter, description_with
from numbergroup.ledger.dead_letters.selection import Selection

names = st.sampled_from([b"id", b"letter", b"body", b"order", b"watched", b"original", b"x"])


def made(entry: str = "5-1", **how: object) -> Letter:
    one = letter(**how)  # type: ignore[arg-type]
    fields = {b"id": one["described"]["id"].encode(), b"letter": orjson.dumps(one["described"])}
    fields[b"body"] = one["body"]
    if one["order"] is not None:
        fields[b"order"] = str(one["order"]).encode()
    return Letter(0, entry, fields)


@given(st.dictionaries(names, st.binary()))
def test_whatever_is_there(fields: dict[bytes, bytes]) -> None:
    """Reading raises nothing, and every selection can be asked."""
    one = decode_letter(0, b"77-1", fields)
    assert one.id
    assert one.failed_at
    assert (one.group_field is None) or one.order is not None
    Selection(group="g-1", kind="refused", before=one.failed_at).matches(one)
    assert Position.from_letter(one).entry == "77-1"
    orjson.loads(description_with(one, group=None))


@given(
    st.lists(st.tuples(st.integers(0, 2**53 - 1), st.integers(0, 2**40), st.integers(0, 2**20)), unique=True)
)
def test_positions(places: list[tuple[int, int, int]]) -> None:
    """They sort by order, then by when they were written; and say which entry it is."""
    letters = [made(f"{ms}-{serial}", order=order) for order, ms, serial in places]
    positions = sorted(one.position for one in letters)
    assert [one.entry for one in positions] == [f"{ms}-{serial}" for _, ms, serial in sorted(places)]
    assert {one.size for one in positions} == {sum(map(len, one.fields.values())) for one in letters}


def test_selections() -> None:
    """All that is given has to hold; a bare handle is of either kind."""
    one = made(group="key:k-1", account="hk", kind="failed", fingerprint="ab")
    assert Selection().matches(one)
    assert Selection("hk", "key:k-1", "ab", "failed", one.failed_at, one.failed_at).matches(one)
    assert Selection(group="k-1").matches(one)
    for other in (
        Selection(account="default"),
        Selection(group="id:k-1"),
        Selection(group="k"),
        Selection(fingerprint="abc"),
        Selection(kind="refused"),
    ):
        assert not other.matches(one)
    assert not Selection(group="k-1").matches(made(group=None, body=update("c-1")))
