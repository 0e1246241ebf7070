"""Whatever is sent to Ozonetel's paths, the answer has the vendor's form, and says what was done."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from ozonetel_rig import A, B

from numbergroup.sandbox.armed import FaultEffects
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.ozonetel import LEGACY_PATH
from numbergroup.sandbox.ozonetel_call import OzonetelCall
from numbergroup.sandbox.state import State
from numbergroup.sandbox.vendor_call import ReceivedRequest

KEYS = ("userName", "Id", "id", "name", "groupName", "description", "blockNumbers", "expiryDate")
NAMES = ("team", "sandbox", "1")
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=60) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)
numbers = st.lists(st.sampled_from([A, B, f"91{A}", f"{A},{B}"]), min_size=1, max_size=5)
team = dict.fromkeys(("name", "groupName"), "team") | dict.fromkeys(("Id", "id"), 1)
good = st.builds(
    lambda numbers: {"userName": "sandbox", "description": "abc", **team, "blockNumbers": numbers}, numbers
)
strange = st.dictionaries(st.sampled_from(KEYS), json | st.lists(st.sampled_from([A, "x", 7]), max_size=3))
bodies = st.one_of(
    good.map(orjson.dumps),
    st.builds(lambda one, other: orjson.dumps({**one, **other}), good, strange),
    st.binary(max_size=20),
)
ROUTES = [
    ("POST", LEGACY_PATH),
    ("PUT", LEGACY_PATH),
    ("DELETE", LEGACY_PATH),
    ("POST", "/ca_apis/createBlockNumber"),
    ("PUT", "/ca_apis/updateBlockNumbers"),
    ("DELETE", "/ca_apis/deleteBlockNumber"),
    ("POST", "/ca_apis/CAToken/generateToken"),
    ("PUT", "/ca_apis/createBlockNumber"),
]
BASIC = "Basic c2FuZGJveDpzYW5kYm94LWFwaS1rZXk="
authorizations = st.sampled_from([BASIC, BASIC, "Basic ????", "Bearer x"])
requests = st.tuples(
    st.sampled_from(ROUTES), authorizations, st.sampled_from(["sandbox-api-key", "wrong"]), bodies
)


def members(state: State) -> dict[str, list[str]]:
    return {group.name: list(group.members) for _, group in state.ozonetel.groups.each(0)}


CREATED = (ROUTES[0], BASIC, "", orjson.dumps({"name": "team", "description": "abc", "blockNumbers": [A]}))


@given(st.lists(requests, max_size=8))
def test_every_answer_has_the_vendors_form(calls: list[Any]) -> None:
    """It is JSON with a status or a token; an error changes nothing; a success names every number once."""
    state = State(Options())
    for (method, path), authorization, key, body in [CREATED, *calls]:
        headers = {"Content-Type": "application/json", "apiKey": key, "Authorization": authorization}
        call = OzonetelCall(ReceivedRequest(method, path, CIMultiDict(headers), body, 0), state)
        call.apply_effects(FaultEffects(rejected=frozenset({B})))
        before = members(state)
        reply = call.perform()
        said = orjson.loads(reply.body)
        assert reply.http in (200, 401, 405)
        assert orjson.dumps(call.log.as_json())
        if said.get("status") == "success":
            assert call.log.applied
            output = said["output"]
            taken = output.get("succes", output.get("success"))
            assert len(taken) + len(output["error"]) == len(said["input"]["blockNumbers"])
            assert f"+{B}" not in taken
        else:
            assert members(state) == before
            assert said.get("token") or said["status"] in ("error", "false")
            assert call.log.applied == ("token" in said)
