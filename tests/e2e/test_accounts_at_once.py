"""Accounts of two vendors in one worker: each has its own limits, breaker and pauses."""

from collections.abc import Iterator

import pytest
from e2e_answers import letters
from e2e_brokers import on_both_brokers
from e2e_commands import Event, Script, lone
from e2e_processes import eventually
from e2e_stage import SIGNATURE_LASTS_S, Stage, Vendor

pytestmark = [pytest.mark.redis_server, on_both_brokers]

ONE, TWO, BLOCKED = "one", "two", "blocked"
CREDENTIALS = {
    "ACCOUNTS__ONE__ACCESS_KEY": "key-of-one",
    "ACCOUNTS__ONE__ACCESS_SECRET": "secret-of-one",
    "ACCOUNTS__TWO__ACCESS_KEY": "key-of-two",
    "ACCOUNTS__TWO__ACCESS_SECRET": "secret-of-two",
    "ACCOUNTS__BLOCKED__PROVIDER": "ozonetel",
    "ACCOUNTS__BLOCKED__USERNAME": "user-of-blocked",
    "ACCOUNTS__BLOCKED__API_KEY": "key-of-blocked",
}
QUICK = {"CALLS_PER_SECOND": "200", "TIMEOUT_S": "1", "BREAKER_MAX_OPEN_S": "2"}
NAMES = [f"group-{n}" for n in range(8)]


@pytest.fixture
def vendor(stage: Stage) -> Iterator[Vendor]:
    """Of both vendors, with these customers."""
    with Vendor(stage.folder, **CREDENTIALS) as vendor:
        yield vendor


@pytest.fixture
def settings(stage: Stage, vendor: Vendor) -> dict[str, str]:
    """Of a worker that has all three accounts, and no other."""
    for name in [name for name in stage.settings if name.startswith("ACCOUNTS__")]:
        del stage.settings[name]
    limits = {
        f"ACCOUNTS__{name}__{key}": value for name in (ONE, TWO, BLOCKED) for key, value in QUICK.items()
    }
    found = CREDENTIALS | {name.upper(): value for name, value in limits.items()}
    for name in ("ONE", "TWO"):
        found[f"ACCOUNTS__{name}__BASE_URL"] = vendor.url
        found[f"ACCOUNTS__{name}__SIGNATURE_LASTS_S"] = SIGNATURE_LASTS_S
    found["ACCOUNTS__BLOCKED__BASE_URL"] = vendor.origin
    found["ACCOUNTS__BLOCKED__REQUEST_LASTS_S"] = SIGNATURE_LASTS_S
    return found


def scripts(count: int) -> dict[str, Script]:
    """What each account's producer asks for; Ozonetel can only add and delete."""
    made = {name: Script(seed) for seed, name in enumerate((ONE, TWO, BLOCKED), 1)}
    for account, script in made.items():
        for name in NAMES:
            script.create(name)
        if account == BLOCKED:
            for n in range(count - len(NAMES)):
                pool = script.pool(NAMES[n % 8])
                script.update(
                    NAMES[n % 8], "delete" if n % 3 == 0 else "add", [pool[n % 37], pool[n * 7 % 40]]
                )
        else:
            script.some_updates(count - len(NAMES), NAMES)
        for event in script.events:
            event |= {"account": account, "source": account, "id": f"{account}-{event['id']}"}
    return made


def mixed(made: dict[str, Script]) -> list[Event]:
    """All of them in turn."""
    return [event for events in zip(*(one.events for one in made.values()), strict=True) for event in events]


def groups(vendor: Vendor, account: str) -> dict[str, set[str]]:
    return vendor.blocked("user-of-blocked") if account == BLOCKED else vendor.groups(f"key-of-{account}")


@pytest.mark.parametrize("auth", ["legacy", "basic", "token"])
def test_three_accounts_at_once(stage: Stage, vendor: Vendor, settings: dict[str, str], auth: str) -> None:
    """Two of NXCloud's and one of Ozonetel's, commands mixed: every group is right, each at its account."""
    made, answers = scripts(150), stage.answers()
    stage.publish(lone(mixed(made)))
    worker = stage.worker(settings | {"ACCOUNTS__BLOCKED__AUTH": auth})
    eventually(lambda: answers.count >= 450, "a result for every command", 60.0)
    assert set(answers.statuses().values()) <= {"applied", "superseded"}
    assert {name: groups(vendor, name) for name in made} == {name: one.groups for name, one in made.items()}
    accounts = {name: answers.one(name).data.account for name in answers.of}
    assert all(name.startswith(f"{account}-") for name, account in accounts.items())
    assert letters(stage.redis.client) == []
    assert worker.stop() == 0


@pytest.mark.parametrize(("down", "affected"), [("ozonetel", {BLOCKED}), ("nxcloud", {ONE, TWO})])
def test_one_vendor_is_down(
    stage: Stage, vendor: Vendor, settings: dict[str, str], down: str, affected: set[str]
) -> None:
    """The other vendor's commands are carried out as if nothing was, those of this one when it is back."""
    made, answers = scripts(150), stage.answers()
    vendor.fault("status", status=503, vendor=down)
    stage.publish(lone(mixed(made)))
    worker = stage.worker(settings)
    well = made.keys() - affected
    ours = {event["id"] for name in well for event in made[name].events}
    eventually(lambda: answers.count >= len(ours), "the answers of those who are well", 60.0)
    assert set(answers.of) == ours
    assert {name: groups(vendor, name) for name in well} == {name: made[name].groups for name in well}
    worker.says("no more are made until a probe goes through")
    vendor.heal()
    eventually(lambda: answers.count >= 450, "the answers of the others", 60.0)
    assert {name: groups(vendor, name) for name in made} == {name: one.groups for name, one in made.items()}
    assert set(answers.statuses().values()) <= {"applied", "superseded"}
    assert letters(stage.redis.client) == []
