"""All settings, as one value."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from numbergroup.settings.errors import variable
from numbergroup.settings.urls import BrokerUrl, LedgerUrl, SecretUrl
from numbergroup.settings.values import Choice, Host, Positive, Texts, sane
from numbergroup.settings.vendors import Account
from numbergroup_contracts.publishing.urls import parse

MOST_PARTITIONS = 1024

AccountName = Annotated[str, Field(pattern="^[a-z0-9_-]{1,64}$")]

# A lease is renewed eight times in its life: what may be sent for longer than this would have to wait for
# the next renewal, and calls would leave in bunches.
_LEASE_SHARE = 0.8
_OTHER_CHANNELS = 8


class Settings(BaseSettings, frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False):
    """Every setting. Built directly it reads nothing from outside: that is `load_settings`."""

    config: Path | None = None
    env_file: Path | None = None
    broker_url: BrokerUrl | None = None  # None: the embedded broker, for trying out
    ledger_url: LedgerUrl | None = None  # None: see effective_ledger_url
    # Whether certificates of brokers and ledgers are verified. No URL can switch it off.
    tls_verify: Annotated[Literal["on", "off"], Choice] = "on"
    partitions: int = Field(1, ge=1, le=MOST_PARTITIONS)  # the same for all workers and producers
    lease_ttl_s: float = Field(10.0, ge=2)
    linger_ms: int = Field(0, ge=0)
    max_pending: int = Field(20_000, ge=1, le=1_000_000)  # commands in memory, per partition
    group_backlog: int = Field(5_000, ge=1)  # commands of a parked group; what comes on top is quarantined
    max_dead_letters: int = Field(500_000, ge=1)  # with so many, nothing more is taken in
    max_crashes: int = Field(5, ge=3, le=100)  # of workers, after which the message they died of is given up
    max_message_bytes: int = Field(1_048_576, ge=1)
    reply_queues: Texts = (  # fnmatch patterns of the queues that a command's `replyto` may name
        *("numbergroup:replies", "numbergroup:replies:*"),  # streams
        *("numbergroup.replies", "numbergroup.replies.*"),  # lists and AMQP queues
    )
    reply_queue_type: Annotated[Literal["quorum", "classic"], Choice] = "classic"  # of those declared here
    reply_queue_expires_hours: float = Field(168.0, ge=0, le=1_193)  # of a `replyto`, unused; 0: never
    lossy_queues: Annotated[Literal["refuse", "accept"], Choice] = "refuse"  # those that others declared
    dedup_hours: float = Field(24.0, ge=0.01, le=87_600)
    reply_retention_hours: float = Field(168.0, ge=0, le=87_600)  # results on Redis; 0: for ever
    reply_max: int = Field(1_000_000, ge=0)  # messages with results in one queue on Redis; 0: any number
    give_up_after_s: Positive = 86_400.0
    log_format: Annotated[Literal["console", "json"], Choice] | None = None  # None: by the terminal
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Choice] = "info"
    metrics_port: int | None = Field(None, ge=0, le=65_535)  # None: no metrics; 0: any free one
    metrics_host: Host = "127.0.0.1"
    accounts: dict[AccountName, Account] = Field(default_factory=dict)

    _every_value = field_validator("*", mode="before")(sane)

    @property
    def effective_ledger_url(self) -> SecretUrl | None:
        """`ledger_url`, else the broker's where that is Redis, else None."""
        inherits = self.broker_url and not self.broker_url.get_secret_value().startswith("amqp")
        return self.ledger_url or (self.broker_url if inherits else None)

    @property
    def spellings(self) -> Mapping[str, Callable[[str], str]]:
        """By account, what makes one spelling of all ways to write a number, where there are several."""
        found = {name: account.vendor().capabilities.one_spelling for name, account in self.accounts.items()}
        return {name: spelling for name, spelling in found.items() if spelling is not None}

    @property
    def files(self) -> tuple[Path, ...]:
        """All that these settings were read from, and may be read from again."""
        files = [self.config, self.env_file]
        for account in self.accounts.values():
            files += account.files
        return tuple(file for file in files if file is not None)

    @model_validator(mode="after")
    def _attempts_end_within_a_lease(self) -> Self:
        for name, account in self.accounts.items():
            if account.timeout_s > _LEASE_SHARE * self.lease_ttl_s:
                share, ttl = f"{_LEASE_SHARE:.0%}", f"{variable('lease_ttl_s')}, {self.lease_ttl_s:g}"
                raise ValueError(
                    f"{variable('accounts', name, 'timeout_s')} is {account.timeout_s:g}, over {share} "
                    f"of {ttl}: lower the first or raise the second"
                )
        return self

    @model_validator(mode="after")
    def _urls_fit(self) -> Self:
        for key in ("broker_url", "ledger_url"):
            url = getattr(self, key)
            if url is None:
                continue
            address = parse(url.get_secret_value())
            if self.tls_verify == "on" and not address.is_verified:
                raise ValueError(
                    f"{variable(key)} switches the verification of certificates off, which a URL alone "
                    f"cannot: remove that from it, or set {variable('tls_verify')}=off"
                )
            channels = address.options.get("channel_max")
            if channels is not None and channels < self.partitions + _OTHER_CHANNELS:
                raise ValueError(
                    f"{variable(key)} has a channel_max that is too small for {variable('partitions')}="
                    f"{self.partitions}: it must be {self.partitions + _OTHER_CHANNELS} or more"
                )
        return self

    @model_validator(mode="after")
    def _one_class_each(self) -> Self:
        for name, account in self.accounts.items():
            twice = account.in_two_classes()
            if twice is not None:
                sign, first, second = twice
                raise ValueError(
                    f"{variable('accounts', name, first)} and {variable('accounts', name, second)} both have "
                    f"{sign!r:.60}, which can mean only one thing: leave it out of one of them (that which "
                    "is not set has its default)"
                )
        return self

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        return (sources["init_settings"],)
