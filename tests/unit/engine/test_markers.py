"""The marker of a create is ours: whoever sees a group's remark sees what its producer wrote."""

import pytest
from engine_bench import Bench
from engine_commands import BY_KEY, create, listing
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.engine.calls import Applied, Call, CallKind, Group
from numbergroup.engine.group.creation import add_marker, strip_marker

MARKER = "[ng:0123456789abcdef01]"


def remark_of(text: str) -> str:
    return strip_marker(Group("g", "n", text, ())).remark


@given(st.none() | st.text(max_size=12), st.text(min_size=1, max_size=8))
def test_a_remark_comes_back_as_it_was_given(remark: str | None, command_id: str) -> None:
    """Whatever it is, its blanks at the end included."""
    call = add_marker(Call(CallKind.CREATE, remark=remark), create(command_id, "a"))
    assert call.remark is not None
    assert remark_of(call.remark) == (remark or "")


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        (f"{MARKER} vip", "vip"),
        (f"{MARKER.upper()} VIP", "VIP"),
        (f"vip {MARKER}", "vip"),
        (MARKER, ""),
        (f"vip {MARKER} checked by Ann", "vip checked by Ann"),
        (f"{MARKER} checked", "checked"),
        ("[ng:0123456789", ""),
        ("[ng:", ""),
        ("vip [ng:", "vip"),
        ("vip [ng", "vip [ng"),
        ("vip [", "vip ["),
        ("vip [ng:0123456789", "vip"),
        ("vip [ng:0123456789abcdef01", "vip"),
        ("vip [ng:hello]", "vip [ng:hello]"),
        ("vip [ng:0123]", "vip [ng:0123]"),
        ("vip", "vip"),
    ],
)
def test_only_the_marker_is_left_out(listed: str, shown: str) -> None:
    """Also one of an earlier version, at the end, one that others have written around, and one that the
    vendor cut off; and nothing that may be people's own."""
    assert remark_of(listed) == shown


def test_a_list_result_has_no_marker() -> None:
    """The producer's own remark is in it, for the group's own create to find it by the marker is enough."""
    bench = Bench()
    bench.deliver(listing("l"))
    bench.run(lambda _: Applied("r", groups=(Group("g", "n", f"vip {MARKER}", ("a",)),), total=1))
    assert bench.verdicts["l"].groups == (Group("g", "n", "vip", ("a",)),)


def test_a_lost_create_is_still_found() -> None:
    """What the engine itself looks for in a listing is as the vendor has it."""
    bench = Bench()
    command = create("c", "a", group=BY_KEY, remark="vip")
    sent: list[Call] = []

    def vendor(call: Call) -> Applied:
        sent.append(call)
        return Applied("r", "g-9")

    bench.deliver(command)
    bench.run(vendor)
    assert sent[0].remark is not None
    assert sent[0].remark.startswith("[ng:")
    assert sent[0].remark.endswith("] vip")
