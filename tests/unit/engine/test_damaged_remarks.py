"""Vendors that cut texts off, change or lose them: a create makes one group all the same."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from engine_bench import LOST, Bench
from engine_commands import BY_KEY, command, create
from hypothesis import given
from hypothesis import strategies as st
from model_vendor import ModelGroup, ModelVendor

from numbergroup.engine.calls import Applied, Call, CallKind, Refused
from numbergroup.engine.commands import Command, CommandKey, CommandKind
from numbergroup.engine.group.creation import marker_of

Damage = Callable[[str], str]
OTHERS = "[ng:0123456789abcdef01]"


@dataclass
class DamagingVendor(ModelVendor):
    """Keeps of a group's remark and of its name what `of_remark` and `of_name` leave of them."""

    of_remark: Damage = str
    of_name: Damage = str

    def carry_out(self, call: Call) -> Applied | Refused:
        before = {*self.groups}
        outcome = super().carry_out(call)
        for group_id in self.groups.keys() - before:
            group = self.groups[group_id]
            group.remark, group.name = self.of_remark(group.remark), self.of_name(group.name)
        return outcome


def named(name: str | None = "sales", remark: str | None = "vip") -> Command:
    return command(CommandKind.CREATE, "c1", "ab", BY_KEY, group_name=name, remark=remark)


def create_without_an_answer(bench: Bench, vendor: ModelVendor, made: Command, *, lost: int = 5) -> None:
    """The vendor carries the first creates out, and nobody is told."""
    bench.deliver(made)
    while bench.waiting:
        if not bench.permits_wanted:
            bench.sleep()
            continue
        before = len(bench.flights)
        bench.grant()
        if len(bench.flights) == before:
            continue
        call = bench.flights[0].call
        outcome = vendor.carry_out(call)
        is_lost = call.kind is CallKind.CREATE and lost > 0
        lost -= is_lost
        bench.answer(LOST if is_lost else outcome)


def cut(length: int) -> Damage:
    return lambda text: text[:length]


@pytest.mark.parametrize(
    "of_remark",
    [cut(255), cut(23), str.upper, str.strip, lambda text: f" {text} \n(by api)", lambda text: text + OTHERS],
    ids=["cut", "cut behind the marker", "capitals", "stripped", "written around", "with another marker"],
)
@pytest.mark.parametrize("remark", [None, "vip", "x" * 250])
def test_what_keeps_the_marker_is_found(of_remark: Damage, remark: str | None) -> None:
    """A remark that is cut off behind the marker, or changed around it."""
    bench, vendor = Bench(), DamagingVendor(of_remark=of_remark)
    create_without_an_answer(bench, vendor, named(remark=remark))
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 1


@pytest.mark.parametrize("remark", [None, "vip"])
def test_a_marker_of_an_earlier_version_is_found(remark: str | None) -> None:
    """It stands at the end of the remark."""
    bench, vendor = Bench(), DamagingVendor()
    marker = f"[{marker_of(CommandKey('test', 'c1'))}]"
    vendor.of_remark = lambda _: f"{remark} {marker}" if remark else marker
    create_without_an_answer(bench, vendor, named(remark=remark))
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 1


@pytest.mark.parametrize(
    "of_remark",
    [cut(0), cut(3), cut(4), cut(12), cut(21), lambda text: text[24:]],
    ids=["none", "[ng", "[ng:", "a part", "nearly all", "without the marker"],
)
@pytest.mark.parametrize(
    "of_name",
    [str, cut(3), cut(0), str.upper, lambda name: f" {name}", lambda name: f"{name[:3]}…"],
    ids=["whole", "cut", "none", "capitals", "blank", "ellipsis"],
)
@pytest.mark.parametrize("name", ["sales", None])
def test_a_group_whose_marker_is_damaged_is_not_made_again(
    of_remark: Damage, of_name: Damage, name: str | None
) -> None:
    """It may be the create's own: the command fails, and its answer names the group."""
    bench, vendor = Bench(), DamagingVendor(of_remark=of_remark, of_name=of_name)
    create_without_an_answer(bench, vendor, named(name))
    (group_id,) = vendor.groups
    fault = bench.verdicts["c1"].fault
    assert bench.statuses == {"c1": "failed"}
    assert fault is not None
    assert fault.kind == "unavailable"
    assert group_id in fault.message
    assert "the group may have been made" in fault.message
    assert bench.intents_done == [BY_KEY]


@pytest.mark.parametrize("of_name", [cut(3), cut(0), str.upper])
def test_without_a_marker_a_damaged_name_proves_nothing(of_name: Damage) -> None:
    """An account without markers knows its groups by name and numbers."""
    bench, vendor = Bench(marker=False), DamagingVendor(of_name=of_name)
    create_without_an_answer(bench, vendor, named())
    assert bench.statuses == {"c1": "failed"}
    assert len(vendor.groups) == 1


@pytest.mark.parametrize(
    ("name", "numbers", "remark"),
    [
        ("sales", "abc", ""),
        ("support", "ab", ""),
        ("sales", "ab", OTHERS),
        ("sales", "ab", f"vip {OTHERS}"),
        ("sales", "ab", "[ng:0123"),
        ("sales", "ab", "[NG:0123"),
    ],
)
def test_groups_that_are_certainly_others(name: str, numbers: str, remark: str) -> None:
    """They have other numbers, another name, or the marker of another create, whole or cut off."""
    bench, vendor = Bench(), ModelVendor()
    vendor.groups["g-other"] = ModelGroup(name, remark, dict.fromkeys(numbers))
    bench.deliver(named())
    bench.call()
    bench.answer(LOST)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": "applied"}
    assert len(vendor.groups) == 2


@pytest.mark.parametrize(("kept", "status"), [("vip", "applied"), ("vi", "failed")])
def test_a_vendor_that_keeps_remarks_whole(kept: str, status: str) -> None:
    """Where the list shows a marker, beside a remark as long as the create's, a group without one is not the
    create's, whatever its name and numbers are."""
    bench, vendor = Bench(), ModelVendor()
    vendor.groups["g-1"] = ModelGroup("sales", "", dict.fromkeys("ab"))
    vendor.groups["g-2"] = ModelGroup("any", f"{OTHERS} {kept}", {})
    bench.deliver(named())
    bench.call()
    bench.answer(LOST)
    bench.run(vendor.carry_out)
    assert bench.statuses == {"c1": status}


@given(
    st.none() | st.text(max_size=40),
    st.none() | st.text(min_size=1, max_size=20),
    st.integers(0, 70),
    st.integers(0, 20),
    st.sampled_from([str, str.upper, str.lower, str.strip]),
    st.booleans(),
)
def test_one_group_for_one_create(
    remark: str | None, name: str | None, remark_length: int, name_length: int, changed: Damage, marker: bool
) -> None:
    """Whatever becomes of its texts, and however often its answer is lost."""
    vendor = DamagingVendor(
        of_remark=lambda text: changed(text)[:remark_length], of_name=lambda text: changed(text)[:name_length]
    )
    bench = Bench(marker=marker)
    create_without_an_answer(bench, vendor, named(name, remark))
    assert len(vendor.groups) == 1
    assert bench.statuses["c1"] in ("applied", "failed")
    if marker and remark_length >= 23 and changed is not str.strip:
        assert bench.statuses["c1"] == "applied"


def test_a_replay_of_a_create_that_failed_so_makes_the_group() -> None:
    """Who lets it be tried again has looked."""
    bench, vendor = Bench(), DamagingVendor(of_remark=cut(0))
    create_without_an_answer(bench, vendor, named())
    bench.deliver(create("c2", "ab"))
    assert bench.call().kind is CallKind.CREATE
