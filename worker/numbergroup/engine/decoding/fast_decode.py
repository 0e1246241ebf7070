"""Decodes events into dictionaries, by the rules of the contract's models.

Without a model object for each event and its data, decoding takes half of the time. `check_combination`
replaces the models' validators of several fields.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, NotRequired

from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from numbergroup.errors import NumbergroupError
from numbergroup_contracts.commands import (
    CREATE,
    LIST,
    OPERATIONS,
    RENAME,
    CreateGroup,
    DeleteGroup,
    ListGroups,
    RenameGroup,
    UpdateGroup,
)
from numbergroup_contracts.event import MAX_EVENTS_PER_MESSAGE

# `Any`, because mypy accepts only literal fields of a `TypedDict`.
_typed_dict: Any = TypedDict

EventDict = dict[str, Any]
"""An event's attributes, with its data under `data`. Absent members are missing or `None`."""


_TYPES_WITHOUT_HANDLE = (CREATE, LIST)


class InvalidCombination(NumbergroupError, ValueError):
    """Each field is valid, but not their combination. The models' error says why."""


def _as_typed_dict(model: type[BaseModel]) -> Any:
    """Return a `TypedDict` with the fields and the configuration of the model."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, BaseModel)
        rule = _as_typed_dict(kind) if nested else field.rebuild_annotation()
        fields[name] = rule if field.is_required() else NotRequired[rule]
    typed_dict: Any = _typed_dict(model.__name__, fields)
    typed_dict.__pydantic_config__ = model.model_config
    return typed_dict


_EVENT: Any = Annotated[
    _as_typed_dict(CreateGroup)
    | _as_typed_dict(UpdateGroup)
    | _as_typed_dict(DeleteGroup)
    | _as_typed_dict(RenameGroup)
    | _as_typed_dict(ListGroups),
    Field(discriminator="type"),
]
_BATCH: Any = Annotated[list[_EVENT], Field(min_length=1, max_length=MAX_EVENTS_PER_MESSAGE)]

# The validators' own methods: `TypeAdapter.validate_json` adds a tenth to the time of a command.
parse_event: Final[Callable[[bytes], EventDict]] = TypeAdapter(_EVENT).validator.validate_json
"""Decodes an event. Raises `pydantic.ValidationError`, like the models."""
parse_events: Final[Callable[[bytes], list[EventDict]]] = TypeAdapter(_BATCH).validator.validate_json
"""Decodes an array of events. Raises `pydantic.ValidationError`, like the models."""


def check_combination(event: EventDict) -> None:
    """Raise `InvalidCombination` if the models' validators of several fields would reject the event."""
    kind, data = event["type"], event["data"]
    if kind not in _TYPES_WITHOUT_HANDLE and (data.get("groupId") is None) == (data.get("groupKey") is None):
        raise InvalidCombination
    if kind == RENAME and data.get("groupName") is None and data.get("remark") is None:
        raise InvalidCombination
    if not data.get("phones", True) and (kind == CREATE or OPERATIONS[data["operateType"]] != "replace"):
        raise InvalidCombination
