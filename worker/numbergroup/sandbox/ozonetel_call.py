"""A call to Ozonetel in progress: authenticates it, applies it, and encodes the answer. Pure."""

from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, assert_never

from numbergroup.sandbox import ozonetel
from numbergroup.sandbox.armed import FaultEffects, Target
from numbergroup.sandbox.call import make_readable, parse_json
from numbergroup.sandbox.call_log import LoggedOzonetelCall
from numbergroup.sandbox.faults import (
    AuthenticationFailed,
    ErrorAnswer,
    RefuseNumbers,
    RefusingFault,
    Throttle,
    VendorCode,
)
from numbergroup.sandbox.ozonetel import Add, Create, Delete, MakeToken, Mode, Refusal, Request
from numbergroup.sandbox.ozonetel_groups import BlockGroup, format_number, list_digit_forms
from numbergroup.sandbox.state import State
from numbergroup.sandbox.vendor_call import ReceivedRequest, Reply

_MAX_LOGGED_CHARACTERS = 64
_VERBS = {"createBlockNumber": "created", "updateBlockNumbers": "updated", "deleteBlockNumber": "deleted"}


class OzonetelCall:
    """Implements `VendorCall` for Ozonetel.

    The path and the header (`apiKey` or `Authorization: Bearer`) decide the mode.
    """

    def __init__(self, received: ReceivedRequest, state: State) -> None:
        self._vendor = state.ozonetel
        self._now_ms = received.now_ms
        self._rejected: frozenset[str] = frozenset()
        operation = ozonetel.find_operation(received.method, received.path)
        self._action = "unknown" if isinstance(operation, Refusal) else operation
        self._body = _read_body(received)
        self._mode, self._user, self._secret = _read_credentials(received, self._body)
        self._request: Request | Refusal
        if isinstance(operation, Refusal):
            self._request = operation
        else:
            self._request = self._authenticate() or ozonetel.read_request(operation, self._mode, self._body)
        self.log = self._create_log_entry()
        state.calls.record(self.log, counted_as=self._action)

    def _create_log_entry(self) -> LoggedOzonetelCall:
        log = LoggedOzonetelCall(self._now_ms, make_readable(self._user), self._action, mode=self._mode)
        group_ref = next((self._body[key] for key in self._group_fields if key in self._body), None)
        if isinstance(group_ref, (str, int)):
            log.group_id = str(group_ref)[:_MAX_LOGGED_CHARACTERS]
        if isinstance(self._request, (Create, Add, Delete)):
            log.phones = ",".join(self._request.numbers)
        expiry = self._body.get("expiryDate")
        log.expiry_date = expiry[:_MAX_LOGGED_CHARACTERS] if isinstance(expiry, str) else None
        return log

    @property
    def _group_fields(self) -> Sequence[str]:
        """The fields of the body that may name the group. A legacy create has none."""
        if self._mode != "legacy":
            return ("groupName", "name", "id")
        return () if self._action == "createBlockNumber" else ("Id", "id")

    def _authenticate(self) -> Refusal | None:
        """Checks the credentials. Returns a refusal, or None if they are accepted."""
        asks_for_token = self._action == "generateToken"
        if self._mode != "legacy" and not self._user:
            return ozonetel.MISSING_USER if asks_for_token else ozonetel.MANDATORY
        if self._mode == "token":
            good = self._vendor.tokens.is_accepted(self._user, self._secret, self._now_ms / 1000)
        else:
            good = self._secret in self._vendor.credentials.secrets.get(self._user, ())
        if good:
            return None
        if not asks_for_token:
            return ozonetel.AUTHENTICATION_FAILED
        return ozonetel.WRONG_USER if self._secret else ozonetel.MISSING_USER

    @property
    def target(self) -> Target:
        added_numbers: frozenset[str] = frozenset()
        changed_numbers: frozenset[str] = frozenset()
        if isinstance(self._request, (Create, Add, Delete)):
            changed_numbers = _all_digit_forms(self._request.numbers)
            added_numbers = frozenset() if isinstance(self._request, Delete) else changed_numbers
        bears_token = self._mode == "token" and not isinstance(self._request, Refusal)
        return Target(
            vendor="ozonetel",
            action=self._action,
            group_id=self.log.group_id,
            added_numbers=added_numbers,
            changed_numbers=changed_numbers,
            bears_token=bears_token,
        )

    def is_over_cap(self, now_ms: int) -> bool:
        cap = self._vendor.cap
        return cap is not None and not cap.admit(now_ms)

    def apply_effects(self, effects: FaultEffects) -> None:
        self._rejected = effects.rejected
        if effects.kills_token:
            self._vendor.tokens.revoke(self._user)
            self.recheck_validity(self._now_ms)

    def recheck_validity(self, now_ms: int) -> None:
        self._now_ms = now_ms
        if not isinstance(self._request, Refusal):
            self._request = self._authenticate() or self._request

    def perform(self) -> Reply:
        request = self._request
        match request:
            case Refusal():
                return self._encode_refusal(request)
            case MakeToken():
                token = self._vendor.tokens.issue(self._user, self._now_ms / 1000)
                if token is None:
                    return self._encode_refusal(Refusal(ozonetel.MAX_LIMIT))
                self.log.applied = True
                return Reply(ozonetel.encode_token(token), "")
            case Create():
                return self._create(request)
            case Add() | Delete():
                group = self._vendor.groups.find(self._customer, request.group)
                if group is None:
                    return self._encode_refusal(ozonetel.INVALID_GROUP)
                return self._add(request, group) if isinstance(request, Add) else self._delete(request, group)
            case _:
                assert_never(request)

    @property
    def _customer(self) -> str:
        return self._vendor.credentials.find_customer(self._user) or ""

    def _create(self, request: Create) -> Reply:
        groups = self._vendor.groups
        if groups.find(self._customer, request.name) is not None:
            return self._encode_refusal(
                Refusal("invalid data", {"name": f"Name ({request.name}) already exists"})
            )
        group = groups.create(self._customer, request.name, request.description)
        if self._mode == "legacy":
            self.log.group_id = str(group.group_id)
        accepted, rejected = self._split_rejected(request.numbers)
        new = group.add(accepted, request.expires_ms, self._now_ms)
        echoed = {"name": group.name, "description": group.description, "blockNumbers": request.numbers}
        output = {"affectedRows": 1, "lastInsertId": group.group_id, "succes": _format_numbers(accepted)}
        return self._encode_success(echoed, {**output, "error": rejected, "new": new, "inserted": new})

    def _add(self, request: Add, group: BlockGroup) -> Reply:
        other = self._vendor.groups.find(self._customer, request.name) if request.name else None
        if other is not None and other is not group:
            return self._encode_refusal(
                Refusal("invalid data", {"name": f"Name ({request.name}) already exists"})
            )
        group.name = request.name or group.name
        group.description = request.description or group.description
        accepted, rejected = self._split_rejected(request.numbers)
        new = group.add(accepted, request.expires_ms, self._now_ms)
        echoed = {"id": group.group_id, "blockNumbers": request.numbers}
        output = {"succes": _format_numbers(accepted), "error": rejected, "new": new, "inserted": new}
        return self._encode_success(echoed, output)

    def _delete(self, request: Delete, group: BlockGroup) -> Reply:
        accepted, rejected = self._split_rejected(request.numbers)
        deleted = group.remove(accepted, self._now_ms)
        echoed = {"id": group.group_id, "blockNumbers": request.numbers}
        return self._encode_success(
            echoed, {"success": _format_numbers(accepted), "error": rejected, "deleted": deleted}
        )

    def _split_rejected(self, numbers: Iterable[str]) -> tuple[list[str], list[str]]:
        """Returns the accepted numbers as sent, and the rejected ones as the vendor formats them."""
        accepted: list[str] = []
        rejected: list[str] = []
        for number in numbers:
            if ozonetel.is_number(number) and self._rejected.isdisjoint(list_digit_forms(number)):
                accepted.append(number)
            else:
                rejected.append(number)
        self.log.rejected = rejected
        return accepted, _format_numbers(rejected)

    def refuse(self, fault: RefusingFault) -> Reply:
        match fault:
            case RefuseNumbers():
                return self._encode_refusal(ozonetel.INVALID_NUMBERS)
            case AuthenticationFailed():
                asks = self._action == "generateToken"
                refusal = ozonetel.WRONG_USER if asks else ozonetel.AUTHENTICATION_FAILED
                return self._encode_refusal(replace(refusal, http=fault.http))
            case ErrorAnswer():
                return self._encode_refusal(Refusal(fault.message, fault.errors, fault.http, fault.status))
            case VendorCode():
                raise ValueError(f"{fault.kind} is no fault of Ozonetel's")
            case _:
                assert_never(fault)

    def throttle(self, fault: Throttle) -> Reply:
        message = fault.msg if "msg" in fault.model_fields_set else ozonetel.MAX_LIMIT
        reply = self._encode_refusal(Refusal(message))
        if fault.body:
            return reply
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return replace(reply, http=HTTPStatus.TOO_MANY_REQUESTS, headers=headers)

    def fake_success(self) -> bytes:
        if self._action == "generateToken":
            return ozonetel.encode_token("no.such.token")
        return ozonetel.encode_success(_VERBS.get(self._action, "updated"), {}, {})

    @property
    def success_prefix(self) -> bytes:
        return b'{"token":"' if self._action == "generateToken" else b'{"status":"success","message":"'

    def _encode_success(self, echoed: Mapping[str, Any], output: Mapping[str, Any]) -> Reply:
        self.log.applied = True
        message = _VERBS[self._action]
        return Reply(ozonetel.encode_success(message, echoed, output), message)

    def _encode_refusal(self, refusal: Refusal) -> Reply:
        return Reply(ozonetel.encode_refusal(self._action, refusal), refusal.message, refusal.http)


def _read_body(received: ReceivedRequest) -> dict[str, Any]:
    """Returns the body's JSON object, or an empty one.

    The current pages require the content type `application/json`.
    """
    declared = received.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if received.path != ozonetel.LEGACY_PATH and declared != "application/json":
        return {}
    body = parse_json(received.body)
    return body if isinstance(body, dict) else {}


def _read_credentials(received: ReceivedRequest, body: Mapping[str, Any]) -> tuple[Mode, str, str]:
    """Returns the mode, the user, and the API key or token."""
    scheme, _, value = received.headers.get("Authorization", "").partition(" ")
    value = value.strip()
    if received.path == ozonetel.LEGACY_PATH:
        try:
            pair = b64decode(value if scheme.lower() == "basic" else "", validate=True).decode()
        except ValueError:
            pair = ""
        user, _, secret = pair.partition(":")
        return "legacy", user, secret
    user_name = body.get("userName")
    user = user_name if isinstance(user_name, str) else ""
    if scheme.lower() == "bearer" and not received.path.endswith("generateToken"):
        return "token", user, value
    return "basic", user, received.headers.get("apiKey", "")


def _format_numbers(numbers: Iterable[str]) -> list[str]:
    return [format_number(number) for number in numbers]


def _all_digit_forms(numbers: Iterable[str]) -> frozenset[str]:
    return frozenset(form for number in numbers for form in list_digit_forms(number))
