"""`numbergroup_contracts` needs pydantic and nothing else, until it is asked to publish."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from deadlines import room

ROOT = Path(__file__).parents[3]
BLOCKED = ("kombu", "amqp", "redis", "orjson", "numbergroup", "structlog", "aiohttp", "fakeredis")


def run(program: str) -> str:
    """Its output, in a Python that cannot import what producers need not have."""
    block = f"import sys\nfor name in {BLOCKED!r}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=room(20),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import() -> None:
    """All that the package exports is there, `publish` with it."""
    said = run("""
        import numbergroup_contracts as contracts
        print(len([getattr(contracts, name) for name in contracts.__all__]), callable(contracts.publish))
    """)
    assert said.split()[1] == "True"


@pytest.mark.parametrize(("url", "extra"), [("redis://127.0.0.1", "redis"), ("amqp://127.0.0.1", "amqp")])
def test_the_library_of_the_broker(url: str, extra: str) -> None:
    """What is missing is said together with how to get it."""
    said = run(f"""
        from numbergroup_contracts import DeleteGroup, publish
        command = DeleteGroup.model_validate({{
            "specversion": "1.0", "id": "c-1", "source": "s", "type": "numbergroup.delete.v1",
            "data": {{"groupId": "g"}},
        }})
        try:
            publish([command], {url!r})
        except ImportError as error:
            print(error)
    """)
    assert f"pip install 'numbergroup-contracts[{extra}]'" in said
