"""The control endpoints: see and seed groups, see calls, ask for faults. Bad input gets 400 and why."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from worker.sandbox.actions import is_group_id
from worker.sandbox.api import Api
from worker.sandbox.faults import read_faults
from worker.sandbox.groups import Group
from worker.sandbox.state import State

Handler = Callable[[web.Request], Awaitable[web.Response]]

_Number = Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]

HELP = """\
NXCloud PNS sandbox: the vendor's API, emulated, with faults on demand.

POST   /api/pns/            the vendor's API (any path that does not begin with /_sandbox)
GET    /_sandbox/groups     all groups; ?accessKey=
POST   /_sandbox/groups     seed a group or an array of them:
                            {"groupId", "phones": [...], "groupName"?, "remark"?, "accessKey"?}
GET    /_sandbox/calls      what was called; ?limit= (newest) ?since= (Unix ms)
DELETE /_sandbox/calls      forget what was called
GET    /_sandbox/faults     faults in place, and how often each fired
POST   /_sandbox/faults     add a fault or an array of them:
                            {"kind", ..., "action"?, "groupId"?, "probability"?, "times"?}
DELETE /_sandbox/faults     remove all; /_sandbox/faults/{id} removes one
POST   /_sandbox/reset      as new: no groups, no calls, no faults

kinds: latency (ms, jitter_ms), status (status, body, content_type, applied),
       throttle (retry_after, body, code, msg), lost, drop, late (delay_ms),
       refuse_numbers (numbers), code (code, msg), redirect (location), code_as_string,
       garbage (form: html, truncated, cut or drip; interval_ms, applied)

curl -X POST localhost:8900/_sandbox/faults -d '{"kind": "status", "status": 503, "times": 3}'
"""


class _Seed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    group_id: str = Field(alias="groupId")
    phones: list[_Number]
    group_name: str = Field(default="", alias="groupName")
    remark: str = ""
    access_key: str | None = Field(default=None, alias="accessKey")


_SEEDS = TypeAdapter(list[_Seed])


class Control:
    """The endpoints under `/_sandbox`."""

    def __init__(self, state: State, api: Api) -> None:
        self._state = state
        self._api = api

    def routes(self) -> list[web.RouteDef]:
        groups, calls, faults = "/_sandbox/groups", "/_sandbox/calls", "/_sandbox/faults"
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
            web.post("/_sandbox/reset", _guarded(self._reset)),
            web.route("*", "/_sandbox{tail:.*}", _guarded(_unknown)),
        ]

    async def _get_groups(self, http: web.Request) -> web.Response:
        access_key = _query(http, "accessKey").get("accessKey")
        if access_key is not None:
            self._check_key(access_key)
        groups = [_group_json(key, group) for key, group in self._state.groups.each(access_key)]
        return _json({"groups": groups, "total": len(groups), "late": self._api.late})

    async def _seed_groups(self, http: web.Request) -> web.Response:
        body = await _body(http)
        try:
            seeds = _SEEDS.validate_python(body if isinstance(body, list) else [body])
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            raise ValueError(
                "; ".join(f"groups{_path(detail['loc'])}: {detail['msg']}" for detail in details)
            ) from None
        keys = [self._key_of(seed) for seed in seeds]
        groups = self._state.groups
        seeded = [
            (key, groups.put(key, seed.group_id, seed.phones, name=seed.group_name, remark=seed.remark))
            for key, seed in zip(keys, seeds, strict=True)
        ]
        return _json({"groups": [_group_json(key, group) for key, group in seeded], "total": len(seeded)})

    async def _get_calls(self, http: web.Request) -> web.Response:
        query = _query(http, "limit", "since")
        limit, since_ms = _whole(query, "limit"), _whole(query, "since")
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
        fault_id = _whole(dict(http.match_info), "id")
        if fault_id is None or not self._state.faults.remove(fault_id):
            return _json({"error": f"there is no fault {fault_id}"}, status=404)
        return _json({"removed": fault_id})

    async def _reset(self, _http: web.Request) -> web.Response:
        self._state.reset()
        return _json({"reset": True})

    def _key_of(self, seed: _Seed) -> str:
        if not is_group_id(seed.group_id):
            raise ValueError("groupId: must be 1 to 128 visible ASCII characters")
        if seed.access_key is not None:
            return self._check_key(seed.access_key)
        if len(self._state.credentials) > 1:
            raise ValueError(f"accessKey: name one of {', '.join(self._state.credentials)}")
        return next(iter(self._state.credentials))

    def _check_key(self, access_key: str) -> str:
        if access_key not in self._state.credentials:
            raise ValueError(f"accessKey: must be one of {', '.join(self._state.credentials)}")
        return access_key


async def _help(_http: web.Request) -> web.Response:
    return web.Response(text=HELP)


async def _unknown(http: web.Request) -> web.Response:
    # Its escaped form: a path may decode to what JSON cannot say.
    asked = f"{http.method} {http.rel_url.raw_path}"
    return _json({"error": f"there is no {asked}; GET / names what there is"}, status=404)


def _guarded(handler: Handler) -> Handler:
    """Makes JSON errors of what the handler finds wrong with its input."""

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


def _whole(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"{name}: must be a whole number, 0 or greater")
    return int(text)


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _group_json(access_key: str, group: Group) -> dict[str, Any]:
    return {
        "accessKey": access_key,
        "groupId": group.group_id,
        "groupName": group.name,
        "customerId": group.customer_id,
        "remark": group.remark,
        "phones": list(group.members),
    }


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
