"""Lists and seeds groups for the control endpoints. Pure: the time is an argument."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from numbergroup.sandbox.actions import is_group_id
from numbergroup.sandbox.credentials import is_about_ozonetel
from numbergroup.sandbox.groups import Group
from numbergroup.sandbox.ozonetel_groups import BlockGroup
from numbergroup.sandbox.state import State

_Number = Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    vendor: Literal["nxcloud"] = "nxcloud"
    group_id: str = Field(alias="groupId")
    phones: list[_Number]
    group_name: str = Field(default="", alias="groupName")
    remark: str = ""
    access_key: str | None = Field(default=None, alias="accessKey")


class _OzonetelSeed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    vendor: Literal["ozonetel"]
    group_name: str = Field(alias="groupName", min_length=2, max_length=50)
    phones: list[_Number]
    group_id: int | None = Field(default=None, alias="groupId", ge=1, lt=10**15)
    description: str = ""
    user_name: str | None = Field(default=None, alias="userName")


def seed_groups(state: State, value: Any, now_ms: int) -> list[dict[str, Any]]:
    """Creates the groups of `value`, one object or an array, and returns them as JSON values.

    Raises `ValueError`, and creates none, if any of them is invalid.
    """
    values = value if isinstance(value, list) else [value]
    prepared = [_prepare(state, _read(item, n), now_ms) for n, item in enumerate(values)]
    return [create() for create in prepared]


def _read(value: Any, n: int) -> _Seed | _OzonetelSeed:
    model = _OzonetelSeed if is_about_ozonetel(value) else _Seed
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = (f"groups[{n}]{_path(detail['loc'])}: {detail['msg']}" for detail in details)
        raise ValueError("; ".join(reasons)) from None


def _prepare(state: State, seed: _Seed | _OzonetelSeed, now_ms: int) -> Callable[[], dict[str, Any]]:
    """Validates a seed, and returns a function that creates its group."""
    if isinstance(seed, _OzonetelSeed):
        users = state.ozonetel.credentials
        user = users.require_customer(users.resolve_key(seed.user_name, "userName"), "userName")

        def seed_ozonetel_group() -> dict[str, Any]:
            groups = state.ozonetel.groups
            group = groups.create(user, seed.group_name, seed.description, seed.group_id)
            group.add(seed.phones, None, now_ms)
            return _ozonetel_json(user, group)

        return seed_ozonetel_group
    if not is_group_id(seed.group_id):
        raise ValueError("groupId: must be 1 to 128 visible ASCII characters")
    keys = state.credentials
    key = keys.require_customer(keys.resolve_key(seed.access_key, "accessKey"), "accessKey")

    def seed_nxcloud_group() -> dict[str, Any]:
        group = state.groups.put(key, seed.group_id, seed.phones, name=seed.group_name, remark=seed.remark)
        return _nxcloud_json(key, group)

    return seed_nxcloud_group


def list_nxcloud_groups(state: State, access_key: str | None) -> list[dict[str, Any]]:
    """Returns NXCloud's groups, of one customer or of all."""
    return [_nxcloud_json(key, group) for key, group in state.groups.each(access_key)]


def list_ozonetel_groups(state: State, now_ms: int, user: str | None) -> list[dict[str, Any]]:
    """Returns Ozonetel's groups with their users, of one user or of all."""
    return [_ozonetel_json(owner, group) for owner, group in state.ozonetel.groups.each(now_ms, user)]


def _nxcloud_json(access_key: str, group: Group) -> dict[str, Any]:
    return {
        "accessKey": access_key,
        "groupId": group.group_id,
        "groupName": group.name,
        "customerId": group.customer_id,
        "remark": group.remark,
        "phones": list(group.members),
    }


def _ozonetel_json(user: str, group: BlockGroup) -> dict[str, Any]:
    members = group.members.values()
    return {
        "vendor": "ozonetel",
        "userName": user,
        "groupId": str(group.group_id),
        "groupName": group.name,
        "description": group.description,
        "phones": [member.sent for member in members],
        "expires_ms": {member.sent: member.expires_ms for member in members if member.expires_ms is not None},
    }


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
