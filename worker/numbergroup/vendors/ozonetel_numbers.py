"""What Ozonetel's successes say of numbers. Pure, and nothing here raises, whatever the vendor sends.

`status` may be `success` while numbers stand in `output.error` [S]: an answer is read number by number.
Marks: [S] the vendor's page of the update, [V] another one, [I] inferred.
"""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from numbergroup.engine.calls import Details
from numbergroup.vendors.answers import identifier, whole_number

NATIONAL_DIGITS = 10
"""A number of so many digits is taken for an Indian one without its country code [S]."""

_INDIA = "91"
_TAKEN = ("succes", "success")
"""The list of the numbers that were taken; spelt so on update and create, and so on delete [S]."""
_COUNTS = ("new", "inserted", "deleted", "affectedRows")
_OF_NUMBERS = ("new", "inserted", "deleted")
_LONGEST_ID = 128
_LONGEST_REASON = 200
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,24}[0-9]")
_AROUND = " \t\r\n:;=,>-"


def rejected_of(content: dict[str, Any], sent: Sequence[str]) -> tuple[str, ...]:
    """The numbers that `output.error` names, as they were sent and in that order.

    One that stands in both lists is rejected; one that stands in none counts as taken [I], but see
    `took_none`. An entry may be several numbers, comma-separated, as in the vendor's own example of a
    create [V].
    """
    known = frozenset(sent)
    refused = {number_meant(one, known) for one, _ in _entries(_output(content).get("error"))}
    return tuple(number for number in sent if number in refused)


def took_none(content: dict[str, Any], sent: Sequence[str]) -> bool:
    """Whether the answer says that no number was taken: its list of those is empty, and no count of numbers
    is more than 0. An answer that has neither the list nor a count does not say so."""
    output = _output(content)
    lists = [output[name] for name in _TAKEN if name in output]
    if not sent or not all(map(_is_empty, lists)):
        return False
    counts = [count for name in _OF_NUMBERS if (count := whole_number(output.get(name))) is not None]
    return bool(lists or counts) and not any(counts)


def made_no_group(content: dict[str, Any]) -> bool:
    """Whether the success of a create says that it made nothing: no row, or an id of 0."""
    output = _output(content)
    return any(whole_number(output.get(name)) == 0 for name in ("affectedRows", "lastInsertId"))


def details_of(content: dict[str, Any], sent: Sequence[str], shown: Callable[[str], str]) -> Details | None:
    """What results have of it (`data.vendor`); `None`: it says nothing of that. `shown`: a text of the
    vendor's without what must not be seen."""
    output, known = _output(content), frozenset(sent)
    counts = {name: count for name in _COUNTS if (count := whole_number(output.get(name))) is not None}
    made = output.get("lastInsertId")
    number = made if isinstance(made, int) and whole_number(made) is not None else None
    last_id = number if number is not None else identifier(made, _LONGEST_ID)
    reasons: dict[str, str] = {}
    for text, reason in _entries(output.get("error")):
        meant = number_meant(text, known)
        if meant is not None and reason and (said := shown(reason)[:_LONGEST_REASON].strip()):
            reasons.setdefault(meant, said)
    if not (counts or last_id or reasons):
        return None
    return Details(counts, {"lastInsertId": last_id} if last_id else {}, reasons)


def number_meant(reported: str, sent: Set[str]) -> str | None:
    """The one number of those `sent` that the vendor reports; `None` when it is none of them.

    The vendor puts `+91` before ten digits, and `+` before twelve that begin with 91 [S]. So the same digits
    go before all else; then what differs by India's code. With a `+` the country code is there already.
    """
    digits = "".join(one for one in reported if one in "0123456789").lstrip("0")
    if digits in sent:
        return digits
    if len(digits) == NATIONAL_DIGITS and not reported.lstrip().startswith(("+", "00")):
        other = _INDIA + digits
    elif len(digits) == NATIONAL_DIGITS + len(_INDIA) and digits.startswith(_INDIA):
        other = digits.removeprefix(_INDIA)
    else:
        return None
    return other if other in sent else None


def with_country_code(code: str) -> Callable[[str], str]:
    """What puts the country code before numbers of ten digits, and leaves all others as they are."""
    return lambda number: code + number if len(number) == NATIONAL_DIGITS else number


def _output(content: dict[str, Any]) -> dict[str, Any]:
    output = content.get("output")
    return output if isinstance(output, dict) else {}


def _entries(value: Any) -> Iterator[tuple[str, str | None]]:
    """Every text that may be a number, wherever it stands, and the reason beside it, if there is one. PHP,
    which the vendor's paths speak of, writes an array with gaps as an object."""
    if isinstance(value, dict):
        yield from _of_object(value)
    elif isinstance(value, list):
        for one in value:
            yield from _entries(one)
    elif isinstance(value, str):
        yield from _of_prose(value) if _is_prose(value) else ((one, None) for one in value.split(","))
    elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15:
        yield str(value), None


def _of_object(value: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """What a key or a value names; a text beside that is the reason, and the numbers in it are not meant."""
    texts = {key: one for key, one in value.items() if isinstance(one, str) and _is_prose(one)}
    reason = next((one for one in texts.values() if not _NUMBER.match(one.strip())), None)
    names = [key for key in value if _NUMBER.fullmatch(key.strip())]
    yield from ((key, texts.get(key)) for key in names)
    for key, one in value.items():
        if key in names and key in texts:
            continue
        is_reason = key in texts and not _NUMBER.match(one.strip()) and (names or len(texts) < len(value))
        for text, own in () if is_reason else _entries(one):
            yield text, own or reason


def _of_prose(text: str) -> Iterator[tuple[str, str]]:
    found = [*_NUMBER.finditer(text)]
    leads = bool(found) and not text[: found[0].start()].strip()
    if leads:
        # What follows it is why; numbers that this speaks of are not meant.
        yield found[0][0], text[found[0].end() :].strip(_AROUND)
    else:
        yield from ((one[0], text) for one in found)


def _is_prose(text: str) -> bool:
    return any(one.isalpha() for one in text)


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_empty, value.values() if isinstance(value, dict) else value))
    return not (value.strip() if isinstance(value, str) else value)
