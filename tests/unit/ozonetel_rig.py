"""A client of Ozonetel's three modes, built by hand from the vendor's pages."""

from base64 import b64encode
from typing import Any, Self

import orjson
from test_sandbox_rig import Reply, Rig

USER, API_KEY = "sandbox", "sandbox-api-key"
MODES = ("legacy", "basic", "token")
NAME, DESCRIPTION = "blocked", "for tests"
A, B, C = "9876543210", "919876543211", "85211111114"
SPELT = {A: "+919876543210", B: "+919876543211", C: "85211111114"}

AUTHENTICATION_FAILED = {"status": "error", "message": "Authentication failed"}
MANDATORY = {"status": "error", "message": "Parameters are mandatory"}
INVALID_GROUP = {"status": "error", "message": "Invalid group id"}
INVALID_NUMBERS = {
    "status": "error",
    "message": "invalid data",
    "errors": {"blockNumbers": "Blocknumbers data contains invalid format of numbers"},
}

LEGACY = "/CAServicesV3/blockNumberGroupV2.php"
METHODS = {"create": "POST", "add": "PUT", "delete": "DELETE"}
PATHS = {
    "create": "/ca_apis/createBlockNumber",
    "add": "/ca_apis/updateBlockNumbers",
    "delete": "/ca_apis/deleteBlockNumber",
}
GROUP_FIELDS = {
    ("legacy", "create"): "name",
    ("legacy", "add"): "Id",
    ("legacy", "delete"): "id",
    ("basic", "create"): "name",
    ("token", "create"): "name",
}


class Ozonetel(Rig):
    """In the token mode it makes a token at the start. `user`, `key` and `token` may be changed."""

    def __init__(self, mode: str = "basic", **options: Any) -> None:
        super().__init__(**options)
        self.mode = mode
        self.user, self.key, self.token = USER, API_KEY, ""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        # The client would send a PUT or DELETE that got no answer once more, by itself.
        self.session._retry_connection = False
        if self.mode == "token":
            self.token = (await self.make_token()).json["token"]
        return self

    async def make_token(self, body: Any = None, **headers: str) -> Reply:
        body = {"userName": self.user} if body is None else body
        return await self.request(
            "POST", "/ca_apis/CAToken/generateToken", body, headers or {"apiKey": self.key}
        )

    async def create(self, *numbers: str, name: str = NAME, **changed: Any) -> Reply:
        body = {"name": name, "description": DESCRIPTION, "blockNumbers": list(numbers), **changed}
        return await self.ask("create", body)

    async def created(self, *numbers: str, name: str = NAME, **changed: Any) -> str | int:
        """The handle of a new group, as the mode has it."""
        reply = await self.create(*numbers, name=name, **changed)
        assert reply.json["status"] == "success", reply.body
        return reply.json["output"]["lastInsertId"] if self.mode == "legacy" else name

    async def add(self, group: str | int, *numbers: str, **changed: Any) -> Reply:
        field = GROUP_FIELDS.get((self.mode, "add"), "groupName")
        return await self.ask("add", {field: group, "blockNumbers": list(numbers), **changed})

    async def delete(self, group: str | int, *numbers: str, **changed: Any) -> Reply:
        field = GROUP_FIELDS.get((self.mode, "delete"), "groupName")
        return await self.ask("delete", {field: group, "blockNumbers": list(numbers), **changed})

    async def ask(self, operation: str, body: Any) -> Reply:
        """`None` in the body leaves a field out."""
        if self.mode == "legacy":
            pair = b64encode(f"{self.user}:{self.key}".encode()).decode()
            path, headers = LEGACY, {"Authorization": f"Basic {pair}"}
        else:
            path, body = PATHS[operation], {"userName": self.user, **body}
            is_token = self.mode == "token"
            headers = {"Authorization": f"Bearer {self.token}"} if is_token else {"apiKey": self.key}
        body = {key: value for key, value in body.items() if value is not None}
        return await self.request(METHODS[operation], path, body, headers)

    async def request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        url = self.sandbox.origin + path
        async with self.session.request(
            method, url, data=raw, headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def phones(self, name: str = NAME) -> list[str] | None:
        """Who is in the group of this name, as they were sent; `None`: there is no such group."""
        groups = (await self.control("GET", "/_sandbox/groups?vendor=ozonetel")).json["groups"]
        found: list[list[str]] = [group["phones"] for group in groups if group["groupName"] == name]
        assert len(found) < 2
        return found[0] if found else None
