"""NXCloud's four actions on number groups: reads request bodies and applies them. Pure.

Sources: the vendor's pages "Create", "Update", "Query" and "Delete Number Group". Three things are choices,
because the vendor does not document them: the refusal of an unknown group, the limit of numbers per call,
and the pattern of a number.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, TypeVar, assert_never

from numbergroup.errors import NumbergroupError
from numbergroup.sandbox.groups import Groups, OperateType
from numbergroup.sandbox.nxcloud import Refusal, make_refusal

MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class CreateGroup:
    phones: Sequence[str]
    name: str
    remark: str


@dataclass(frozen=True, slots=True)
class UpdateGroup:
    group_id: str
    operate_type: OperateType
    phones: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListGroup:
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    group_id: str


Request = CreateGroup | UpdateGroup | ListGroup | DeleteGroup

_T = TypeVar("_T")
_Body = dict[str, Any]


class _RefusedError(NumbergroupError):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


def read_request(action: str, body: object, numbers_per_call: int) -> Request | Refusal:
    """Reads the request for a known `action` from `body`, which is parsed JSON.

    Returns a refusal with code 1002, 10011 or 10012 if the body is invalid.
    """
    if not isinstance(body, dict):
        return make_refusal(1002, "the body must be a JSON object")
    try:
        match action:
            case "createGroup":
                phones = _phones(body, numbers_per_call)
                return CreateGroup(phones, _text(body, "groupName"), _text(body, "remark"))
            case "updateGroup":
                group_id = _group_id(body)
                operate_type = _required(body, "operateType", int)
                if operate_type not in (0, 1, 2):
                    return make_refusal(1002, "operateType must be 0, 1 or 2")
                return UpdateGroup(group_id, OperateType(operate_type), _phones(body, numbers_per_call))
            case "listGroup":
                limit, offset = _required(body, "limit", int), _required(body, "offset", int)
                if not 0 <= limit <= MAX_LIMIT:
                    return make_refusal(10011)
                return ListGroup(limit, offset) if offset >= 0 else make_refusal(10012)
            case "deleteGroup":
                return DeleteGroup(_group_id(body))
            case _:
                return make_refusal(1002, "unknown action")
    except _RefusedError as error:
        return error.refusal


def is_group_id(text: str) -> bool:
    """Whether `text` may be a group id: 1 to 128 visible ASCII characters.

    The vendor shows ids of two shapes, and tests use ids of their own.
    """
    return 0 < len(text) <= 128 and text.isascii() and text.isprintable() and " " not in text


def list_added_numbers(request: Request) -> Sequence[str]:
    """Returns the numbers that the request would add to a group."""
    if isinstance(request, CreateGroup):
        return request.phones
    if isinstance(request, UpdateGroup) and request.operate_type is not OperateType.DELETE:
        return request.phones
    return ()


def cap_page(request: Request, most: int | None) -> Request:
    """Returns the request with the limit of a listing lowered to `most` groups."""
    if most is None or not isinstance(request, ListGroup):
        return request
    return replace(request, limit=min(request.limit or MAX_LIMIT, most))


def carry_out(
    request: Request,
    access_key: str,
    groups: Groups,
    *,
    strict_groups: bool,
    hidden: AbstractSet[str] = frozenset(),
) -> _Body | Refusal:
    """Applies the request, and returns the fields of the answer besides `code`, `msg` and `requestId`.

    Groups with an id in `hidden` are left out of a listing, but its total counts them.
    """
    match request:
        case CreateGroup():
            group = groups.create(access_key, request.phones, name=request.name, remark=request.remark)
            return {"groupId": group.group_id}
        case UpdateGroup():
            if groups.get(access_key, request.group_id) is None:
                if strict_groups:
                    return make_refusal(1002, "group does not exist")
                groups.put(access_key, request.group_id, ())
            groups.update(access_key, request.group_id, request.operate_type, request.phones)
            return {}
        case DeleteGroup():
            if not groups.delete(access_key, request.group_id) and strict_groups:
                return make_refusal(1002, "group does not exist")
            return {}
        case ListGroup():
            page = groups.page(access_key, request.limit or MAX_LIMIT, request.offset)
            listed = [
                {
                    "customerId": group.customer_id,
                    "groupName": group.name,
                    "groupId": group.group_id,
                    "phones": ",".join(group.members),
                    "remark": group.remark,
                }
                for group in page
                if group.group_id not in hidden
            ]
            return {"data": {"groups": listed, "total": groups.count(access_key)}}
        case _:
            assert_never(request)


def _required(body: _Body, name: str, kind: type[_T]) -> _T:
    value = body.get(name)
    # In Python, true is an instance of int.
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = "a string" if kind is str else "an integer"
        raise _RefusedError(make_refusal(1002, f"{name} is required and must be {expected}"))
    return value


def _text(body: _Body, name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _RefusedError(make_refusal(1002, f"{name} must be a string"))
    return value


def _group_id(body: _Body) -> str:
    group_id = _required(body, "groupId", str)
    if not is_group_id(group_id):
        raise _RefusedError(make_refusal(1002, "groupId must be 1 to 128 visible ASCII characters"))
    return group_id


def _phones(body: _Body, numbers_per_call: int) -> list[str]:
    phones = _required(body, "phones", str)
    if not phones:
        raise _RefusedError(make_refusal(1002, "phones must not be empty"))
    numbers = phones.split(",")
    # One check of the joined text is faster than a check for each number.
    joined = "".join(numbers)
    if not (joined.isascii() and joined.isdigit()) or "" in numbers:
        raise _RefusedError(make_refusal(1002, "phones must be numbers of digits only, separated by commas"))
    if len(numbers) > numbers_per_call:
        raise _RefusedError(make_refusal(1002, f"phones must be at most {numbers_per_call} numbers"))
    return numbers
