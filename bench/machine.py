"""What a measurement ran on."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

_LIBRARIES = ("redis", "hiredis", "amqp", "kombu", "aiohttp", "pydantic", "orjson")


def described() -> dict[str, Any]:
    """Of processors, programs and libraries; `load`: how many processes wanted to run when it began, by the
    minute before. What else is running takes from what is measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "redis_server": _redis_server(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "load": os.getloadavg()[0],
    }


def in_a_line(machine: dict[str, Any]) -> str:
    """For the head of the report."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['system']}, Python {machine['python']}, "
        f"redis-server {machine['redis_server']}, {libraries}; load before: {machine['load']:.1f}"
    )


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _redis_server() -> str | None:
    if shutil.which("redis-server") is None:
        return None
    said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\S+)", said)
    return found[1] if found else said
