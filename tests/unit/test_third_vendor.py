"""A vendor that is added by one module, one settings class and one line of the registry: at work."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from third_vendor import PlainAccount
from whole_worker import event, results_of, serving

from numbergroup.settings import VENDORS, SettingsError, load_settings

USER, KEY = "plain-user", "plain-key"
NUMBERS = [f"44{7_700_900_000 + n}" for n in range(25)]
NOBODY = "447999999999"


class PlainVendor:
    """The vendor: its groups by id, and the bodies of the calls that it took."""

    def __init__(self) -> None:
        self.groups: dict[str, set[str]] = {}
        self.calls: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        return await (self._create(request) if request.method == "POST" else self._update(request))

    async def _create(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        group_id = f"p-{len(self.groups) + 1}"
        self.groups[group_id] = set(body["numbers"])
        return web.json_response({"id": group_id})

    async def _update(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        group = self.groups[request.path.rpartition("/")[2]]
        if NOBODY in body.get("add", ()):
            return web.json_response({"error": "bad: nobody has such a number"})
        group.update(body.get("add", ()))
        group.difference_update(body.get("remove", ()))
        return web.json_response({})

    async def _body(self, request: web.Request) -> Any:
        assert (request.headers["X-User"], request.headers["X-Key"]) == (USER, KEY)
        self.calls.append(orjson.loads(await request.read()))
        return self.calls[-1]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VENDORS, "plain", PlainAccount)


def environ(url: str = "http://127.0.0.1:1", **more: str) -> dict[str, str]:
    keys = {"PROVIDER": "plain", "BASE_URL": url, "USER": USER, "KEY": KEY, **more}
    return {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in keys.items()}


async def test_it_does_the_work() -> None:
    """Create, add and delete, as many numbers a call as it takes; a bad number stops nobody else's; what the
    vendor cannot do is refused before any call."""
    vendor = PlainVendor()
    commands = [
        event("create", "create", groupName="night", groupKey="k", phones=NUMBERS),
        event("delete", "update", groupKey="k", operateType="delete", phones=NUMBERS[:2]),
        event("bad", "update", groupKey="k", operateType="add", phones=[NOBODY]),
        event("replace", "update", groupKey="k", operateType="replace", phones=NUMBERS[:1]),
        event("drop", "delete", groupKey="k"),
        event("list", "list"),
        event("abroad", "update", groupKey="k", operateType="add", phones=["85211111114"]),
    ]
    async with serving(vendor.answer) as url:
        found = await results_of(environ(url), commands)
    assert {name: one["status"] for name, one in found.items()} == {
        "create": "applied",
        "delete": "applied",
        "bad": "rejected",
        "replace": "rejected",
        "drop": "rejected",
        "list": "rejected",
        "abroad": "rejected",
    }
    assert {found[name]["error"]["kind"] for name in ("replace", "drop", "list")} == {"unsupported"}
    assert found["bad"]["error"]["code"] == "bad"
    assert found["abroad"]["error"]["kind"] == "invalid"
    assert found["create"]["groupId"] == "p-1"
    assert vendor.groups == {"p-1": set(NUMBERS[2:])}
    carried = [len(next(v for v in call.values() if isinstance(v, list))) for call in vendor.calls]
    assert max(carried) <= 10


def test_its_settings_are_like_any() -> None:
    """A misspelt key names the nearest, another vendor's says whose it is, and the secret is never quoted."""
    account = load_settings(environ()).accounts["default"]
    assert isinstance(account, PlainAccount)
    for more, said in {
        "USR": "did you mean",
        "ACCESS_KEY": "is a setting of nxcloud, but this account's PROVIDER is plain",
        "NUMBERS_PER_CALL": "'11' must be less than or equal to 10",
    }.items():
        with pytest.raises(SettingsError, match=said):
            load_settings(environ(**{more: "11"}))
    with pytest.raises(SettingsError, match="must be 'nxcloud' or 'ozonetel' or 'plain'"):
        load_settings(environ(PROVIDER="plane"))


def test_the_credentials_may_be_in_files(tmp_path: Any) -> None:
    """As those of any vendor."""
    (tmp_path / "key").write_text("of-the-file\n")
    given = environ(KEY_FILE=str(tmp_path / "key"))
    del given["NUMBERGROUP_ACCOUNTS__DEFAULT__KEY"]
    account = load_settings(given).accounts["default"]
    assert account.credentials.secret == "of-the-file"
    assert account.files == (tmp_path / "key",)
