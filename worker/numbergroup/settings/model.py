"""All settings, as one value."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from numbergroup.settings.errors import variable
from numbergroup.settings.urls import BrokerUrl, LedgerUrl, SecretUrl
from numbergroup.settings.values import Choice, Host, HoursOrNever, Texts, sane
from numbergroup.settings.vendors import Account
from numbergroup_contracts.publishing.urls import parse

MOST_PARTITIONS = 1024

AccountName = Annotated[str, Field(pattern="^[a-z0-9_-]{1,64}$")]

# A lease is renewed eight times in its life: what may be sent for longer than this would have to wait for
# the next renewal, and calls would leave in bunches.
_LEASE_SHARE = 0.8
_OTHER_CHANNELS = 8
_MANY = 1_000_000_000


class Settings(BaseSettings, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """Every setting. Built directly it reads nothing from outside: that is `load_settings`."""

    config: Path | None = Field(
        None,
        description="A TOML file with settings: the same keys in lower case, accounts as "
        "`[accounts.<name>]`. Set it in the environment only.",
    )
    env_file: Path | None = Field(
        None,
        description="A file with more of these variables, as `KEY=value` lines. It is read again when it "
        "changes, for credentials only. Set it in the environment only.",
    )
    broker_url: BrokerUrl | None = Field(
        None,
        description="The broker: `redis://`, `rediss://`, `unix://`, `amqp://` or `amqps://`. "
        "Certificates are verified; `SSL_CERT_FILE` names other authorities. Without it the "
        "worker starts an embedded broker, for trying out.",
    )
    ledger_url: LedgerUrl | None = Field(
        None,
        description="What the worker remembers beside RabbitMQ: `redis://`, `rediss://` or `unix://`. "
        "Without it the ledger is the broker's Redis; beside RabbitMQ it is in the worker's "
        "memory. One ledger belongs to one broker.",
    )
    tls_verify: Annotated[Literal["on", "off"], Choice] = Field(
        "on",
        description="`off`: the certificates and names of brokers and ledgers behind `rediss://` and "
        "`amqps://` are not verified, so that anyone on the network path can read and change "
        "everything. For tests only. A URL alone cannot switch verification off.",
    )
    partitions: int = Field(
        1,
        ge=1,
        le=MOST_PARTITIONS,
        description="How many partitions there are, the same for all workers and producers. Change it "
        "only when no worker runs and nothing waits.",
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
        description="Milliseconds that a group's batch waits for more commands. More means fewer calls, "
        "and later answers.",
    )
    max_pending: int = Field(
        20_000,
        ge=1,
        le=1_000_000,
        description="Commands in memory, per partition; the rest stays in the broker. A command counts "
        "once more for every 50 numbers that it has. With several accounts, each account "
        "that is down may hold as many again. On RabbitMQ the prefetch is three times as "
        "many messages (at most 65,535; with several accounts, three times once for all and "
        "once for each).",
    )
    group_backlog: int = Field(
        5_000,
        ge=1,
        le=_MANY,
        description="How many commands may wait for one group that is stuck by itself. With more, the "
        "group is quarantined.",
    )
    max_dead_letters: int = Field(
        500_000,
        ge=1,
        le=_MANY,
        description="With so many dead letters, workers read no more commands until there are fewer.",
    )
    max_crashes: int = Field(
        5,
        ge=3,
        le=100,
        description="How many workers must crash in the same step with one message or command alone in "
        "hand, until it is dead-lettered. Up to three more may crash before it is alone. On "
        "RabbitMQ this needs `LEDGER_URL`.",
    )
    max_message_bytes: int = Field(
        1_048_576,
        ge=1,
        le=536_870_912,  # as much as Redis takes
        description="The most bytes of a message; a larger one is dead-lettered.",
    )
    reply_queues: Texts = Field(
        (
            *("numbergroup:replies", "numbergroup:replies:*"),  # streams
            *("numbergroup.replies", "numbergroup.replies.*"),  # lists and AMQP queues
        ),
        description="Shell patterns of the names that a `replyto` or `reply_to` may have.",
    )
    reply_queue_type: Annotated[Literal["quorum", "classic"], Choice] = Field(
        "classic",
        description="RabbitMQ: the type of the reply queues that the worker declares; `quorum` on a "
        "cluster. A queue that exists is used as it is, with a warning if its type differs.",
    )
    reply_queue_expires_hours: HoursOrNever = Field(
        168.0,
        le=1_193,
        description="RabbitMQ: a reply queue that the worker declared for a `replyto` is deleted, with its "
        "messages, after so many hours without a consumer. 0: never. `numbergroup.replies` is never deleted.",
    )
    lossy_queues: Annotated[Literal["refuse", "accept"], Choice] = Field(
        "refuse",
        description="RabbitMQ: `accept` lets a worker start although a command queue or `numbergroup.dead`, "
        "declared by another program, can lose commands.",
    )
    dedup_hours: float = Field(
        24.0,
        ge=0.01,
        le=87_600,
        description="Hours for which a settled command stays in the ledger, so that a repeat gets the first "
        "answer.",
    )
    reply_retention_hours: HoursOrNever = Field(
        168.0, le=87_600, description="Redis: hours for which results are kept. 0: for ever."
    )
    reply_max: int = Field(
        1_000_000,
        ge=0,
        le=_MANY,
        description="Redis: how many messages with results one stream or list keeps. 0: any number.",
    )
    give_up_after_s: float = Field(
        86_400.0,
        ge=0.001,
        le=315_360_000,  # ten years
        description="Seconds after which a command that the vendor could not take is `failed` "
        "(`unavailable`) and dead-lettered.",
    )
    log_format: Annotated[Literal["console", "json"], Choice] | None = Field(
        None, description="Without it: `console` on a terminal, else `json`."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Choice] = Field(
        "info", description="The least severe level that is logged."
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Prometheus finds the metrics at `/metrics` on this port. 0: any free port; the log "
        "names it. Without it there are no metrics. A port that is taken: exit code 2.",
    )
    metrics_host: Host = Field("127.0.0.1", description="The address that the metrics are served on.")
    accounts: dict[AccountName, Account] = Field(
        default_factory=dict, description="The vendor accounts, by name."
    )

    _every_value = field_validator("*", mode="before")(sane)

    @property
    def effective_ledger_url(self) -> SecretUrl | None:
        """`ledger_url`, else the broker's where that is Redis, else None."""
        inherits = self.broker_url and not self.broker_url.get_secret_value().startswith("amqp")
        return self.ledger_url or (self.broker_url if inherits else None)

    @property
    def spellings(self) -> Mapping[str, Callable[[str], str]]:
        """By account, what makes one spelling of all ways to write a number, where there are several."""
        found = {
            name: account.vendor().capabilities.normalize_number for name, account in self.accounts.items()
        }
        return {name: spelling for name, spelling in found.items() if spelling is not None}

    @property
    def files(self) -> tuple[Path, ...]:
        """All that these settings were read from, and may be read from again."""
        files = [self.config, self.env_file]
        for account in self.accounts.values():
            files += account.files
        return tuple(file for file in files if file is not None)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        problems = [*self._overlong_attempts(), *self._unfit_urls(), *self._doubtful_classes()]
        if problems:
            raise ValueError(*problems)
        return self

    def _overlong_attempts(self) -> Iterator[str]:
        for name, account in self.accounts.items():
            if account.timeout_s > _LEASE_SHARE * self.lease_ttl_s:
                share, ttl = f"{_LEASE_SHARE:.0%}", f"{variable('lease_ttl_s')}, {self.lease_ttl_s:g}"
                yield (
                    f"{variable('accounts', name, 'timeout_s')} is {account.timeout_s:g}, over {share} "
                    f"of {ttl}: lower the first or raise the second"
                )

    def _unfit_urls(self) -> Iterator[str]:
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

    def _doubtful_classes(self) -> Iterator[str]:
        for name, account in self.accounts.items():
            twice = account.in_two_classes()
            if twice is not None:
                sign, first, second = twice
                yield (
                    f"{variable('accounts', name, first)} and {variable('accounts', name, second)} both have "
                    f"{sign!r:.60}, which can mean only one thing: leave it out of one of them (that which "
                    "is not set has its default)"
                )

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        return (sources["init_settings"],)
