"""Publishing to Redis Streams."""

from typing import Any

from numbergroup_contracts.names import PARTITIONS_KEY, command_stream, partition_of
from numbergroup_contracts.publishing.errors import PublishError, import_optional
from numbergroup_contracts.publishing.packing import Message
from numbergroup_contracts.publishing.urls import parse, redis_arguments

_AT_ONCE = 500
_BYTES_AT_ONCE = 8 * 1024 * 1024


class RedisSender:
    """See `numbergroup_contracts.publishing.Sender`. Entries go out in pipelines."""

    def __init__(self, url: str, partitions: int, timeout_s: float) -> None:
        redis = import_optional("redis", "redis")
        backoff, retry = import_optional("redis.backoff", "redis"), import_optional("redis.retry", "redis")
        self.confirmed = 0
        self._partitions = partitions
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        # One retry on a new connection: one that was closed while the commands kept us waiting is no
        # outage. What had arrived arrives twice then, which the worker recognises.
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
        self._agreed = False

    def lane_of(self, handle: str) -> str:
        return command_stream(partition_of(handle, self._partitions))

    def _agree(self) -> None:
        """Refuse to publish where no worker looks, or where it may not be."""
        try:
            found = self._client.get(PARTITIONS_KEY)
        except self._errors as error:
            raise PublishError(f"the connection to Redis failed: {error}", self.confirmed) from error
        in_force = int(found) if found else self._partitions
        if in_force != self._partitions:
            raise PublishError(
                f"the workers' number of partitions is {in_force}, and not {self._partitions}: "
                f"say partitions={in_force} (NUMBERGROUP_PARTITIONS)",
                self.confirmed,
            )

    def send(self, message: Message) -> None:
        self._waiting.append(message)
        self._size += len(message.body)
        if len(self._waiting) >= _AT_ONCE or self._size >= _BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        sent, self._waiting, self._size = self._waiting, [], 0
        if not sent:
            return
        if not self._agreed:
            self._agree()
            self._agreed = True
        pipe = self._client.pipeline(transaction=False)
        for message in sent:
            pipe.xadd(message.lane, {"event": message.body})
        try:
            answers = pipe.execute(raise_on_error=False)
        except self._errors as error:
            raise PublishError(f"the connection to Redis failed: {error}", self.confirmed) from error
        refused: Exception | None = None
        for message, answer in zip(sent, answers, strict=True):
            if isinstance(answer, Exception):
                refused = refused or answer
            else:
                self.confirmed += message.commands
        if refused is not None:
            raise PublishError(f"Redis refuses: {refused}", self.confirmed) from refused

    def close(self) -> None:
        self._client.close()
