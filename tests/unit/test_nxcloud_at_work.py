"""A worker with an NXCloud account: what producers see of the vendor's documented errors."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from whole_worker import event, results_of, serving

from numbergroup.sandbox.faults import Status
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import start

NUMBER = "85211111114"
REFUSALS = {
    "1002": "parameter error",
    "10004": "country code mismatch",
    "10011": "limit out of range",
    "10012": "offset out of range",
}
PASSING = {"1004": "timestamp expired", "10009": "failed to retrieve data"}
DENIAL = "1003"


class Vendor:
    """Answers with the code that the group's id is; what may pass, and the denial, only the first time."""

    def __init__(self) -> None:
        self.answered: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        code: str = orjson.loads(await request.read())["groupId"]
        if code in REFUSALS or code not in self.answered:
            self.answered.add(code)
            said: dict[str, Any] = {
                "code": int(code),
                "msg": (REFUSALS | PASSING).get(code, "invalid signature"),
            }
        else:
            said = {"code": 0, "msg": "success"}
        return web.json_response({**said, "requestId": "1602248485121429504"})


async def results(*codes: str) -> dict[str, Any]:
    """What commands are answered whose groups are called by these codes."""
    async with serving(Vendor().answer) as url:
        account = {"BASE_URL": url, "ACCESS_KEY": "k", "ACCESS_SECRET": "abciiiko2k3"}
        return await results_of(
            {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in account.items()},
            [event(code, "update", groupId=code, operateType="add", phones=[NUMBER]) for code in codes],
        )


async def test_what_the_vendor_refuses() -> None:
    """Each refusal of its pages ends its own command, with the vendor's code and words, and its requestId."""
    found = await results(*REFUSALS)
    assert {name: (one["error"]["code"], one["error"]["message"]) for name, one in found.items()} == {
        code: (code, said) for code, said in REFUSALS.items()
    }
    assert {(one["status"], one["error"]["kind"]) for one in found.values()} == {("rejected", "refused")}
    assert {tuple(one["requestIds"]) for one in found.values()} == {("1602248485121429504",)}


async def test_what_may_pass_and_what_is_about_the_account() -> None:
    """Neither costs a command anything but time."""
    found = await results(*PASSING, DENIAL)
    assert {one["status"] for one in found.values()} == {"applied"}


@pytest.mark.slow
async def test_a_vendor_that_is_down_and_says_until_when() -> None:
    """A 503 that says so in a body of its own is nobody's refusal, and until it is over no group is
    called."""
    sandbox = await start(Options(), port=0)
    try:
        down = '{"code":503,"msg":"Service Unavailable"}'
        sandbox.state.faults.add([Status(status=503, body=down, retry_after="2", times=1)])
        account = {"BASE_URL": sandbox.url, "ACCESS_KEY": "sandbox-key", "ACCESS_SECRET": "sandbox-secret"}
        environ = {f"NUMBERGROUP_ACCOUNTS__DEFAULT__{key}": value for key, value in account.items()}
        environ["NUMBERGROUP_ACCOUNTS__DEFAULT__MAX_IN_FLIGHT"] = "1"
        update = {"operateType": "add", "phones": [NUMBER]}
        found = await results_of(
            environ, [event(name, "update", groupId=name, **update) for name in ("g-1", "g-2")]
        )
        assert {one["status"] for one in found.values()} == {"applied"}
        first, *later = sorted(one.at_ms for one in sandbox.state.calls.recent())
        assert len(later) == 2
        assert min(later) - first >= 1_900
    finally:
        await sandbox.stop()
