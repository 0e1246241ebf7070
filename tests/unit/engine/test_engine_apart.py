"""Accounts and partitions are apart: what happens to one does not touch another."""

from engine_commands import add

from numbergroup.engine.calls import AccountFault, Applied
from numbergroup.engine.commands import Command, CommandKind, GroupRef, HandleKind
from numbergroup.engine.effects import Effect, Settle, StartCall, WantPermit
from numbergroup.engine.engine import Engine
from numbergroup.engine.events import CallFinished, Delivered, LookupResult, PartitionLost, PermitGranted
from numbergroup.engine.policy import AccountPolicy
from numbergroup.engine.verdicts import Verdict

POLICY = AccountPolicy(1_000, 1, frozenset(CommandKind))


def group(account: str, name: str = "g-1") -> GroupRef:
    return GroupRef(account, HandleKind.ID, name)


def delivered(engine: Engine, partition: int, *commands: Command) -> list[Effect]:
    return engine.handle(Delivered(partition, commands, LookupResult(), 0.0))


def started(engine: Engine, account: str) -> StartCall:
    (call,) = [one for one in engine.handle(PermitGranted(account, 0.0)) if isinstance(one, StartCall)]
    return call


def settled(effects: list[Effect]) -> list[tuple[int, str]]:
    """Who was settled, and in which partition."""
    return [
        (effect.partition, verdict.command.key.id)
        for effect in effects
        if isinstance(effect, Settle)
        for verdict in effect.verdicts
        if isinstance(verdict, Verdict)
    ]


def test_a_paused_account_holds_up_no_other() -> None:
    """Bad credentials of one account: the others are called as if nothing were."""
    engine = Engine({"one": POLICY, "two": POLICY})
    delivered(engine, 0, add("c1", "a", group("one")))
    call = started(engine, "one")
    engine.handle(CallFinished(call.call_id, AccountFault("1003", "invalid signature"), 0.0, 0.5))
    assert delivered(engine, 0, add("c2", "a", group("two"))) == [WantPermit("two")]
    call = started(engine, "two")
    assert settled(engine.handle(CallFinished(call.call_id, Applied("r1"), 0.0, 0.5))) == [(0, "c2")]


def test_one_account_s_slots_are_not_another_s() -> None:
    """A call in flight takes a slot of its own account only."""
    engine = Engine({"one": POLICY, "two": POLICY})
    delivered(engine, 0, add("c1", "a", group("one")), add("c2", "a", group("one", "g-2")))
    started(engine, "one")
    assert delivered(engine, 0, add("c3", "a", group("two"))) == [WantPermit("two")]


def test_the_same_group_id_in_two_accounts_is_two_groups() -> None:
    """Mailboxes belong to an account: nothing of one is merged into the other."""
    engine = Engine({"one": POLICY, "two": POLICY})
    delivered(engine, 0, add("c1", "a", group("one")), add("c2", "b", group("two")))
    assert started(engine, "one").call.numbers == ("a",)
    assert started(engine, "two").call.numbers == ("b",)


def test_a_lost_partition_leaves_the_others() -> None:
    """Calls of other partitions go on and are settled there; theirs is still owed."""
    engine = Engine({"one": AccountPolicy(1_000, 2, frozenset(CommandKind))})
    delivered(engine, 0, add("c1", "a", group("one")))
    delivered(engine, 1, add("c2", "b", group("one", "g-2")))
    first, second = started(engine, "one"), started(engine, "one")
    engine.handle(PartitionLost(0))
    assert (engine.memory_load(0), engine.memory_load(1)) == (0, 1)
    assert settled(engine.handle(CallFinished(first.call_id, Applied("r1"), 0.0, 0.5))) == []
    assert settled(engine.handle(CallFinished(second.call_id, Applied("r2"), 0.0, 0.5))) == [(1, "c2")]


def test_an_answer_to_an_unknown_call_is_ignored() -> None:
    """Told twice, or of a call that it never made, the engine does nothing."""
    engine = Engine({"one": POLICY})
    delivered(engine, 0, add("c1", "a", group("one")))
    call = started(engine, "one")
    engine.handle(CallFinished(call.call_id, Applied("r1"), 0.0, 0.5))
    assert engine.handle(CallFinished(call.call_id, Applied("r1"), 0.0, 0.5)) == []
    assert engine.handle(CallFinished(4711, Applied("r1"), 0.0, 0.5)) == []
