"""The control endpoints: list and seed groups, list calls, manage faults and credentials.

Invalid input is answered with status 400 and the reason.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from numbergroup.sandbox import seeds
from numbergroup.sandbox.api import Api, Clock
from numbergroup.sandbox.credentials import Rotation, is_about_ozonetel, read_rotation
from numbergroup.sandbox.faults import read_faults
from numbergroup.sandbox.help import HELP
from numbergroup.sandbox.state import State

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Control:
    """The endpoints under `/_sandbox`."""

    def __init__(self, state: State, api: Api, clock: Clock) -> None:
        self._state = state
        self._api = api
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        groups, calls, faults = "/_sandbox/groups", "/_sandbox/calls", "/_sandbox/faults"
        credentials = "/_sandbox/credentials"
        return [
            web.get("/", _help),
            web.get(groups, _guarded(self._get_groups)),
            web.post(groups, _guarded(self._seed_groups)),
            web.get(calls, _guarded(self._get_calls)),
            web.delete(calls, _guarded(self._clear_calls)),
            web.get(faults, _guarded(self._get_faults)),
            web.post(faults, _guarded(self._add_faults)),
            web.delete(faults, _guarded(self._clear_faults)),
            web.delete(faults + "/{id}", _guarded(self._remove_fault)),
            web.get(credentials, _guarded(self._get_credentials)),
            web.post(credentials, _guarded(self._rotate)),
            web.post("/_sandbox/reset", _guarded(self._reset)),
            web.route("*", "/_sandbox{tail:.*}", _guarded(_unknown)),
        ]

    async def _get_groups(self, http: web.Request) -> web.Response:
        query = _query(http, "accessKey", "userName", "vendor")
        vendor, access_key, user = (query.get(name) for name in ("vendor", "accessKey", "userName"))
        is_about_ozonetel(query)
        state = self._state
        if access_key is not None:
            access_key = state.credentials.require_customer(access_key, "accessKey")
        if user is not None:
            user = state.ozonetel.credentials.require_customer(user, "userName")
        groups: list[dict[str, Any]] = []
        if vendor != "ozonetel" and user is None:
            groups += seeds.list_nxcloud_groups(state, access_key)
        if vendor != "nxcloud" and access_key is None:
            groups += seeds.list_ozonetel_groups(state, self._clock(), user)
        return _json({"groups": groups, "total": len(groups), "late": self._api.late})

    async def _seed_groups(self, http: web.Request) -> web.Response:
        seeded = seeds.seed_groups(self._state, await _body(http), self._clock())
        return _json({"groups": seeded, "total": len(seeded)})

    async def _get_calls(self, http: web.Request) -> web.Response:
        query = _query(http, "limit", "since")
        limit, since_ms = _read_integer(query, "limit"), _read_integer(query, "since")
        log = self._state.calls
        return _json(
            {
                "calls": [call.as_json() for call in log.recent(limit, since_ms)],
                "total": log.total,
                "by_action": log.by_action,
                "per_second_max": log.per_second_max,
            }
        )

    async def _clear_calls(self, _http: web.Request) -> web.Response:
        self._state.calls.clear()
        return _json({"cleared": True})

    async def _get_faults(self, _http: web.Request) -> web.Response:
        return _json({"faults": [armed.as_json() for armed in self._state.faults.each()]})

    async def _add_faults(self, http: web.Request) -> web.Response:
        added = self._state.faults.add(read_faults(await _body(http)))
        return _json({"faults": [armed.as_json() for armed in added]})

    async def _clear_faults(self, _http: web.Request) -> web.Response:
        self._state.faults.clear()
        return _json({"cleared": True})

    async def _remove_fault(self, http: web.Request) -> web.Response:
        fault_id = _read_integer(dict(http.match_info), "id")
        if fault_id is None or not self._state.faults.remove(fault_id):
            return _json({"error": f"there is no fault {fault_id}"}, status=404)
        return _json({"removed": fault_id})

    async def _get_credentials(self, _http: web.Request) -> web.Response:
        return _json(self._list_credentials())

    async def _rotate(self, http: web.Request) -> web.Response:
        rotation, state = read_rotation(await _body(http)), self._state
        if isinstance(rotation, Rotation):
            key = state.credentials.resolve_key(rotation.access_key, "accessKey")
            state.rotate(key, rotation.secret, rotation.new_access_key, overlap=rotation.overlap)
        else:
            user = state.ozonetel.credentials.resolve_key(rotation.user_name, "userName")
            state.ozonetel.rotate(user, rotation.api_key, rotation.new_user_name, overlap=rotation.overlap)
        return _json(self._list_credentials())

    def _list_credentials(self) -> dict[str, Any]:
        users = self._state.ozonetel.credentials.as_json("userName", "apiKeys")
        listed = self._state.credentials.as_json("accessKey", "secrets")
        listed += ({"vendor": "ozonetel", **user} for user in users)
        return {"credentials": listed, "total": len(listed)}

    async def _reset(self, _http: web.Request) -> web.Response:
        self._state.reset()
        return _json({"reset": True})


async def _help(_http: web.Request) -> web.Response:
    return web.Response(text=HELP)


async def _unknown(http: web.Request) -> web.Response:
    # The escaped path is used because the decoded one may not be encodable as JSON.
    request = f"{http.method} {http.rel_url.raw_path}"
    return _json({"error": f"there is no {request}; GET / names what there is"}, status=404)


def _guarded(handler: Handler) -> Handler:
    """Wraps a handler so that errors in its input are answered as JSON."""

    async def guarded(http: web.Request) -> web.Response:
        try:
            return await handler(http)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)
        except web.HTTPRequestEntityTooLarge:
            return _json({"error": "the body is too large"}, status=413)

    return guarded


async def _body(http: web.Request) -> Any:
    try:
        return orjson.loads(await http.read())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON: {error}") from None


def _query(http: web.Request, *known: str) -> dict[str, str]:
    for name in http.query:
        if name not in known:
            raise ValueError(f"{name}: unknown parameter" + (f"; known: {', '.join(known)}" if known else ""))
    return dict(http.query)


def _read_integer(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"{name}: must be a whole number, 0 or greater")
    return int(text)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
