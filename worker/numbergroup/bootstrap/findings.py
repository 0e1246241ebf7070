"""Finds what operators must be warned of. Workers log it at their start, and `status` shows it."""

from collections.abc import Iterator

from redis.asyncio import Redis

from numbergroup.brokers.redis.key_types import MistypedKey, mistyped_keys
from numbergroup.brokers.redis.server_facts import read_server_facts, warnings
from numbergroup.ledger.client import translate_errors
from numbergroup.ledger.port import LedgerUnavailable
from numbergroup.settings import Settings
from numbergroup.settings.secret_files import check_permissions
from numbergroup_contracts.publishing.urls import parse


def find_in_settings(settings: Settings) -> Iterator[str]:
    """Yield warnings about the settings, and about the files that they come from."""
    urls = [url.get_secret_value() for url in (settings.broker_url, settings.ledger_url) if url]
    if settings.tls_verify == "off" and any(parse(url).is_tls for url in urls):
        yield (
            "NUMBERGROUP_TLS_VERIFY is off: the certificates of broker and ledger are not verified, so an "
            "attacker on the network can read and change everything"
        )
    if settings.metrics_port is None and "metrics_host" in settings.model_fields_set:
        yield "NUMBERGROUP_METRICS_HOST has no effect without NUMBERGROUP_METRICS_PORT: set that, too"
    yield from check_permissions(settings.files)
    for name, account in settings.accounts.items():
        yield from (f"account {name}: {warning}" for warning in account.warnings)


async def find_in_server(settings: Settings, client: Redis) -> list[str]:
    """Return warnings about the Redis server at `client`: the broker, or the ledger of RabbitMQ.

    For an embedded one there are none. Raises `LedgerUnavailable`.
    """
    is_broker = settings.broker_url is None or not parse(settings.broker_url.get_secret_value()).is_amqp
    if settings.effective_ledger_url is None:
        return []
    async with translate_errors(LedgerUnavailable):
        return list(warnings(await read_server_facts(client), holds_commands=is_broker))


async def find_in_keys(settings: Settings, client: Redis, partitions: int) -> list[MistypedKey]:
    """Return the keys of Redis whose values have another type than workers need.

    Raises `LedgerUnavailable`.
    """
    async with translate_errors(LedgerUnavailable):
        return await mistyped_keys(client, partitions, settings.accounts)
