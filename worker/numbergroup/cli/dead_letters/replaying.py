"""`numbergroup dead-letters replay`: a plan first, then page by page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import typer

from numbergroup.cli.dead_letters.filters import DeadLetterFilter
from numbergroup.cli.dead_letters.masking import mask_number
from numbergroup.cli.dead_letters.operator_session import ActionResult, OperatorSession, carry_out, confirm
from numbergroup.cli.exit_codes import ExitCode
from numbergroup.cli.screen import counted, print_json
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

_SHOWN = 10
_NUMBERS_SHOWN = 5
_GROUPS_COUNTED = 1_000
_ELSEWHERE = "other groups"

Planned = tuple[Letter, Command | Obstacle, Staleness]


@dataclass(slots=True)
class Plan:
    """What a replay would do. Of each letter its position is kept; of stale and hopeless ones, some lines.

    `groups` counts the letters of the first thousand groups by name.
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

    def add(self, planned: Planned) -> None:
        letter, command, stale = planned
        if isinstance(command, Obstacle):
            self.obstacles += 1
            _note(self.obstacle_lines, f"{letter.id}: {command.reason}")
            return
        self.positions.append(letter.position)
        group = letter.details.group or "no group"
        known = group in self.groups or len(self.groups) < _GROUPS_COUNTED
        self.groups[group if known else _ELSEWHERE] += 1
        self.crashed += letter.details.error.kind == "crashed"
        self.unwatched += letter.order is None or letter.watched_ms is not None
        if stale:
            self.stale += 1
            self.superseded += stale.superseded
            _note(self.stale_lines, f"{letter.id}: {group}: {self._left_out(command, stale)}")

    def _left_out(self, command: Command, stale: Staleness) -> str:
        if stale.superseded:
            return "all of it was decided since"
        shown = ", ".join(self.number(one) for one in stale.left_out[:_NUMBERS_SHOWN])
        more = ", …" if len(stale.left_out) > _NUMBERS_SHOWN else ""
        numbers = counted(len(command.targets), "name" if command.text_fields else "number")
        return f"{len(stale.left_out)} of {numbers} decided since: {shown}{more}"

    def number(self, number: str) -> str:
        return number if self.reveal else mask_number(number)

    def as_json(self) -> dict[str, Any]:
        return {
            "letters": len(self.positions) + self.obstacles,
            "replayable": len(self.positions),
            "stale": self.stale,
            "superseded": self.superseded,
            "obstacles": self.obstacles,
            "force": self.force,
        }

    def lines(self) -> list[str]:
        said = [f"{counted(len(self.positions), 'letter')} of {self._groups()} can be replayed"]
        most = self.groups.most_common(_SHOWN)
        if len(self.groups) > 1:
            said += [f"  {count:>9,}  {group}" for group, count in most]
            if len(self.groups) > len(most):
                said.append(f"  {len(self.positions) - sum(count for _, count in most):>9,}  others")
        if self.stale:
            what = "included all the same" if self.force else "left out of the replay (--force includes them)"
            said.append(
                f"{counted(self.stale, 'letter')} stale, {self.superseded:,} of them altogether: numbers "
                f"that later commands have decided since are {what}"
            )
            said += _indented(self.stale_lines, self.stale)
        if self.unwatched:
            said.append(
                f"{counted(self.unwatched, 'letter')} may be stale without anybody knowing: see `show`"
            )
        if self.crashed:
            said.append(
                f"{counted(self.crashed, 'letter')} of messages that workers died of: mind the workers"
            )
        if self.obstacles:
            said.append(f"{counted(self.obstacles, 'letter')} cannot be replayed")
            said += _indented(self.obstacle_lines, self.obstacles)
        return said

    def _groups(self) -> str:
        more = "more than " if _ELSEWHERE in self.groups else ""
        return more + counted(len(self.groups) - bool(more), "group")


def run(asked: DeadLetterFilter, dry_run: bool, force: bool, yes: bool, as_json: bool, reveal: bool) -> None:
    """Exit code 1 when there were letters, and none could be replayed."""
    session = OperatorSession()
    intake = Intake(session.settings.max_message_bytes, session.settings.spellings)
    plan, action = Plan(force, reveal), session.action("replay", {"force": True} if force else {})

    async def look(reader: LetterReader, _: LetterChanger) -> int:
        action.selection |= asked.as_json(await reader.server_time())
        page: list[Letter] = []
        async for letter in asked.letters(reader):
            page.append(letter)
            if len(page) == PAGE or sum(len(one.body) for one in page) > PAGE_BYTES:
                await _plan(reader, page, intake, plan, show=dry_run and as_json)
                page.clear()
        await _plan(reader, page, intake, plan, show=dry_run and as_json)
        return await reader.read_partition_count()

    partitions = session.run(look)
    if not as_json:
        for line in plan.lines():
            typer.echo(escaped(line))
    if dry_run:
        _end_dry_run(plan, as_json)
    elif plan.positions:
        if len(plan.positions) > 1:
            confirm(f"Replay {counted(len(plan.positions), 'letter')}?", yes=yes)
        plan.positions.sort()
        carry_out_replay(session, plan.positions, action, intake, partitions, force=force).end(
            "replayed", plan.as_json() if as_json else None
        )
    elif as_json:
        print_json(plan.as_json() | {"replayed": 0, "gone": 0, "left": 0})
    if plan.obstacles and not plan.positions:
        raise typer.Exit(ExitCode.FAILED)


def carry_out_replay(
    session: OperatorSession,
    positions: Sequence[Position],
    action: Action,
    intake: Intake,
    partitions: int,
    *,
    force: bool,
) -> ActionResult:
    """Move the letters at these places to the side logs, in this order."""

    async def change(reader: LetterReader, changer: LetterChanger, letters: list[Letter]) -> Sequence[bool]:
        now = await reader.server_time()
        moves = []
        for letter in letters:
            command = read_command(letter, intake, now)
            if isinstance(command, Command):
                replay = encode_replay(letter, command, force=force)
                place = target_partition(command, letter, partitions)
                moves.append(ReplayMove(letter, place, letter.body, replay, group_field(command)))
        return await changer.replay(action, moves)

    return carry_out(session, positions, "replaying", change)


async def _plan(
    reader: LetterReader, letters: Sequence[Letter], intake: Intake, plan: Plan, *, show: bool
) -> None:
    """Add a page of letters to the plan."""
    now = await reader.server_time()
    read_ones = [(letter, read_command(letter, intake, now)) for letter in letters]
    asked = [
        (field, command.targets)
        for _, command in read_ones
        if isinstance(command, Command) and (field := group_field(command)) is not None
    ]
    decided = iter(await reader.read_decisions(asked))
    for letter, command in read_ones:
        stale = Staleness()
        if isinstance(command, Command) and group_field(command) is not None:
            stale = compute_staleness(command, letter.order or 0, next(decided))
        plan.add((letter, command, stale))
        if show:
            print_json(_as_json(letter, command, stale, plan))


def _as_json(letter: Letter, command: Command | Obstacle, stale: Staleness, plan: Plan) -> dict[str, Any]:
    return {
        "id": letter.id,
        "account": letter.details.account,
        "group": letter.details.group,
        "obstacle": command.reason if isinstance(command, Obstacle) else None,
        "superseded": stale.superseded,
        "stale": [plan.number(one) for one in stale.left_out],
    }


def _end_dry_run(plan: Plan, as_json: bool) -> None:
    if as_json:
        print_json({"plan": plan.as_json()})
    else:
        typer.echo("Nothing was changed.")


def _note(lines: list[str], line: str) -> None:
    if len(lines) < _SHOWN:
        lines.append(line)


def _indented(lines: Sequence[str], count: int) -> list[str]:
    more = [f"  and {count - len(lines):,} more (--dry-run --json lists all)"] if count > len(lines) else []
    return [f"  {line}" for line in islice(lines, _SHOWN)] + more
