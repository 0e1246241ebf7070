"""Ozonetel's CloudAgent: groups of blocked numbers.

Sources: the vendor's pages "Create / Update Block Number Group", "Delete Block Number(s) from a Group" and
"Generate Token". Marks: [S] the page of the update, [V] another page, [I] inferred. There are three modes:

    legacy  /CAServicesV3/…, HTTP Basic; announced as deprecated [S]     a groupId is the vendor's number
    basic   /ca_apis/…, header `apiKey` [V]                              a groupId is the group's name
    token   /ca_apis/…, a token that lasts an hour [V]                   a groupId is the group's name

The API can create groups, add numbers, delete numbers and change a group's description (in the legacy mode
its name, too). To replace, to list, or to delete a group is not documented. The vendor returns no request
ids, so that the outcomes have none.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, assert_never
from zoneinfo import ZoneInfo

import orjson

from numbergroup.engine.calls import (
    AccountFault,
    Applied,
    Call,
    CallKind,
    Outcome,
    Refused,
    Throttled,
    Unavailable,
)
from numbergroup.engine.commands import Command, CommandKind, HandleKind
from numbergroup.engine.verdicts import Fault
from numbergroup.vendors.answers import BadAnswer, beginning_of, parse_integer
from numbergroup.vendors.classification import Failure, FailureClass, FailureClassifier, StatedFailure
from numbergroup.vendors.ozonetel_answers import (
    encode_basic,
    find_code,
    mask_text,
    parse_body,
    parse_group_id,
    parse_status,
    read_failure_text,
)
from numbergroup.vendors.ozonetel_api import CURRENT, Api
from numbergroup.vendors.ozonetel_numbers import (
    NATIONAL_DIGITS,
    has_no_accepted,
    has_no_created_group,
    parse_details,
    parse_rejected,
)
from numbergroup.vendors.port import Answer, Capabilities, Credentials, Request, TokenRules

Auth = Literal["legacy", "basic", "token"]

MAX_NUMBERS_PER_CALL: Final = 100
"""How many numbers a call of any operation may have [S]."""

CAPABILITIES = Capabilities(
    frozenset({CommandKind.CREATE, CommandKind.ADD, CommandKind.DELETE, CommandKind.RENAME}),
    MAX_NUMBERS_PER_CALL,
    results_per_number=True,
    number_expiry=True,
)

CLASSES = FailureClassifier(
    {
        "authentication-failed": FailureClass.ACCOUNT_FAULT,
        "invalid-token": FailureClass.ACCOUNT_FAULT,
        "max-limit-exceeded": FailureClass.THROTTLED,
        "parameters-mandatory": FailureClass.REFUSED,
        "invalid-group-id": FailureClass.REFUSED,
        "invalid-data": FailureClass.REFUSED,
    }
)


_NAME_LENGTHS = range(2, 51)  # how many characters a name may have [V]


@dataclass(slots=True, frozen=True)
class Ozonetel:
    """See `port.TokenProvider`. The credentials are the CloudAgent user name and the API key.

    With `auth="token"` the calls bear a token. `zone` is the time zone of the expiry dates, which no page
    names; India's is likely [I]. `longest_description`: the vendor refuses long ones, but its pages do not
    name the limit [I].
    """

    base_url: str = "https://in1-ccaas-api.ozonetel.com"
    auth: Auth = "basic"
    api: Api = CURRENT
    classes: FailureClassifier = CLASSES
    capabilities: Capabilities = CAPABILITIES
    acceptance_window_s: float = 60.0
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Kolkata"))
    longest_description: int = 50
    clock_codes: frozenset[str] = frozenset()
    credential_codes: frozenset[str] = frozenset({"authentication-failed", "http-401", "http-403"})

    @property
    def token_rules(self) -> TokenRules | None:
        """60 minutes, 10 an hour [V]. The answer to a dead token is not documented [I]."""
        if self.auth != "token":
            return None
        return TokenRules(3600.0, 10, frozenset({"authentication-failed", "invalid-token", "http-401"}))

    def check_command(self, command: Command, /) -> Fault | None:
        if command.kind is CommandKind.RENAME and command.group_name is not None and not self._may_rename:
            message = "the vendor knows a group by its name: with this AUTH only its remark can be changed"
            return Fault("unsupported", None, message)
        problem = self._find_problem(command)
        return None if problem is None else Fault("invalid", None, problem)

    @property
    def _may_rename(self) -> bool:
        """Whether an update may change the group's name: it must identify the group by another field."""
        return self.auth == "legacy" and self.api.update_group_field != "name"

    def _find_problem(self, command: Command) -> str | None:
        ambiguous = [
            place for place, number in enumerate(command.numbers, 1) if len(number) == NATIONAL_DIGITS
        ]
        if ambiguous:
            # The vendor would read it as an Indian number, and so change another number.
            count = "a number" if len(ambiguous) == 1 else f"{len(ambiguous)} of its numbers"
            return (
                f"phones: {count} (the first at place {ambiguous[0]}) without a country code: the vendor "
                f"takes {NATIONAL_DIGITS} digits for an Indian number; write the country code, or set "
                "NATIONAL_NUMBERS for the account"
            )
        if command.number_expiry is not None and self._format_time(command.number_expiry) is None:
            return "expiresAt is no date that the vendor's format can hold"
        if command.kind is not CommandKind.CREATE:
            named = self.auth != "legacy" and command.group.kind is HandleKind.ID
            if named and len(command.group.name) not in _NAME_LENGTHS:
                return "groupId is the group's name with this vendor: it has 2 to 50 characters"
            if command.kind is not CommandKind.RENAME:
                return None
        name, remark = command.group_name, command.remark
        if name is None and command.kind is CommandKind.CREATE:
            return "groupName is missing: the vendor's groups must have a name"
        if name is not None and len(name) not in _NAME_LENGTHS:
            return f"groupName has {len(name)} characters: the vendor takes 2 to 50"
        if remark is not None and not _NAME_LENGTHS.start <= len(remark) <= self.longest_description:
            return (
                f"remark has {len(remark)} characters: "
                f"the vendor takes {_NAME_LENGTHS.start} to {self.longest_description}"
            )
        return None

    def build_request(self, call: Call, _wall_ms: int, credentials: Credentials) -> Request:
        match call.kind:
            case CallKind.CREATE:
                method, path = "POST", self.api.create_path
            case CallKind.ADD | CallKind.RENAME:
                method, path = "PUT", self.api.update_path
            case CallKind.DELETE:
                method, path = "DELETE", self.api.delete_path
            case other:
                raise ValueError(f"Ozonetel has no {other} operation")
        return self._build(method, path, self._build_body(call), credentials)

    def _build_body(self, call: Call) -> dict[str, Any]:
        body: dict[str, Any] = {self.api.numbers_field: call.numbers}
        match call.kind:
            case CallKind.CREATE:
                # Both are mandatory [V].
                body |= {"name": call.group_name, "description": call.remark or self._make_description(call)}
            case CallKind.ADD:
                body[self.api.update_group_field] = self._get_handle(call)
            case CallKind.RENAME:
                # An update without numbers [I]: name and description are fields of the update [S].
                body[self.api.update_group_field] = self._get_handle(call)
                texts = {"name": call.group_name, "description": call.remark}
                body |= {name: text for name, text in texts.items() if text is not None}
            case _:
                body[self.api.delete_group_field] = self._get_handle(call)
        if call.expires_at is not None and call.kind is not CallKind.DELETE:
            body["expiryDate"] = self._format_time(call.expires_at)
        return body

    def _make_description(self, call: Call) -> str | None:
        return call.group_name and call.group_name[: self.longest_description]

    def _get_handle(self, call: Call) -> str | int | None:
        """Return the group's id; the vendor writes its own ids as numbers [S]."""
        number = parse_integer(call.group_id) if self.auth == "legacy" else None
        return call.group_id if number is None else number

    def _format_time(self, at: float) -> str | None:
        """Return `YYYY-MM-DD HH:MM:SS` [S] in the account's zone, or `None` beyond the calendar."""
        try:
            local = datetime.fromtimestamp(at, self.zone)
        except (ValueError, OverflowError, OSError):
            return None
        return local.replace(tzinfo=None).isoformat(" ", "seconds")

    def _build(
        self, method: str, path: str, body: dict[str, Any], credentials: Credentials, *, bearing: bool = True
    ) -> Request:
        headers = {"Content-Type": "application/json"}
        if self.auth == "legacy":
            headers["Authorization"] = f"Basic {encode_basic(credentials)}"
        else:
            body = {"userName": credentials.name, **body}
            if self.auth == "token" and bearing:
                headers["Authorization"] = f"Bearer {credentials.token or ''}"
            else:
                headers["apiKey"] = credentials.secret
        return Request(method, self.base_url.rstrip("/") + path, headers, orjson.dumps(body))

    def parse_answer(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        # The body states the result, but its success does not count against the HTTP status.
        content = parse_body(answer)
        if content is None or parse_status(content) is not True:
            return self._parse_failure(call, answer, content, credentials)
        if not answer.is_success:
            return self.classes.classify_contradiction(
                call, answer, mask_text(read_failure_text(content), credentials)
            )
        try:
            return self._parse_success(call, content, credentials)
        except BadAnswer as error:
            return Unavailable(f"a success that cannot be understood: {error}", in_doubt=True)

    def _parse_success(self, call: Call, content: dict[str, Any], credentials: Credentials) -> Applied:
        group_id = None
        if call.kind is CallKind.CREATE:
            group_id = parse_group_id(content) if self.auth == "legacy" else call.group_name
            if group_id is None:
                raise BadAnswer("no name of the group")
            if has_no_created_group(content):
                raise BadAnswer("it says that no group was made")
        rejected, none = parse_rejected(content, call.numbers), has_no_accepted(content, call.numbers)
        details = parse_details(content, call.numbers, lambda text: mask_text(text, credentials))
        return Applied(
            None,
            group_id,
            rejected=call.numbers if none else rejected,
            nothing_applied=none and not rejected,
            details=details,
        )

    def _parse_failure(
        self, call: Call, answer: Answer, content: dict[str, Any] | None, credentials: Credentials
    ) -> Failure:
        text = "" if content is None else read_failure_text(content)
        code = None if content is None else find_code(content, call)
        is_silent = content is None or parse_status(content) is None
        if is_silent and code is None and not self.classes.is_failure_text(call, text):
            kind = answer.headers.get("content-type", "")
            # The answer to a token request may contain a token in some other form.
            shown = b"" if call is _TOKEN_CALL else answer.body
            begins = beginning_of(shown, kind, lambda part: mask_text(part, credentials))
            return self.classes.classify(call, answer, beginning=begins, can_list=False)
        # With each of its documented messages the vendor says that nothing was done.
        stated = StatedFailure(code, text, mask_text(text, credentials), nothing_done=code is not None)
        found = self.classes.classify(call, answer, stated, can_list=False)
        if isinstance(found, AccountFault) and found.code is None:
            # One of the account's texts matched. Only so can an operator declare the text for a dead token.
            is_declared = self.classes.unknown is FailureClass.REFUSED
            return replace(found, code="authentication-failed") if is_declared else found
        return found

    def build_token_request(self, credentials: Credentials) -> Request:
        return self._build("POST", self.api.token_path, {}, credentials, bearing=False)

    def parse_token(
        self, answer: Answer, credentials: Credentials
    ) -> str | AccountFault | Throttled | Unavailable:
        content = parse_body(answer)
        token = None if content is None else content.get("token")
        if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
            return token.strip()
        if content is not None and parse_status(content):
            content = None  # a success without a token states nothing
        failure = self._parse_failure(_TOKEN_CALL, answer, content, credentials)
        if content is not None and parse_status(content) is False:
            # With any message: a failure that the answer states has made no token.
            failure = replace(failure, in_doubt=False)
        match failure:
            case AccountFault() | Throttled() | Unavailable():
                return failure
            case Refused(code=code, message=message, in_doubt=in_doubt):
                # Without a token no call of the account can work, whatever the reason is.
                return AccountFault(code, f"no token: {message}", in_doubt)
            case other:
                assert_never(other)


_TOKEN_CALL = Call(CallKind.LIST)
"""Stands for a token request, which changes no group either."""
