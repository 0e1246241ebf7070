"""Servers of a measurement's own, on loopback."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(*command: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def redis_server() -> Iterator[int]:
    """A redis-server that keeps nothing on disk; its port. Ends the program where there is none."""
    if shutil.which("redis-server") is None:
        sys.exit("bench: redis-server is not on the PATH")
    port = free_port()
    server = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with tempfile.TemporaryDirectory() as folder, running(*server, "--dir", folder):
        yield port


async def connected(client: Redis) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + 20
    while True:
        try:
            await client.ping()
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return
