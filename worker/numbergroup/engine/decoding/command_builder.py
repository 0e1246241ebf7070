"""Builds commands from decoded events, and fingerprints that show repeats with another content."""

from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

from numbergroup.engine.commands import (
    Command,
    CommandKey,
    CommandKind,
    Entry,
    GroupRef,
    HandleKind,
    Origin,
    build_tuple,
)
from numbergroup.engine.decoding.fast_decode import EventDict, check_combination
from numbergroup_contracts.commands import CREATE, LIST, OPERATIONS, RENAME, UPDATE, unique_numbers

_ID, _KEY, _OWN = HandleKind.ID, HandleKind.KEY, HandleKind.OWN
DEFAULT_ACCOUNT = "default"
LIST_LIMIT = 1000

_UPDATES = {wire: (CommandKind[operation.upper()], operation) for wire, operation in OPERATIONS.items()}

# Many commands share a group: a look-up is faster than a new object, and saves memory.
_cached_group = lru_cache(8_192)(GroupRef)


def build_command(entry: Entry, index: int, event: EventDict) -> Command:
    """Return the command of a decoded event. Raises `InvalidCombination`."""
    check_combination(event)
    attribute, data, type_ = event.get, event["data"], event["type"]
    key = build_tuple(CommandKey, (event["source"], event["id"]))
    account = attribute("account") or DEFAULT_ACCOUNT
    sequence = None if type_ == LIST else attribute("sequence")
    limit = offset = 0
    numbers: tuple[str, ...] = ()
    group_name = remark = number_expiry = None
    if type_ == UPDATE:
        kind, operation = _UPDATES[data["operateType"]]
        group, numbers = _group_of(account, data), unique_numbers(data["phones"])
        number_expiry = _unix_seconds(data.get("expiresAt"))
        fingerprint = _fingerprint(operation, group, numbers, number_expiry)
    elif type_ == CREATE:
        kind, group_key = CommandKind.CREATE, data.get("groupKey")
        group = _own_group(account, key) if group_key is None else _cached_group(account, _KEY, group_key)
        numbers = unique_numbers(data["phones"])
        group_name, remark = data.get("groupName"), data.get("remark")
        number_expiry = _unix_seconds(data.get("expiresAt"))
        # Without an expiry, the fingerprint is as in versions that had none: repeats may be older.
        rest = (group_name, remark) if number_expiry is None else (group_name, remark, number_expiry)
        fingerprint = _fingerprint("create", group, numbers, rest)
    elif type_ == LIST:
        kind, group = CommandKind.LIST, _own_group(account, key)
        limit = LIST_LIMIT if data.get("limit") is None else data["limit"]
        offset = data.get("offset") or 0
        fingerprint = _fingerprint("list", group, (), (limit, offset))
    elif type_ == RENAME:
        kind, group = CommandKind.RENAME, _group_of(account, data)
        group_name, remark = data.get("groupName"), data.get("remark")
        fingerprint = _fingerprint("rename", group, (), (group_name, remark))
    else:
        kind, group = CommandKind.DELETE_GROUP, _group_of(account, data)
        fingerprint = _fingerprint("delete group", group, ())
    origin = Origin(
        entry,
        index,
        reply_to=attribute("replyto") or entry.reply_to,
        correlation_id=attribute("correlationid") or entry.correlation_id,
        traceparent=attribute("traceparent"),
    )
    return Command(
        key,
        type_,
        kind,
        group=group,
        numbers=numbers,
        fingerprint=fingerprint,
        origins=[origin],
        expires_at=_unix_seconds(attribute("expirytime")),
        number_expiry=number_expiry,
        sequence=sequence,
        group_name=group_name,
        remark=remark,
        limit=limit,
        offset=offset,
    )


def _group_of(account: str, data: EventDict) -> GroupRef:
    group_key = data.get("groupKey")
    if group_key is None:
        return _cached_group(account, _ID, data["groupId"])
    return _cached_group(account, _KEY, group_key)


def _own_group(account: str, key: CommandKey) -> GroupRef:
    """Return the group of a command without a handle: no other command has the same."""
    return GroupRef(account, _OWN, f"{key.source}\0{key.id}")


def _unix_seconds(when: datetime | None) -> float | None:
    return None if when is None else when.timestamp()


def _fingerprint(operation: str, group: GroupRef, numbers: tuple[str, ...], rest: object = None) -> str:
    """Return a digest that is equal for commands that ask the same of the same group, in any spelling.

    Only commands with the same `(source, id)` are compared. But a producer that reuses ids compares them
    every time, and a collision would lose a change: so it has 48 bits of a cryptographic hash.
    """
    text = "\0".join((operation, *group, *numbers, repr(rest)))
    return blake2b(text.encode(), digest_size=6).hexdigest()
