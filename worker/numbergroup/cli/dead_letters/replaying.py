"""`numbergroup dead-letters replay`: shows a plan first, then replays page by page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import typer

from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.formatting import format_number
from numbergroup.cli.dead_letters.operator_session import (
    ActionResult,
    OperatorSession,
    change_by_pages,
    confirm,
)
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.output import pluralize, print_json
from numbergroup.engine.commands import Command
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.dead_letters.changing import PAGE, PAGE_BYTES, Action, LetterChanger, ReplayMove
from numbergroup.ledger.dead_letters.letter import Letter, Position
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.ledger.dead_letters.replay import (
    Obstacle,
    encode_replay,
    group_field,
    read_command,
    target_partition,
)
from numbergroup.ledger.dead_letters.staleness import Staleness, compute_staleness
from numbergroup.text.escaping import escaped

_LINES_SHOWN = 10
_NUMBERS_SHOWN = 5
_MAX_GROUPS_COUNTED = 1_000
_OTHER_GROUPS = "other groups"


@dataclass(slots=True, frozen=True)
class PlannedReplay:
    """The replay of one dead letter: its command or an obstacle, and what would be left out."""

    letter: Letter
    command: Command | Obstacle
    staleness: Staleness

    def as_json(self, *, reveal: bool) -> dict[str, Any]:
        """Return it as a line of `--dry-run --json`."""
        return {
            "id": self.letter.id,
            "account": self.letter.details.account,
            "group": self.letter.details.group,
            "obstacle": self.command.reason if isinstance(self.command, Obstacle) else None,
            "superseded": self.staleness.superseded,
            "stale": [format_number(number, reveal=reveal) for number in self.staleness.left_out],
        }


@dataclass(slots=True)
class ReplayPlan:
    """What a replay would do. Its memory is bounded, except for the positions of the dead letters.

    `groups` counts the dead letters of the first thousand groups, by name. `obstacles` counts those that
    cannot be replayed, `stale` those with later decisions, `superseded` those of which nothing is left.
    `crashed` counts those whose messages crashed workers, `unwatched` those that may be stale unnoticed.
    """

    force: bool
    reveal: bool
    positions: list[Position] = field(default_factory=list)
    groups: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    superseded: int = 0
    obstacles: int = 0
    crashed: int = 0
    unwatched: int = 0
    stale_lines: list[str] = field(default_factory=list)
    obstacle_lines: list[str] = field(default_factory=list)

    def add(self, planned: PlannedReplay) -> None:
        """Add the replay of one dead letter."""
        letter, command, staleness = planned.letter, planned.command, planned.staleness
        if isinstance(command, Obstacle):
            self.obstacles += 1
            _append_if_shown(self.obstacle_lines, f"{letter.id}: {command.reason}")
            return
        self.positions.append(letter.position)
        group = letter.details.group or "no group"
        is_counted = group in self.groups or len(self.groups) < _MAX_GROUPS_COUNTED
        self.groups[group if is_counted else _OTHER_GROUPS] += 1
        self.crashed += letter.details.error.kind == "crashed"
        self.unwatched += letter.order is None or letter.watched_ms is not None
        if staleness:
            self.stale += 1
            self.superseded += staleness.superseded
            left_out = self._describe_left_out(command, staleness)
            _append_if_shown(self.stale_lines, f"{letter.id}: {group}: {left_out}")

    def _describe_left_out(self, command: Command, staleness: Staleness) -> str:
        if staleness.superseded:
            return "all of it was decided since"
        count = len(staleness.left_out)
        shown = [format_number(number, reveal=self.reveal) for number in staleness.left_out[:_NUMBERS_SHOWN]]
        more = ", …" if count > len(shown) else ""
        total = pluralize(len(command.targets), "name" if command.text_fields else "number")
        return f"{count} of {total} decided since: {', '.join(shown)}{more}"

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "letters": len(self.positions) + self.obstacles,
            "replayable": len(self.positions),
            "stale": self.stale,
            "superseded": self.superseded,
            "obstacles": self.obstacles,
            "force": self.force,
        }

    def describe(self) -> list[str]:
        """Return the lines that the operator sees before the replay."""
        count = len(self.positions)
        lines = [f"{pluralize(count, 'dead letter')} of {self._count_groups()} can be replayed"]
        largest = self.groups.most_common(_LINES_SHOWN)
        if len(self.groups) > 1:
            lines += [f"  {letters:>9,}  {group}" for group, letters in largest]
            if len(self.groups) > len(largest):
                lines.append(f"  {count - sum(letters for _, letters in largest):>9,}  others")
        if self.stale:
            effect = "included because of --force" if self.force else "left out (--force includes them)"
            lines.append(
                f"{pluralize(self.stale, 'dead letter')} stale, {self.superseded:,} of them completely: "
                f"numbers that later commands have decided are {effect}"
            )
            lines += _indent(self.stale_lines, self.stale)
        if self.unwatched:
            lines.append(
                f"{pluralize(self.unwatched, 'dead letter')} may be stale: not all later decisions are known "
                "(see `dead-letters show`)"
            )
        if self.crashed:
            lines.append(
                f"{pluralize(self.crashed, 'dead letter')} of messages that crashed workers repeatedly: "
                "watch the workers"
            )
        if self.obstacles:
            lines.append(f"{pluralize(self.obstacles, 'dead letter')} cannot be replayed")
            lines += _indent(self.obstacle_lines, self.obstacles)
        return lines

    def _count_groups(self) -> str:
        has_others = _OTHER_GROUPS in self.groups
        return ("more than " if has_others else "") + pluralize(len(self.groups) - has_others, "group")


def run(
    letter_filter: DeadLetterFilter, *, dry_run: bool, force: bool, yes: bool, as_json: bool, reveal: bool
) -> None:
    """Replay the dead letters. Exit code 1 when there are some, and none can be replayed."""
    session = OperatorSession()
    intake = session.make_intake()
    plan = ReplayPlan(force=force, reveal=reveal)
    action = session.make_action("replay", {"force": True} if force else {})
    lists_each = dry_run and as_json

    async def look(reader: LetterReader, _: LetterChanger) -> int:
        action.selection |= letter_filter.as_json(await reader.server_time())
        page: list[Letter] = []
        async for letter in letter_filter.scan(reader):
            page.append(letter)
            if len(page) == PAGE or sum(len(member.body) for member in page) > PAGE_BYTES:
                await _add_page(plan, reader, page, intake, prints=lists_each)
                page.clear()
        await _add_page(plan, reader, page, intake, prints=lists_each)
        return await reader.read_partition_count()

    partitions = session.run(look)
    if not as_json:
        for line in plan.describe():
            typer.echo(escaped(line))
    if dry_run:
        _end_dry_run(plan, as_json=as_json)
    elif plan.positions:
        if len(plan.positions) > 1:
            confirm(f"Replay {pluralize(len(plan.positions), 'dead letter')}?", yes=yes)
        plan.positions.sort()
        result = replay_letters(session, plan.positions, action, partitions=partitions, force=force)
        result.report("replayed", plan.as_json() if as_json else None)
    elif as_json:
        print_json(plan.as_json() | {"replayed": 0, "gone": 0, "left": 0})
    if plan.obstacles and not plan.positions:
        raise typer.Exit(ExitCode.FAILED)


def replay_letters(
    session: OperatorSession, positions: Sequence[Position], action: Action, *, partitions: int, force: bool
) -> ActionResult:
    """Move the dead letters at these positions to the replay streams, in this order."""
    intake = session.make_intake()

    async def change(reader: LetterReader, changer: LetterChanger, letters: list[Letter]) -> Sequence[bool]:
        now = await reader.server_time()
        moves = []
        for letter in letters:
            command = read_command(letter, intake, now)
            if isinstance(command, Command):
                replay = encode_replay(letter, command, force=force)
                partition = target_partition(command, letter, partitions)
                moves.append(ReplayMove(letter, partition, letter.body, replay, group_field(command)))
        return await changer.replay(action, moves)

    return change_by_pages(session, positions, "replaying", change)


async def _add_page(
    plan: ReplayPlan, reader: LetterReader, letters: Sequence[Letter], intake: Intake, *, prints: bool
) -> None:
    """Add a page of dead letters to the plan; with `prints`, print each as JSON."""
    now = await reader.server_time()
    commands = [read_command(letter, intake, now) for letter in letters]
    lookups = [
        (field, command.targets)
        for command in commands
        if isinstance(command, Command) and (field := group_field(command)) is not None
    ]
    decisions = iter(await reader.read_decisions(lookups))
    for letter, command in zip(letters, commands, strict=True):
        staleness = Staleness()
        if isinstance(command, Command) and group_field(command) is not None:
            staleness = compute_staleness(command, letter.order or 0, next(decisions))
        planned = PlannedReplay(letter, command, staleness)
        plan.add(planned)
        if prints:
            print_json(planned.as_json(reveal=plan.reveal))


def _end_dry_run(plan: ReplayPlan, *, as_json: bool) -> None:
    if as_json:
        print_json({"plan": plan.as_json()})
    else:
        typer.echo("Nothing was changed.")


def _append_if_shown(lines: list[str], line: str) -> None:
    if len(lines) < _LINES_SHOWN:
        lines.append(line)


def _indent(lines: Sequence[str], count: int) -> list[str]:
    more = [f"  and {count - len(lines):,} more (--dry-run --json lists all)"] if count > len(lines) else []
    return [f"  {line}" for line in lines] + more
