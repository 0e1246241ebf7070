"""What producers, consumers and the worker share: the events on the wire, as pydantic models.

Importing this package needs pydantic and nothing else. The same shapes stand as JSON Schemas in
`contracts/schemas/`, for programs in other languages. `publish` sends commands from Python; it imports
the client library of the broker when it is called.
"""

from numbergroup_contracts.commands import (
    COMMAND_ADAPTER,
    MESSAGE_ADAPTER,
    CommandEvent,
    CreateGroup,
    DeleteGroup,
    ListGroups,
    RenameGroup,
    UpdateGroup,
)
from numbergroup_contracts.dead_letters import DeadLetter
from numbergroup_contracts.errors import NumbergroupError
from numbergroup_contracts.publishing import InvalidCommand, InvalidUrl, PublishError, publish
from numbergroup_contracts.results import ErrorInfo, ResultEvent, Status

__all__ = [
    "COMMAND_ADAPTER",
    "MESSAGE_ADAPTER",
    "CommandEvent",
    "CreateGroup",
    "DeadLetter",
    "DeleteGroup",
    "ErrorInfo",
    "InvalidCommand",
    "InvalidUrl",
    "ListGroups",
    "NumbergroupError",
    "PublishError",
    "RenameGroup",
    "ResultEvent",
    "Status",
    "UpdateGroup",
    "publish",
]
