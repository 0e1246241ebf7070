"""A third vendor, as small as one can be, as the how-to "Add a vendor" needs it. It uses nothing private.

The vendor, Plain, takes JSON at `POST /groups` (`{"name", "numbers"}`, answered with `{"id"}`) and
`PATCH /groups/<id>` (`{"add"}` or `{"remove"}`), ten British numbers at a time; a failure is `{"error"}`. It
cannot replace, list or delete groups, and says nothing of single numbers.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import orjson
from pydantic import Field, SecretStr

from numbergroup.engine.calls import Applied, Call, CallKind, Outcome, Unavailable
from numbergroup.engine.commands import Command, CommandKind
from numbergroup.engine.verdicts import Fault
from numbergroup.settings import AccountSettings
from numbergroup.vendors.answers import json_object, mask_message, parse_identifier
from numbergroup.vendors.classification import FailureClass, FailureClassifier, StatedFailure
from numbergroup.vendors.port import Answer, Capabilities, Credentials, Request

CAPABILITIES = Capabilities(
    frozenset({CommandKind.CREATE, CommandKind.ADD, CommandKind.DELETE}),
    numbers_per_call=10,
    number_pattern="44[1-9][0-9]{9}",
)
CLASSES = FailureClassifier({"denied": FailureClass.ACCOUNT_FAULT, "bad": FailureClass.REFUSED})


@dataclass(slots=True, frozen=True)
class Plain:
    """See `numbergroup.vendors.port.Provider`."""

    base_url: str = "http://127.0.0.1"
    classes: FailureClassifier = CLASSES
    capabilities: Capabilities = CAPABILITIES
    acceptance_window_s: float = 10.0
    clock_codes: frozenset[str] = frozenset()
    credential_codes: frozenset[str] = frozenset({"denied", "http-401"})

    def check_command(self, command: Command, /) -> Fault | None:
        if command.kind is CommandKind.CREATE and not command.group_name:
            return Fault("invalid", None, "groupName is missing: Plain's groups have names")
        return None

    def build_request(self, call: Call, _wall_ms: int, credentials: Credentials) -> Request:
        headers = {
            "Content-Type": "application/json",
            "X-User": credentials.name,
            "X-Key": credentials.secret,
        }
        if call.kind is CallKind.CREATE:
            body: dict[str, Any] = {"name": call.group_name, "numbers": call.numbers}
            return Request("POST", f"{self.base_url}/groups", headers, orjson.dumps(body))
        body = {"add" if call.kind is CallKind.ADD else "remove": call.numbers}
        return Request("PATCH", f"{self.base_url}/groups/{call.group_id}", headers, orjson.dumps(body))

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        content = json_object(answer.body)
        if content is None or not (answer.status == 200 or "error" in content):
            return self.classes.classify(call, answer, can_list=False)
        if "error" in content:
            text = str(content["error"])
            code = parse_identifier(text.partition(":")[0], 16)
            stated = StatedFailure(code, text, mask_message(text, credentials.secret))
            return self.classes.classify(call, answer, stated, can_list=False)
        group_id = parse_identifier(content.get("id"), 64)
        if call.kind is CallKind.CREATE and group_id is None:
            return Unavailable("a success without the group's id", in_doubt=True)
        return Applied(None, group_id if call.kind is CallKind.CREATE else None)


class PlainAccount(AccountSettings, frozen=True):
    """An account of Plain; `VENDORS["plain"] = PlainAccount` is all that is left to do."""

    name_key: ClassVar[str] = "user"
    secret_key: ClassVar[str] = "key"

    provider: Literal["plain"]
    base_url: str
    user: str
    key: SecretStr
    user_file: Path | None = None
    key_file: Path | None = None
    numbers_per_call: int = Field(10, ge=1, le=10)
    account_fault_codes: tuple[str, ...] = ("denied",)
    permanent_codes: tuple[str, ...] = ("bad",)
    acceptance_window_s: ClassVar[float] = 10.0

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.user, self.key.get_secret_value())

    def create_provider(self) -> Plain:
        pattern = self.number_pattern or CAPABILITIES.number_pattern
        can = replace(CAPABILITIES, numbers_per_call=self.numbers_per_call, number_pattern=pattern)
        return Plain(self.base_url, self.failure_classifier, can, self.acceptance_window_s)
