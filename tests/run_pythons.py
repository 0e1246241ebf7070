"""Run the quick unit tests on every other Python that is supported and installed on this machine.

`python tests/run_pythons.py [--jobs N]`. Each version gets a virtual environment, `.venv-3.N`, which is kept.
Exit code 0: all tests passed on all of them, or the machine has no other version.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))


def find(version: str) -> Path | None:
    """Return the path of a working interpreter of that version, from PATH or pyenv."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    candidates = [folder / f"python{version}" for folder in folders]
    pyenv = [folder.parent for folder in folders if folder.name == "shims"]
    candidates += [path for root in pyenv for path in root.glob(f"versions/{version}.*/bin/python{version}")]
    return next(filter(_works, candidates), None)


def _works(interpreter: Path) -> bool:
    """Return whether it starts (pyenv's shims do only for chosen versions) and can make environments."""
    command = [interpreter, "-c", "import ensurepip"]
    return interpreter.exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def environment(version: str, interpreter: Path) -> Path:
    """Return the Python of an environment of that version in which the project is installed."""
    folder = ROOT / f".venv-{version}"
    python, installed = folder / "bin" / "python", folder / ".installed"
    requirements = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    newest = max(path.stat().st_mtime for path in requirements)
    if not installed.exists() or installed.stat().st_mtime < newest:
        subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", ".[dev]"]
        subprocess.run(pip, cwd=ROOT, check=True)
        installed.touch()
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", default="8", help="how many tests run side by side")
    jobs: str = parser.parse_args().jobs
    code = 0
    for version in SUPPORTED:
        name = ".".join(map(str, version))
        if version == sys.version_info[:2]:
            continue
        interpreter = find(name)
        if interpreter is None:
            print(f"Python {name}: not on this machine")
            continue
        print(f"Python {name}: {interpreter}", flush=True)
        tests = [environment(name, interpreter), "-m", "pytest", "-q", "-n", jobs]
        tests += ["-m", "not slow and not alone", "tests/unit"]
        code = max(code, subprocess.run(tests, cwd=ROOT, check=False).returncode)
    return code


if __name__ == "__main__":
    sys.exit(main())
