"""The built wheels, installed into fresh environments: what a user gets from them."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from deadlines import room

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
COMMAND = (
    '{"specversion": "1.0", "id": "c-1", "source": "s", "type": "numbergroup.delete.v1", '
    '"data": {"groupId": "g"}}'
)


def run(arguments: Sequence[str | Path], folder: Path) -> str:
    """Run a program in `folder` and return its standard output; fail the test if the program fails."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        timeout=room(120),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment, used from the folder of a project with modules of its own."""

    python: Path
    project: Path

    @classmethod
    def create(cls, folder: Path, *requirements: str | Path) -> "Environment":
        """Install the requirements beside a project that has a `worker.py` and a `contracts` package."""
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        run([python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, *requirements], folder)
        project = folder / "project"
        (project / "contracts").mkdir(parents=True)
        (project / "worker.py").write_text("OWNER = 'the project'\n")
        (project / "contracts" / "__init__.py").write_text("OWNER = 'the project'\n")
        return cls(python, project)

    def run(self, *arguments: str) -> str:
        """Run Python in the project's folder."""
        return run([self.python, *arguments], self.project)

    def installed(self) -> set[str]:
        """Return the names of the installed distributions."""
        lines = self.run("-m", "pip", "list", "--format=freeze").splitlines()
        return {line.partition("==")[0].lower() for line in lines}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, by distribution, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheels")
    source, target = folder / "source", folder / "built"
    for name in ("worker", "contracts"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for path in (source, source / "contracts" / "python"):
        run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", target, path], folder)
    return {file.name.partition("-")[0]: file for file in target.glob("*.whl")}


def top_level(wheel: Path) -> set[str]:
    """Return the names that the wheel puts into site-packages, without its own metadata."""
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    return {name for name in names if not name.endswith(".dist-info")}


def test_what_the_wheels_contain(wheels: dict[str, Path]) -> None:
    """No name but the two import packages reaches site-packages; every source file is in its wheel."""
    assert top_level(wheels["numbergroup"]) == {"numbergroup", "numbergroup_contracts"}
    assert top_level(wheels["numbergroup_contracts"]) == {"numbergroup_contracts"}
    versions = {file.name.split("-")[1] for file in wheels.values()}
    assert len(versions) == 1
    files = set(zipfile.ZipFile(wheels["numbergroup"]).namelist())
    for package in (ROOT / "worker/numbergroup", ROOT / "contracts/python/numbergroup_contracts"):
        sources = [path for path in package.rglob("*") if path.suffix in (".py", ".lua", ".typed")]
        assert sources
        assert {str(path.relative_to(package.parent)) for path in sources} <= files


def test_the_worker_beside_a_project(wheels: dict[str, Path], tmp_path: Path) -> None:
    """A project with modules called `worker` and `contracts` keeps them, and the worker works beside them."""
    environment = Environment.create(tmp_path, wheels["numbergroup"])
    owners = environment.run(
        "-c",
        "import worker, contracts, numbergroup, numbergroup_contracts; print(worker.OWNER, contracts.OWNER)",
    )
    assert owners == "the project the project\n"
    assert environment.run("-m", "numbergroup", "--version").startswith("numbergroup ")
    assert "Usage: numbergroup" in environment.run("-m", "numbergroup", "--help")
    environment.run("-m", "numbergroup", "demo", "--commands", "200", "--no-faults")


def test_the_contracts_of_a_producer(wheels: dict[str, Path], tmp_path: Path) -> None:
    """The producers' wheel needs pydantic only, and reads a command; an extra names the broker's library."""
    environment = Environment.create(tmp_path, wheels["numbergroup_contracts"])
    assert not environment.installed() & {"redis", "kombu", "amqp", "numbergroup", "aiohttp"}
    program = f"""
import contracts
from numbergroup_contracts import COMMAND_ADAPTER, publish
print(contracts.OWNER, COMMAND_ADAPTER.validate_json('''{COMMAND}''').id)
try:
    publish(['''{COMMAND}'''], "redis://127.0.0.1:1/0")
except ImportError as error:
    print(error)
"""
    first, second = environment.run("-c", program).splitlines()
    assert first == "the project c-1"
    assert "numbergroup-contracts[redis]" in second
