"""The model of all settings."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from numbergroup.settings.errors import variable
from numbergroup.settings.urls import BrokerUrl, LedgerUrl, SecretUrl
from numbergroup.settings.values import Choice, Host, HoursOrNever, Texts, normalize_value
from numbergroup.settings.vendors import Account
from numbergroup_contracts.publishing.urls import parse

MAX_PARTITIONS = 1024

AccountName = Annotated[str, Field(pattern="^[a-z0-9_-]{1,64}$")]

# A lease is renewed eight times within its lifetime. An attempt with a longer timeout would have to wait for
# the next renewal, and calls would be sent in bursts.
_LEASE_SHARE = 0.8
_OTHER_CHANNELS = 8
_MAX_COUNT = 1_000_000_000


class Settings(BaseSettings, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """All settings. Its constructor reads neither the environment nor files; `load_settings` does."""

    config: Path | None = Field(
        None,
        description="A TOML file with settings. Keys are in lower case, accounts are tables "
        "`[accounts.<name>]`. Set it in the environment only.",
    )
    env_file: Path | None = Field(
        None,
        description="A file with more of these variables, in lines `KEY=value`. When it changes, workers "
        "read the credentials again, and nothing else. Set it in the environment only.",
    )
    broker_url: BrokerUrl | None = Field(
        None,
        description="The broker: `redis://`, `rediss://`, `unix://`, `amqp://` or `amqps://`. "
        "Certificates are verified; `SSL_CERT_FILE` names other authorities. Without this setting, the "
        "worker starts an embedded broker, for trials.",
    )
    ledger_url: LedgerUrl | None = Field(
        None,
        description="The ledger, in which workers keep their records: `redis://`, `rediss://` or `unix://`. "
        "Without this setting, it is the broker's Redis, or the worker's memory if the broker is RabbitMQ. "
        "One ledger belongs to one broker.",
    )
    tls_verify: Annotated[Literal["on", "off"], Choice] = Field(
        "on",
        description="`off`: the certificates and host names of `rediss://` and `amqps://` servers are not "
        "verified, so an attacker on the network can read and change everything. For tests only. "
        "A URL alone cannot turn verification off.",
    )
    partitions: int = Field(
        1,
        ge=1,
        le=MAX_PARTITIONS,
        description="The number of partitions, the same for all workers and producers. Change it only "
        "when no worker runs and no command is waiting.",
    )
    lease_ttl_s: float = Field(
        10.0,
        ge=2,
        le=3600,
        description="Seconds for which a worker owns a partition without renewing its lease. A standby "
        "worker takes over within this time after a crash.",
    )
    linger_ms: int = Field(
        0,
        ge=0,
        le=3_600_000,
        description="Milliseconds that a group's batch waits for more commands. A higher value means fewer "
        "calls and later results.",
    )
    max_pending: int = Field(
        20_000,
        ge=1,
        le=1_000_000,
        description="The most commands in memory, per partition; more stay in the broker. A command counts "
        "once more for every 50 of its numbers. With several accounts, each account "
        "that is down may hold as many in addition. On RabbitMQ the prefetch is three times as "
        "many messages (at most 65,535; with several accounts, three times once for all and "
        "once for each).",
    )
    group_backlog: int = Field(
        5_000,
        ge=1,
        le=_MAX_COUNT,
        description="The most commands that may wait for one group that is stuck for a reason of its own. "
        "With more, the group is quarantined.",
    )
    max_dead_letters: int = Field(
        500_000,
        ge=1,
        le=_MAX_COUNT,
        description="The most dead letters. With so many, workers read no commands until there are fewer.",
    )
    max_crashes: int = Field(
        5,
        ge=3,
        le=100,
        description="The number of worker crashes in the same step after which a message or command is "
        "dead-lettered. Only crashes in which it was processed alone count; up to three more may come "
        "before. On RabbitMQ this needs `LEDGER_URL`.",
    )
    max_message_bytes: int = Field(
        1_048_576,
        ge=1,
        le=536_870_912,  # as much as Redis takes
        description="The largest message, in bytes. Larger ones are dead-lettered.",
    )
    reply_queues: Texts = Field(
        (
            *("numbergroup:replies", "numbergroup:replies:*"),  # streams
            *("numbergroup.replies", "numbergroup.replies.*"),  # lists and AMQP queues
        ),
        description="Shell patterns of the names that are allowed in `replyto` and `reply_to`.",
    )
    reply_queue_type: Annotated[Literal["quorum", "classic"], Choice] = Field(
        "classic",
        description="RabbitMQ: the type of the reply queues that the worker declares. Use `quorum` on a "
        "cluster. Existing queues are used unchanged, with a warning if their type differs.",
    )
    reply_queue_expires_hours: HoursOrNever = Field(
        168.0,
        le=1_193,
        description="RabbitMQ: hours without a consumer after which a reply queue is deleted with its "
        "messages, if the worker declared it for a `replyto`. 0: never. `numbergroup.replies` is "
        "never deleted.",
    )
    lossy_queues: Annotated[Literal["refuse", "accept"], Choice] = Field(
        "refuse",
        description="RabbitMQ: `accept` lets a worker start even if another program declared a command "
        "queue, or `numbergroup.dead`, in a way that can lose commands.",
    )
    dedup_hours: float = Field(
        24.0,
        ge=0.01,
        le=87_600,
        description="Hours for which a settled command stays in the ledger. A repetition within that time "
        "gets the first result.",
    )
    reply_retention_hours: HoursOrNever = Field(
        168.0, le=87_600, description="Redis: hours for which results are kept. 0: without limit."
    )
    reply_max: int = Field(
        1_000_000,
        ge=0,
        le=_MAX_COUNT,
        description="Redis: the most messages with results in one stream or list. 0: no limit.",
    )
    give_up_after_s: float = Field(
        86_400.0,
        ge=0.001,
        le=315_360_000,  # ten years
        description="Seconds after which a command that the vendor could not accept is `failed` "
        "(`unavailable`) and dead-lettered.",
    )
    log_format: Annotated[Literal["console", "json"], Choice] | None = Field(
        None, description="The format of the log. Without this setting: `console` on a terminal, else `json`."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Choice] = Field(
        "info", description="The least severe level that is logged."
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="The port on which Prometheus metrics are served, at `/metrics`. 0: any free port, which "
        "the log names. Without this setting there are no metrics. If the port is in use, the worker "
        "exits with code 2.",
    )
    metrics_host: Host = Field("127.0.0.1", description="The address on which the metrics are served.")
    accounts: dict[AccountName, Account] = Field(
        default_factory=dict, description="The vendor accounts, by name."
    )

    _every_value = field_validator("*", mode="before")(normalize_value)

    @property
    def effective_ledger_url(self) -> SecretUrl | None:
        """`ledger_url`; without it `broker_url` if that is Redis, else None."""
        inherits = self.broker_url and not self.broker_url.get_secret_value().startswith("amqp")
        return self.ledger_url or (self.broker_url if inherits else None)

    @property
    def number_normalizers(self) -> Mapping[str, Callable[[str], str]]:
        """By account, a function that maps all forms of a number to one. Some accounts have none."""
        normalizers = {
            name: account.create_provider().capabilities.normalize_number
            for name, account in self.accounts.items()
        }
        return {name: normalize for name, normalize in normalizers.items() if normalize is not None}

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that these settings were read from, and may be read from again."""
        files = [self.config, self.env_file]
        for account in self.accounts.values():
            files += account.files
        return tuple(file for file in files if file is not None)

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        problems = [*self._check_timeouts(), *self._check_urls(), *self._check_failure_classes()]
        if problems:
            raise ValueError(*problems)
        return self

    def _check_timeouts(self) -> Iterator[str]:
        for name, account in self.accounts.items():
            if account.timeout_s > _LEASE_SHARE * self.lease_ttl_s:
                share, ttl = f"{_LEASE_SHARE:.0%}", f"{variable('lease_ttl_s')}, {self.lease_ttl_s:g}"
                yield (
                    f"{variable('accounts', name, 'timeout_s')} is {account.timeout_s:g}, over {share} "
                    f"of {ttl}: lower the first or raise the second"
                )

    def _check_urls(self) -> Iterator[str]:
        for key in ("broker_url", "ledger_url"):
            url = getattr(self, key)
            if url is None:
                continue
            address = parse(url.get_secret_value())
            if self.tls_verify == "on" and not address.is_verified:
                yield (
                    f"{variable(key)} switches the verification of certificates off, which a URL alone "
                    f"cannot: remove that from it, or set {variable('tls_verify')}=off"
                )
            channels = address.options.get("channel_max")
            if channels is not None and channels < self.partitions + _OTHER_CHANNELS:
                yield (
                    f"{variable(key)} has a channel_max that is too small for {variable('partitions')}="
                    f"{self.partitions}: it must be {self.partitions + _OTHER_CHANNELS} or more"
                )

    def _check_failure_classes(self) -> Iterator[str]:
        for name, account in self.accounts.items():
            ambiguous = account.find_ambiguous_sign()
            if ambiguous is not None:
                sign, first, second = ambiguous
                yield (
                    f"{variable('accounts', name, first)} and {variable('accounts', name, second)} both have "
                    f"{sign!r:.60}, which can mean only one thing: leave it out of one of them (that which "
                    "is not set has its default)"
                )

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        return (sources["init_settings"],)
