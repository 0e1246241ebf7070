"""What a run is a function of: plain data, which can be printed and made smaller."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

PROCESS_FAULTS = ("kill", "freeze", "stop")
"""A process is killed, frozen or told to stop; `for_s` later another is started in its slot, or it thaws."""

WORLD_FAULTS = (
    "ledger away",
    "broker away",
    "ledger stalls",
    "settling is slow",
    "vendor away",
    "vendor down",
    "bad credentials",
    "vendor throttles",
    "vendor slow",
    "account paused",
    "group paused",
    "redelivery",
    "letters fail",
    "replay",
    "writes are lost",
    "replica takes over",
)
"""The ledger or the broker refuses everything for `for_s`; the ledger carries out late what it was asked, and
answers nothing meanwhile; settlements take long; the vendor cannot be connected to, answers 503 only,
takes our credentials for wrong ones, turns every tenth call away, or takes its time; an operator pauses the
first account, or the first group; a connection to the broker is lost, and with it all acknowledgements on
their way; so many units with dead letters are not taken (`for_s` counts them); an operator lets what was
refused be tried again (after the vendor has mended, with a `slot`); the ledger (on Redis the broker, too)
comes back after `for_s` without its last writes (`slot` counts them), or a replica takes over without
them."""

LOSSES = ("writes are lost", "replica takes over")
"""Those after which the ledger has another history."""

TROUBLES = ("vendor down", "bad credentials", "vendor throttles", "account paused", "group paused")
"""Those of the world's faults that are the vendor's or an operator's."""

ASK_FAULTS = ("fails before", "fails after", "comes late")
"""One request to broker or ledger fails, before or after it took effect; or it is given up on its way, and
takes effect `for_s` later, whatever was asked since."""

ANYTHING = ("says anything", "applied, says anything")

CALL_FAULTS = (
    "not connected",
    "lost before",
    "lost after",
    "late",
    "throttled",
    "throttled for a while",
    "throttled by text",
    "503",
    "500 applied",
    "500",
    "account fault",
    "refused",
    "unknown code",
    "garbage applied",
    "garbage",
    "slow",
    "too slow",
    *ANYTHING,
    "unknown code applied",
    "hides a group",
)
"""What becomes of one request to the vendor; `for_s` is how late it arrives, or how long the pause is. The
vendor says anything (`slot` tells what), whether it has carried the call out or not; it refuses a create that
it carried out; it lists one group too
few."""

DOUBTFUL = frozenset(
    {
        *("lost before", "lost after", "late", "500 applied", "500", "garbage applied", "garbage"),
        *ANYTHING,
        "unknown code applied",
    }
)


MAX_CRASHES = 3
"""The fewest that may be set: the easier for an innocent to be condemned."""

DEADLY = "85288888888"
"""The number of the command that kills in the plan's `deadly_step`, if that is no step of reading."""

HARMLESS = "85277777777"
"""Another number of that command, which may go out in a call before."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is published, when (seconds) and where."""

    at: float
    partition: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """`unit` says what `at` counts: seconds (`s`), of the slot's process its `step`s or its `ask`s (requests
    to broker and ledger), or `call`s (requests to the vendor, of all processes)."""

    kind: str
    unit: str
    at: float
    slot: int = 0
    for_s: float = 0.0

    def __str__(self) -> str:
        where = f"{self.at:.3f} s" if self.unit == "s" else f"{self.unit} {self.at:.0f}"
        lasts = f", {self.for_s:.3f}" if self.for_s else ""
        return f"{self.kind} at {where} (slot {self.slot}{lasts})"


def spelt(number: str) -> str:
    """The one spelling of a number that producers also write without its country code."""
    return f"85{number}" if number.startswith("21") else number


@dataclass(frozen=True, slots=True)
class AccountPlan:
    name: str
    calls_per_second: float = 20.0
    max_in_flight: int = 4
    numbers_per_call: int = 1000
    marker: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """`starts`: when the process of each slot starts. `initial`: the vendor's groups, by account and id.
    `page_cap`: the most groups that the vendor lists at once; `counts_pages`: its `total` is of the page.
    `remark_length`: what it keeps of a remark. `rejects`: numbers that never come into a group, and are
    named. `deadly_step`: the step in which workers die of a message that has the bytes of `killer`, or of a
    command that has the number `DEADLY`."""

    seed: int
    transactional: bool = True
    partitions: int = 1
    starts: tuple[float, ...] = (0.0,)
    accounts: tuple[AccountPlan, ...] = (AccountPlan("default"),)
    window_s: float = 8.0
    lease_ttl_s: float = 8.0
    timeout_s: float = 2.0
    attempts: int = 3
    linger_s: float = 0.0
    max_pending: int = 200
    record_s: float = 3600.0
    read_count: int = 50
    initial: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    page_cap: int = 1000
    counts_pages: bool = False
    remark_length: int = 1000
    poison: frozenset[str] = frozenset()
    rejects: frozenset[str] = frozenset()
    killer: bytes = b""
    deadly_step: str = ""
    messages: tuple[Message, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def workers(self) -> int:
        return len(self.starts)

    @property
    def is_calm(self) -> bool:
        """Whether no process dies or loses what it owns, so that nothing is done twice."""
        harmless = all(fault.kind in CALL_FAULTS for fault in self.faults)
        return harmless and self.workers == 1 and not self.deadly_step

    @property
    def is_shaken(self) -> bool:
        """Whether a process may not know what it was told, or do late what it was right to do before."""
        return any(fault.kind not in (*CALL_FAULTS, *TROUBLES) for fault in self.faults)

    @property
    def is_still(self) -> bool:
        """Whether nothing at all goes wrong, and everything waits when the only worker starts."""
        whole = self.max_pending > len(self.messages) * 5
        said = b"".join(one.body for one in self.messages)
        plain = (
            not (self.poison or self.deadly_step) and b"expirytime" not in said and b"sequence" not in said
        )
        late = all(message.at < self.starts[0] for message in self.messages)
        return not self.faults and self.workers == 1 and whole and plain and late

    def without(self, messages: Sequence[int] = (), faults: Sequence[int] = ()) -> "Plan":
        """The plan without the messages and the faults of these places."""
        return replace(
            self,
            messages=tuple(one for place, one in enumerate(self.messages) if place not in messages),
            faults=tuple(one for place, one in enumerate(self.faults) if place not in faults),
        )


@dataclass(slots=True)
class Broken(Exception):
    """A promise that was not kept: `kind` names the check, the sentence says what is broken."""

    kind: str
    sentence: str
    at: float = field(default=0.0)

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence} (at {self.at:.3f} s)"


def described(plan: Plan) -> list[str]:
    """The plan for people, a line for each thing in it."""
    starts = ", ".join(f"{one:.2f} s" for one in plan.starts)
    lines = [
        f"seed {plan.seed}: {'transactional' if plan.transactional else 'stepwise'} broker",
        f"{plan.partitions} partition(s), workers start at {starts}",
        f"lease {plan.lease_ttl_s:g} s, signatures {plan.window_s:g} s, timeout {plan.timeout_s:g} s",
        f"linger {plan.linger_s:g} s, {plan.max_pending} pending, {plan.read_count} at once",
        f"{plan.attempts} attempts in a call, records kept for {plan.record_s:g} s",
        *(f"account {one}" for one in plan.accounts),
        *(f"group {group} of {account}: {', '.join(numbers)}" for account, group, numbers in plan.initial),
    ]
    if plan.page_cap < 1000:
        lines.append(f"{plan.page_cap} groups a page at most")
    if plan.remark_length < 1000:
        lines.append(f"remarks are cut off behind {plan.remark_length} characters")
    if plan.counts_pages:
        lines.append("the total of a page is the number of its groups")
    if plan.poison:
        lines.append(f"refused numbers: {min(plan.poison)} to {max(plan.poison)}")
    if plan.rejects:
        lines.append(f"numbers that are not taken: {', '.join(sorted(plan.rejects))}")
    if plan.killer:
        lines.append(f"messages with {plan.killer.decode()} kill")
    if plan.deadly_step:
        lines.append(f"what kills does so in the step {plan.deadly_step!r}")
    lines += [f"{one.at:8.3f} s  partition {one.partition}  {one.body.decode()}" for one in plan.messages]
    return lines + [str(fault) for fault in plan.faults]


def spellings(plan: Plan) -> dict[str, Callable[[str], str]]:
    """As intake takes them: all accounts of a plan know the short way to write a number."""
    return {account.name: spelt for account in plan.accounts}
