"""Publishes to Redis Streams."""

from typing import Any

from numbergroup_contracts.names import PARTITIONS_KEY, command_stream, partition_of
from numbergroup_contracts.publishing.errors import PublishError, import_optional
from numbergroup_contracts.publishing.packing import Message
from numbergroup_contracts.publishing.urls import parse, redis_arguments

_PIPELINE_MESSAGES = 500
_PIPELINE_BYTES = 8 * 1024 * 1024


class RedisSender:
    """Implements `numbergroup_contracts.publishing.Sender` with pipelines of `XADD`."""

    def __init__(self, url: str, partitions: int, timeout_s: float) -> None:
        redis = import_optional("redis", "redis")
        backoff, retry = import_optional("redis.backoff", "redis"), import_optional("redis.retry", "redis")
        self.confirmed = 0
        self._partitions = partitions
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        # One retry on a new connection: the server may have closed an idle one. Commands that had arrived are
        # then sent twice, which the worker recognises.
        address = parse(url)
        arguments = {
            "socket_connect_timeout": min(5.0, timeout_s),
            "socket_timeout": timeout_s,
            **redis_arguments(address),
        }
        self._client: Any = redis.Redis.from_url(
            address.url, protocol=2, retry=retry.Retry(backoff.NoBackoff(), 1), **arguments
        )
        self._waiting: list[Message] = []
        self._size = 0
        self._has_checked_partitions = False

    def find_destination(self, handle: str) -> str:
        return command_stream(partition_of(handle, self._partitions))

    def _check_partitions(self) -> None:
        """Raise `PublishError` if the workers have another number of partitions: none would read the
        commands."""
        try:
            stored = self._client.get(PARTITIONS_KEY)
        except self._errors as error:
            raise PublishError(f"the connection to Redis failed: {error}", self.confirmed) from error
        if stored and not stored.isdigit():
            raise PublishError(
                f"the key {PARTITIONS_KEY} holds no number: set it to the number of partitions",
                self.confirmed,
            )
        in_force = int(stored) if stored else self._partitions
        if in_force != self._partitions:
            raise PublishError(
                f"the workers' number of partitions is {in_force}, and not {self._partitions}: "
                f"say partitions={in_force} (NUMBERGROUP_PARTITIONS)",
                self.confirmed,
            )

    def send(self, message: Message) -> None:
        self._waiting.append(message)
        self._size += len(message.body)
        if len(self._waiting) >= _PIPELINE_MESSAGES or self._size >= _PIPELINE_BYTES:
            self.flush()

    def flush(self) -> None:
        messages, self._waiting, self._size = self._waiting, [], 0
        if not messages:
            return
        if not self._has_checked_partitions:
            self._check_partitions()
            self._has_checked_partitions = True
        pipe = self._client.pipeline(transaction=False)
        for message in messages:
            pipe.xadd(message.destination, {"event": message.body})
        try:
            answers = pipe.execute(raise_on_error=False)
        except self._errors as error:
            raise PublishError(f"the connection to Redis failed: {error}", self.confirmed) from error
        first_error: Exception | None = None
        for message, answer in zip(messages, answers, strict=True):
            if isinstance(answer, Exception):
                first_error = first_error or answer
            else:
                self.confirmed += message.commands
        if first_error is not None:
            raise PublishError(f"Redis refuses: {first_error}", self.confirmed) from first_error

    def close(self) -> None:
        self._client.close()
