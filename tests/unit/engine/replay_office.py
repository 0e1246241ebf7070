"""The engine with a vendor, the ledger's letters, and an operator who lets them be tried again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from dataclasses import replace as but

from engine_bench import Bench
from engine_commands import BY_ID
from letter_book import LetterBook, description, field_of
from model_vendor import ModelVendor
from settlements import settlement_of

from numbergroup.engine.commands import Command, GroupRef, Origin
from numbergroup.engine.events import LookupResult, ReplaysExpected
from numbergroup.engine.replays import RetryHistory
from numbergroup.engine.settling.settlement import Settlement


def nothing() -> None:
    """Nothing happens meanwhile."""


@dataclass
class Office:
    """One group, `g-1` at the vendor, with these `members` at first. `units` is what was written."""

    ref: GroupRef = BY_ID
    members: Iterable[str] | None = ()
    vendor: ModelVendor = field(default_factory=ModelVendor)
    bench: Bench = field(default_factory=Bench)
    book: LetterBook = field(default_factory=LetterBook)
    commands: dict[str, Command] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    units: list[Settlement] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.members is not None:
            self.vendor.put("g-1", self.members)

    def facts(self, *groups: GroupRef) -> LookupResult:
        lettered = {ref for ref in groups if field_of(ref) in self.book.lettered}
        since = {ref: found for ref in groups if (found := self.book.known_since(ref))}
        return LookupResult(with_dead_letters=lettered, later_writes=since)

    def publish(self, *commands: Command, facts: LookupResult | None = None) -> None:
        self.commands.update((command.key.id, command) for command in commands)
        self.bench.deliver(*commands, facts=facts or self.facts(self.ref))

    def write(self) -> None:
        """What is settled becomes durable, as one unit."""
        for settle in self.bench.settles:
            self.statuses.update((one.command.key.id, one.status.value) for one in settle.verdicts)
        unit = settlement_of(self.bench.settles, self.bench.now)
        self.bench.settles.clear()
        self.book.write(unit)
        self.units.append(unit)

    def step(self) -> None:
        """One call more, or its answer, if there is a use for one."""
        if self.bench.flights:
            self.bench.answer(self.vendor.carry_out(self.bench.flights[0].call))
        elif self.bench.permits_wanted:
            self.bench.grant()

    def work(self) -> None:
        """Until nothing waits, and all of it is durable."""
        self.bench.run(self.vendor.carry_out)
        self.write()

    @property
    def letters(self) -> dict[str, str]:
        """The letters that are kept, by the ids of their commands."""
        return {description(one)["command"]["id"]: name for name, (_, one) in self.book.letters.items()}

    def again(self, name: str, meanwhile: Callable[[], None] = nothing, *, force: bool = False) -> Command:
        """Let the command's letter be tried again; `meanwhile` happens between looking up and delivering."""
        entry = self.book.replay(self.letters[name], force=force)
        first = self.commands[name]
        command = but(
            first,
            origins=[Origin(entry, 0)],
            retry_history=RetryHistory(entry.replay),
            stale=False,
            attempted=False,
        )
        self.bench.feed(ReplaysExpected(0, [command.group]))
        self.write()
        facts = self.facts(command.group)
        meanwhile()
        self.bench.deliver(command, facts=facts)
        return command
