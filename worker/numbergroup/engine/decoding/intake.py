"""Intake: bytes become commands or refusals. Nothing that other programs send makes it raise.

What has a readable `(source, id)` can be answered; what has not is kept as a dead letter with its
raw bytes. Each event of an array stands for itself: it comes to the same end as if it had come
alone, whatever its neighbours are. Only a body that is no array of 1 to 1,000 events is refused as
a whole, and even then those that can be read are answered.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as but
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from pydantic import ValidationError
from pydantic_core import from_json

from numbergroup.engine.commands import (
    CRASHED,
    Command,
    CommandKey,
    CommandKind,
    Entry,
    GroupRef,
    HandleKind,
    Origin,
    Refusal,
    build_tuple,
)
from numbergroup.engine.decoding.fast_decode import (
    EventDict,
    InvalidCombination,
    check_combination,
    parse_event,
    parse_events,
)
from numbergroup.engine.decoding.lenient_decode import BOM, SPACE, member_bytes, split_array, string_members
from numbergroup.engine.replays import Replay, RetryHistory
from numbergroup_contracts.commands import (
    COMMAND_ADAPTER,
    CREATE,
    DELETE,
    LIST,
    OPERATIONS,
    RENAME,
    UPDATE,
    AnyCommand,
    unique_numbers,
)
from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE, PRINTABLE
from numbergroup_contracts.explanation import explain
from numbergroup_contracts.results import Status

DEFAULT_ACCOUNT = "default"
LIST_LIMIT = 1000

_UPDATES = {wire: (CommandKind[asked.upper()], asked) for wire, asked in OPERATIONS.items()}
_ID, _KEY, _OWN = HandleKind.ID, HandleKind.KEY, HandleKind.OWN
_N, _F = b"Nf"
_PEEK = 65_536
_LONGEST_TEXT = 255
_SHORTEST = len('{"id":"a","source":"b"}')
_PRINTABLE = re.compile(PRINTABLE)

# Of the group that many commands are of there is one in memory, and it is found faster than made.
_shared = lru_cache(8_192)(GroupRef)
Spellings = Mapping[str, Callable[[str], str]]

_explained: Final[Callable[[bytes], AnyCommand]] = COMMAND_ADAPTER.validator.validate_json


@dataclass(slots=True, frozen=True)
class Intake:
    """`max_bytes`: what a message may have; of a larger one only the beginning is looked at.

    `spellings`: by account, what makes one spelling of all ways to write a number. It is applied here and
    nowhere else, so that all that follows (the look-up of what was decided, merging, calls, results) goes by
    the same numbers.
    """

    max_bytes: int = 1_048_576
    spellings: Spellings = field(default_factory=dict)

    def read(self, entry: Entry) -> list[Command | Refusal]:
        """The commands of one message in order, without those that `entry.settled` names.

        Fills in `entry.is_array` and `entry.total`. An attribute of an event goes before the property
        of its message.
        """
        items = self._read(entry)
        if self.spellings:
            for item in items:
                if isinstance(item, Command) and (spelling := self.spellings.get(item.group.account)):
                    item.normalize_numbers(spelling)
        return items

    def _read(self, entry: Entry) -> list[Command | Refusal]:
        body = entry.body
        is_array = not body.startswith(b"{") and body.removeprefix(BOM).lstrip(SPACE).startswith(b"[")
        entry.is_array, entry.total = is_array, 1
        if entry.reply_to is not None or entry.correlation_id is not None:
            entry.reply_to, entry.correlation_id = _sound(entry.reply_to), _sound(entry.correlation_id)
        if entry.problem is not None:
            return _Message(entry).whole(entry.problem, b"" if entry.ignore_body else body[: self.max_bytes])
        if len(body) > self.max_bytes:
            problem = f"the message has {len(body)} bytes, the limit is {self.max_bytes}"
            return _Message(entry).whole(problem, body[:_PEEK])
        if _is_suspicious(body):
            return _Message(entry).one_by_one() if is_array else [_Message(entry).event(0, body)]
        try:
            if not is_array:
                return [_command(entry, 0, parse_event(body))]
            events = parse_events(body)
            entry.total = len(events)
            _check_marks(entry, range(len(events)))
            settled = entry.settled
            return [_command(entry, at, event) for at, event in enumerate(events) if at not in settled]
        except (ValidationError, InvalidCombination):
            return _Message(entry).one_by_one() if is_array else [_Message(entry).event(0, body)]


@dataclass(slots=True)
class _Message:
    """A message in hand."""

    entry: Entry

    def one_by_one(self) -> list[Command | Refusal]:
        """Each event of the array for itself."""
        events, complete = split_array(self.entry.body)
        if len(events) > MAX_EVENTS_PER_MESSAGE:
            return self.refused(events, complete, f"more than {MAX_EVENTS_PER_MESSAGE} events in an array")
        if not complete:
            return self.refused(events, complete, "not JSON: the array breaks off, or something follows it")
        if not events:
            return self.refused(events, complete, "an array without events")
        if self.entry.body.startswith(BOM):
            return self.refused(events, complete, "not JSON: it begins with a byte order mark")
        self.entry.total = len(events)
        _check_marks(self.entry, range(len(events)))
        return [self.event(index, raw) for index, raw in enumerate(events) if index not in self.entry.settled]

    def whole(self, problem: str, beginning: bytes) -> list[Command | Refusal]:
        """All of it refused; only its beginning is looked at for whom to answer."""
        if self.entry.is_array:
            return self.refused(split_array(beginning)[0], False, problem)
        return [self.refusal(0, self.entry.body, problem, string_members(beginning))]

    def refused(self, events: list[bytes], complete: bool, problem: str) -> list[Command | Refusal]:
        """An array refused as a whole: an answer for each event that can be answered.

        What cannot be answered is one refusal, with the whole message: not one for each scalar of
        a long array.
        """
        entry, refusals = self.entry, list[Refusal]()
        for index, raw in enumerate(events):
            if len(raw) >= _SHORTEST and _key(said := string_members(raw)):
                refusals.append(self.refusal(index, raw, problem, said))
        if not refusals:
            entry.is_array = False
            return [self.refusal(0, entry.body, problem, {})]
        if not complete or len(refusals) < len(events):
            refusals.append(self.refusal(len(events), entry.body, problem, {}))
        entry.total = len(refusals)
        _check_marks(entry, [refusal.origin.index for refusal in refusals])
        return [refusal for refusal in refusals if refusal.origin.index not in entry.settled]

    def event(self, index: int, raw: bytes) -> Command | Refusal:
        try:
            if _is_suspicious(raw):
                from_json(raw, allow_inf_nan=False)
            # The models tell what is wrong with it in words of the contract.
            _explained(raw)
            return _command(self.entry, index, parse_event(raw))
        except ValidationError as error:
            return self.refusal(index, raw, explain(error), string_members(raw))
        except ValueError as error:
            return self.refusal(index, raw, f"not JSON: {error}", string_members(raw))

    def refusal(self, index: int, raw: bytes, problem: str, said: dict[str, str]) -> Refusal:
        """What is owed to the sender depends on whether its name can be read: `said` is what was."""
        origin = Origin(
            self.entry,
            index,
            _printable(said, "replyto") or self.entry.reply_to,
            _printable(said, "correlationid") or self.entry.correlation_id,
            _printable(said, "traceparent"),
        )
        crashed = self.entry.problem_kind == CRASHED
        return Refusal(
            origin,
            problem,
            raw,
            _key(said),
            _printable(said, "type"),
            _printable(said, "account", 128),
            self.entry.problem_kind,
            Status.FAILED if crashed else Status.REJECTED,
            # It may be a good command: tried again, it must not undo what was decided since.
            _group_named(raw, said) if crashed and said else None,
        )


def _command(entry: Entry, index: int, event: EventDict) -> Command:
    """What the event says. Raises `Contradiction`."""
    check_combination(event)
    said = event.get
    origin = Origin(
        entry,
        index,
        said("replyto") or entry.reply_to,
        said("correlationid") or entry.correlation_id,
        said("traceparent"),
    )
    kind, data = event["type"], event["data"]
    key = build_tuple(CommandKey, (event["source"], event["id"]))
    account = said("account") or DEFAULT_ACCOUNT
    expires = _seconds(said("expirytime"))
    if kind == UPDATE:
        does, asked = _UPDATES[data["operateType"]]
        group = _group(account, data)
        numbers = unique_numbers(data["phones"])
        until = _seconds(data.get("expiresAt"))
        mark = _fingerprint(asked, group, numbers, until)
        return Command(key, kind, does, group, numbers, mark, [origin], expires, until, said("sequence"))
    if kind == CREATE:
        own = data.get("groupKey")
        group = _own(account, key) if own is None else _shared(account, _KEY, own)
        numbers, name, remark = unique_numbers(data["phones"]), data.get("groupName"), data.get("remark")
        until = _seconds(data.get("expiresAt"))
        # Without an expiry it is what it was before there could be one: a repeat may be as old as that.
        rest = (name, remark) if until is None else (name, remark, until)
        mark = _fingerprint("create", group, numbers, rest)
        return Command(
            *(key, kind, CommandKind.CREATE, group, numbers, mark, [origin], expires, until),
            group_name=name,
            remark=remark,
            sequence=said("sequence"),
        )
    if kind == LIST:
        limit = LIST_LIMIT if data.get("limit") is None else data["limit"]
        offset = data.get("offset") or 0
        group = _own(account, key)
        mark = _fingerprint("list", group, (), (limit, offset))
        return Command(
            *(key, kind, CommandKind.LIST, group, (), mark, [origin], expires), limit=limit, offset=offset
        )
    group = _group(account, data)
    if kind == RENAME:
        name, remark = data.get("groupName"), data.get("remark")
        mark = _fingerprint("rename", group, (), (name, remark))
        return Command(
            *(key, kind, CommandKind.RENAME, group, (), mark, [origin], expires),
            group_name=name,
            remark=remark,
            sequence=said("sequence"),
        )
    mark = _fingerprint("delete group", group, ())
    return Command(
        *(key, kind, CommandKind.DELETE_GROUP, group, (), mark, [origin], expires), sequence=said("sequence")
    )


def attach_replay(items: Sequence[Command | Refusal], replay: Replay) -> list[Command | Refusal]:
    """The commands of a message that an operator lets be tried again."""
    found: list[Command | Refusal] = []
    for item in items:
        if isinstance(item, Command):
            item.retry_history = RetryHistory(replay)
            (origin,) = item.origins
            item.origins = [but(origin, traceparent=origin.traceparent or replay.via.traceparent)]
        found.append(item)
    return found


def _check_marks(entry: Entry, indexes: Sequence[int]) -> None:
    """Forget marks that cannot be the message's own: of events that it has not, or of all that it has. With
    them it would leave the broker before its last command was settled, or never."""
    if entry.settled and not entry.settled < set(indexes):
        entry.settled = frozenset()


def _is_suspicious(body: bytes) -> bool:
    """Whether it may hold what RFC 8259 does not have and the parser takes."""
    # To look for one byte first is ten times faster; most bodies have neither an N nor an f.
    return (_N in body and b"NaN" in body) or (_F in body and b"Infinity" in body)


def _group(account: str, data: EventDict) -> GroupRef:
    own = data.get("groupKey")
    return _shared(account, _ID, data["groupId"]) if own is None else _shared(account, _KEY, own)


def _seconds(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()


def _own(account: str, key: CommandKey) -> GroupRef:
    return GroupRef(account, _OWN, f"{key.source}\0{key.id}")


def _fingerprint(asked: str, group: GroupRef, numbers: tuple[str, ...], rest: object = None) -> str:
    """The same for commands that ask the same of the same group, however they are written.

    48 bits of a real hash: only commands under the same `(source, id)` are compared, but a sender
    whose ids repeat makes that comparison every time, and a collision loses a change unnoticed.
    """
    text = "\0".join((asked, *group, *numbers, repr(rest)))
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _key(said: dict[str, str]) -> CommandKey | None:
    sender, name = _printable(said, "source", 128), _printable(said, "id", 128)
    return CommandKey(sender, name) if sender and name else None


def _group_named(raw: bytes, said: dict[str, str]) -> GroupRef | None:
    """The group of a command that is not decoded; `None` where it names none in a way that can be read."""
    if said.get("type") not in (UPDATE, CREATE, DELETE):
        return None
    data = string_members(member_bytes(raw, "data"))
    account = _printable(said, "account", 128) or DEFAULT_ACCOUNT
    for kind, name in ((_ID, "groupId"), (_KEY, "groupKey")):
        handle = _printable(data, name)
        if handle is not None:
            return GroupRef(account, kind, handle)
    return None


def _printable(said: dict[str, str], name: str, longest: int = _LONGEST_TEXT) -> str | None:
    return _sound(said.get(name), longest)


def _sound(text: str | None, longest: int = _LONGEST_TEXT) -> str | None:
    return text if text and len(text) <= longest and _PRINTABLE.fullmatch(text) else None
