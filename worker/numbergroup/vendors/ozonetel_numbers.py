"""Reads which numbers Ozonetel accepted or rejected. Pure; nothing raises, whatever the vendor sends.

`status` may be `success` while `output.error` names numbers [S], so that an answer is read number by number.
Marks: [S] the vendor's page of the update, [V] another page, [I] inferred.
"""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from numbergroup.engine.calls import Details
from numbergroup.vendors.answers import parse_identifier, parse_integer

NATIONAL_DIGITS = 10
"""The vendor reads a number of so many digits as an Indian one without its country code [S]."""

_INDIA = "91"
_ACCEPTED = ("succes", "success")
"""The list of accepted numbers: the first name on update and create, the second one on delete [S]."""
_COUNTS = ("new", "inserted", "deleted", "affectedRows")
_NUMBER_COUNTS = ("new", "inserted", "deleted")
_MAX_ID = 128
_MAX_REASON = 200
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,24}[0-9]")
_AROUND = " \t\r\n:;=,>-"


def parse_rejected(content: dict[str, Any], sent: Sequence[str]) -> tuple[str, ...]:
    """Return the numbers that `output.error` names, as they were sent and in that order.

    A number in both lists is rejected. A number in neither list counts as accepted [I], but see
    `has_no_accepted`. An entry may have several numbers, comma-separated, as in the vendor's example of a
    create [V].
    """
    known = frozenset(sent)
    rejected = {match_number(text, known) for text, _ in _read_entries(_get_output(content).get("error"))}
    return tuple(number for number in sent if number in rejected)


def has_no_accepted(content: dict[str, Any], sent: Sequence[str]) -> bool:
    """Whether the answer says that no number was accepted.

    Its list of accepted numbers is empty, and no count of numbers exceeds 0. An answer with neither the list
    nor a count does not say so.
    """
    output = _get_output(content)
    lists = [output[name] for name in _ACCEPTED if name in output]
    if not sent or not all(map(_is_empty, lists)):
        return False
    counts = [count for name in _NUMBER_COUNTS if (count := parse_integer(output.get(name))) is not None]
    return bool(lists or counts) and not any(counts)


def has_no_created_group(content: dict[str, Any]) -> bool:
    """Whether the success of a create says that it created no group: no row, or an id of 0."""
    output = _get_output(content)
    return any(parse_integer(output.get(name)) == 0 for name in ("affectedRows", "lastInsertId"))


def parse_details(content: dict[str, Any], sent: Sequence[str], mask: Callable[[str], str]) -> Details | None:
    """Return the details for results (`data.vendor`), or `None` if the answer has none.

    `mask` removes secrets and numbers from a text of the vendor.
    """
    output, known = _get_output(content), frozenset(sent)
    counts = {name: count for name in _COUNTS if (count := parse_integer(output.get(name))) is not None}
    created_id = output.get("lastInsertId")
    is_number = isinstance(created_id, int) and parse_integer(created_id) is not None
    number = created_id if is_number else None
    last_id = number if number is not None else parse_identifier(created_id, _MAX_ID)
    reasons: dict[str, str] = {}
    for text, reason in _read_entries(output.get("error")):
        number_sent = match_number(text, known)
        if number_sent is not None and reason and (masked := mask(reason)[:_MAX_REASON].strip()):
            reasons.setdefault(number_sent, masked)
    if not (counts or last_id or reasons):
        return None
    return Details(counts, {"lastInsertId": last_id} if last_id else {}, reasons)


def match_number(reported: str, sent: Set[str]) -> str | None:
    """Return the number of those `sent` that the vendor reports, or `None`.

    The vendor puts `+91` before ten digits, and `+` before twelve that begin with 91 [S]. So a number with
    the same digits matches first, then one that differs by India's code. A `+` means that the country code is
    present.
    """
    digits = "".join(char for char in reported if char in "0123456789").lstrip("0")
    if digits in sent:
        return digits
    if len(digits) == NATIONAL_DIGITS and not reported.lstrip().startswith(("+", "00")):
        variant = _INDIA + digits
    elif len(digits) == NATIONAL_DIGITS + len(_INDIA) and digits.startswith(_INDIA):
        variant = digits.removeprefix(_INDIA)
    else:
        return None
    return variant if variant in sent else None


def build_country_code_prefixer(code: str) -> Callable[[str], str]:
    """Return a function that puts `code` before numbers of ten digits, and keeps all others."""
    return lambda number: code + number if len(number) == NATIONAL_DIGITS else number


def _get_output(content: dict[str, Any]) -> dict[str, Any]:
    output = content.get("output")
    return output if isinstance(output, dict) else {}


def _read_entries(value: Any) -> Iterator[tuple[str, str | None]]:
    """Return each text that may be a number, at any depth, with the reason beside it.

    PHP, which the vendor's paths name, writes an array with gaps as an object.
    """
    if isinstance(value, dict):
        yield from _read_object(value)
    elif isinstance(value, list):
        for element in value:
            yield from _read_entries(element)
    elif isinstance(value, str):
        yield from _read_prose(value) if _is_prose(value) else ((text, None) for text in value.split(","))
    elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15:
        yield str(value), None


def _read_object(value: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Return the numbers of keys and values. A text beside them is the reason; numbers in it do not count."""
    texts = {key: text for key, text in value.items() if isinstance(text, str) and _is_prose(text)}
    reason = next((text for text in texts.values() if not _NUMBER.match(text.strip())), None)
    names = [key for key in value if _NUMBER.fullmatch(key.strip())]
    yield from ((key, texts.get(key)) for key in names)
    for key, member in value.items():
        if key in names and key in texts:
            continue
        is_reason = key in texts and not _NUMBER.match(member.strip()) and (names or len(texts) < len(value))
        for text, own in () if is_reason else _read_entries(member):
            yield text, own or reason


def _read_prose(text: str) -> Iterator[tuple[str, str]]:
    found = [*_NUMBER.finditer(text)]
    is_number_first = bool(found) and not text[: found[0].start()].strip()
    if is_number_first:
        # The rest is the reason; numbers in it do not count.
        yield found[0][0], text[found[0].end() :].strip(_AROUND)
    else:
        yield from ((match[0], text) for match in found)


def _is_prose(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_empty, value.values() if isinstance(value, dict) else value))
    return not (value.strip() if isinstance(value, str) else value)
