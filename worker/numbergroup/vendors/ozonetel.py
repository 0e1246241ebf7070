"""Ozonetel's CloudAgent: groups of blocked numbers.

Sources: the vendor's pages "Create / Update Block Number Group", "Delete Block Number(s) from a Group" and
"Generate Token". Marks: [S] the page of the update, [V] another one, [I] inferred. It has three ways in:

    legacy  /CAServicesV3/…, HTTP Basic; announced as deprecated [S]     a groupId is the vendor's number
    basic   /ca_apis/…, header `apiKey` [V]                              a groupId is the group's name
    token   /ca_apis/…, a token that lasts an hour [V]                   a groupId is the group's name

It can create groups, add numbers, delete numbers and change a group's description (in the legacy mode its
name, too). To replace, to list, or to delete a group is not
documented. It gives no request ids, so that the outcomes have none.
"""

import re
from base64 import b64encode
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
from numbergroup.vendors.answers import BadAnswer, beginning_of, json_object, scrubbed, whole_number
from numbergroup.vendors.classification import Failure, FailureClass, FailureClassifier, Stated
from numbergroup.vendors.ozonetel_answers import code_of, inserted_id, text_of, verdict_of
from numbergroup.vendors.ozonetel_numbers import (
    NATIONAL_DIGITS,
    details_of,
    made_no_group,
    rejected_of,
    took_none,
)
from numbergroup.vendors.port import Answer, Capabilities, Credentials, Request, TokenRules

Auth = Literal["legacy", "basic", "token"]

MOST_NUMBERS: Final = 100
"""In one call, of any operation [S]."""

CAPABILITIES = Capabilities(
    frozenset({CommandKind.CREATE, CommandKind.ADD, CommandKind.DELETE, CommandKind.RENAME}),
    MOST_NUMBERS,
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


@dataclass(slots=True, frozen=True)
class Api:
    """Where the calls go, and what the vendor's pages do not agree on."""

    create_path: str
    update_path: str
    delete_path: str
    token_path: str = "/ca_apis/CAToken/generateToken"  # noqa: S105
    # The body's field that names the group
    update_group_field: str = "groupName"
    delete_group_field: str = "groupName"  # [I]: the page's table has none, its answers speak of an "Id" [V]
    numbers_field: str = "blockNumbers"  # also seen as blockNumber [V]


_LEGACY_PATH = "/CAServicesV3/blockNumberGroupV2.php"
LEGACY = Api(
    _LEGACY_PATH, _LEGACY_PATH, _LEGACY_PATH, update_group_field="Id", delete_group_field="id"
)  # [S], [V]
CURRENT = Api(
    "/ca_apis/createBlockNumber",
    "/ca_apis/updateBlockNumbers",  # [V]; in the singular elsewhere
    "/ca_apis/deleteBlockNumber",
)

_NAME = range(2, 51)  # how many characters a name may have [V]
_DIGITS = re.compile("[0-9]{7,}")


@dataclass(slots=True, frozen=True)
class Ozonetel:
    """See `port.TokenProvider`. The credentials are the CloudAgent user name and the API
    key; with `auth="token"` the calls bear their token.

    `zone` is that of the expiry dates, which no page names; India's is likely [I]. `longest_description`:
    the limit is reported, but for which length is not said [I].
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
        """60 minutes, 10 an hour [V]. What is said of a dead one is not documented [I]."""
        if self.auth != "token":
            return None
        return TokenRules(3600.0, 10, frozenset({"authentication-failed", "invalid-token", "http-401"}))

    def objection(self, command: Command, /) -> Fault | None:
        if command.kind is CommandKind.RENAME and command.group_name is not None and not self._has_names:
            said = "the vendor knows a group by its name: with this AUTH only its remark can be changed"
            return Fault("unsupported", None, said)
        problem = self._problem(command)
        return None if problem is None else Fault("invalid", None, problem)

    @property
    def _has_names(self) -> bool:
        """Whether an update names the group by something else than its name, and so may give it another."""
        return self.auth == "legacy" and self.api.update_group_field != "name"

    def _problem(self, command: Command) -> str | None:
        ambiguous = [at for at, one in enumerate(command.numbers, 1) if len(one) == NATIONAL_DIGITS]
        if ambiguous:
            # The vendor would take it for an Indian one, and so change a number that nobody named.
            count = "a number" if len(ambiguous) == 1 else f"{len(ambiguous)} of its numbers"
            return (
                f"phones: {count} (the first at place {ambiguous[0]}) without a country code: the vendor "
                f"takes {NATIONAL_DIGITS} digits for an Indian number; write the country code, or set "
                "NATIONAL_NUMBERS for the account"
            )
        if command.number_expiry is not None and self._written(command.number_expiry) is None:
            return "expiresAt is no date that the vendor's format can hold"
        if command.kind is not CommandKind.CREATE:
            named = self.auth != "legacy" and command.group.kind is HandleKind.ID
            if named and len(command.group.name) not in _NAME:
                return "groupId is the group's name with this vendor: it has 2 to 50 characters"
            if command.kind is not CommandKind.RENAME:
                return None
        name, remark = command.group_name, command.remark
        if name is None and command.kind is CommandKind.CREATE:
            return "groupName is missing: the vendor's groups must have a name"
        if name is not None and len(name) not in _NAME:
            return f"groupName has {len(name)} characters: the vendor takes 2 to 50"
        if remark is not None and not _NAME.start <= len(remark) <= self.longest_description:
            return (
                f"remark has {len(remark)} characters: "
                f"the vendor takes {_NAME.start} to {self.longest_description}"
            )
        return None

    def request(self, call: Call, _wall_ms: int, credentials: Credentials) -> Request:
        match call.kind:
            case CallKind.CREATE:
                method, path = "POST", self.api.create_path
            case CallKind.ADD | CallKind.RENAME:
                method, path = "PUT", self.api.update_path
            case CallKind.DELETE:
                method, path = "DELETE", self.api.delete_path
            case other:
                raise ValueError(f"Ozonetel has no {other} operation")
        return self._request(method, path, self._body(call), credentials)

    def _body(self, call: Call) -> dict[str, Any]:
        body: dict[str, Any] = {self.api.numbers_field: call.numbers}
        match call.kind:
            case CallKind.CREATE:
                # Both are mandatory [V].
                body |= {"name": call.group_name, "description": call.remark or self._stand_in(call)}
            case CallKind.ADD:
                body[self.api.update_group_field] = self._handle(call)
            case CallKind.RENAME:
                # An update of no numbers [I]: its name and its description are fields of the update [S].
                body[self.api.update_group_field] = self._handle(call)
                texts = {"name": call.group_name, "description": call.remark}
                body |= {name: text for name, text in texts.items() if text is not None}
            case _:
                body[self.api.delete_group_field] = self._handle(call)
        if call.expires_at is not None and call.kind is not CallKind.DELETE:
            body["expiryDate"] = self._written(call.expires_at)
        return body

    def _stand_in(self, call: Call) -> str | None:
        return call.group_name and call.group_name[: self.longest_description]

    def _handle(self, call: Call) -> str | int | None:
        """The vendor shows its ids as numbers [S]."""
        number = whole_number(call.group_id) if self.auth == "legacy" else None
        return call.group_id if number is None else number

    def _written(self, at: float) -> str | None:
        """`YYYY-MM-DD HH:MM:SS` [S], in the account's zone; `None` for what lies beyond all calendars."""
        try:
            local = datetime.fromtimestamp(at, self.zone)
        except (ValueError, OverflowError, OSError):
            return None
        return local.replace(tzinfo=None).isoformat(" ", "seconds")

    def _request(
        self, method: str, path: str, body: dict[str, Any], credentials: Credentials, *, bearing: bool = True
    ) -> Request:
        headers = {"Content-Type": "application/json"}
        if self.auth == "legacy":
            headers["Authorization"] = f"Basic {_pair(credentials)}"
        else:
            body = {"userName": credentials.name, **body}
            if self.auth == "token" and bearing:
                headers["Authorization"] = f"Bearer {credentials.token or ''}"
            else:
                headers["apiKey"] = credentials.secret
        return Request(method, self.base_url.rstrip("/") + path, headers, orjson.dumps(body))

    def outcome(self, call: Call, answer: Answer, credentials: Credentials) -> Outcome:
        # The vendor's own verdict, if there is one, is in the body; but no success against the HTTP status.
        content = _content(answer)
        if content is None or verdict_of(content) is not True:
            return self._failure(call, answer, content, credentials)
        if not answer.is_success:
            return self.classes.contradiction(call, answer, _shown(text_of(content), credentials))
        try:
            return self._success(call, content, credentials)
        except BadAnswer as error:
            return Unavailable(f"a success that cannot be understood: {error}", in_doubt=True)

    def _success(self, call: Call, content: dict[str, Any], credentials: Credentials) -> Applied:
        group_id = None
        if call.kind is CallKind.CREATE:
            group_id = inserted_id(content) if self.auth == "legacy" else call.group_name
            if group_id is None:
                raise BadAnswer("no name of the group")
            if made_no_group(content):
                raise BadAnswer("it says that no group was made")
        rejected, none = rejected_of(content, call.numbers), took_none(content, call.numbers)
        details = details_of(content, call.numbers, lambda text: _shown(text, credentials))
        return Applied(
            None,
            group_id,
            rejected=call.numbers if none else rejected,
            nothing_applied=none and not rejected,
            details=details,
        )

    def _failure(
        self, call: Call, answer: Answer, content: dict[str, Any] | None, credentials: Credentials
    ) -> Failure:
        text = "" if content is None else text_of(content)
        code = None if content is None else code_of(content, call)
        silent = content is None or verdict_of(content) is None
        if silent and code is None and not self.classes.says_failure(call, text):
            kind = answer.headers.get("content-type", "")
            # What should have been a token may be one, in some other form.
            shown = b"" if call is _ASKING else answer.body
            begins = beginning_of(shown, kind, lambda part: _shown(part, credentials))
            return self.classes.outcome(call, answer, beginning=begins, lists=False)
        # With each of its documented messages the vendor says that nothing was done.
        stated = Stated(code, text, _shown(text, credentials), nothing_done=code is not None)
        found = self.classes.outcome(call, answer, stated, lists=False)
        if isinstance(found, AccountFault) and found.code is None:
            # By a text of the operator's: the one way to say how the vendor calls a dead token.
            fits = self.classes.unknown is FailureClass.REFUSED
            return replace(found, code="authentication-failed") if fits else found
        return found

    def token_request(self, credentials: Credentials) -> Request:
        return self._request("POST", self.api.token_path, {}, credentials, bearing=False)

    def token(self, answer: Answer, credentials: Credentials) -> str | AccountFault | Throttled | Unavailable:
        content = _content(answer)
        token = None if content is None else content.get("token")
        if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
            return token.strip()
        if content is not None and verdict_of(content):
            content = None  # a success without a token says nothing
        failure = self._failure(_ASKING, answer, content, credentials)
        if content is not None and verdict_of(content) is False:
            # In whatever words: a failure that is stated in the answer has made no token.
            failure = replace(failure, in_doubt=False)
        match failure:
            case AccountFault() | Throttled() | Unavailable():
                return failure
            case Refused(code=code, message=message, in_doubt=in_doubt):
                # Without a token no call of the account can work, whatever the reason is.
                return AccountFault(code, f"no token: {message}", in_doubt)
            case other:
                assert_never(other)


_ASKING = Call(CallKind.LIST)
"""A call that changes nothing, as to ask for a token does."""


def _content(answer: Answer) -> dict[str, Any] | None:
    return json_object(answer.body, answer.headers.get("content-type", ""), once="status")


def _shown(text: str, credentials: Credentials) -> str:
    """The vendor's message, fit for logs and results."""
    for secret in (credentials.token, _pair(credentials)):
        if secret:
            text = text.replace(secret, "***")
    # The vendor has no request ids: many digits are several numbers.
    return _DIGITS.sub("<number>", scrubbed(text, credentials.secret))


def _pair(credentials: Credentials) -> str:
    """As HTTP Basic has it (RFC 7617): anybody can read the key in it."""
    return b64encode(f"{credentials.name}:{credentials.secret}".encode()).decode()
