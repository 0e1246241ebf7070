"""Validates URLs, and redacts them. Errors do not quote URLs, which may contain passwords."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Secret

from numbergroup_contracts.publishing.hosts import SEVERAL_HOSTS, names_several_hosts
from numbergroup_contracts.publishing.urls import AMQP, REDIS, UNIX, InvalidUrl, parse

NXCLOUD = "https://number.nxcloud.com/api/pns/"
OZONETEL = "https://in1-ccaas-api.ozonetel.com"
_LOCAL = "redis://localhost:6379/0"
_USERINFO = re.compile(r"^([A-Za-z][\w+.-]*://)?(?:([^:@]*:).*|.*)@", re.DOTALL)
_URL_SECRET = re.compile(r"(?i)([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*")


def redact_url(url: str) -> str:
    """Returns the URL with its password as `***`. A malformed URL may lose more than that."""
    return _URL_SECRET.sub(r"\1***", _USERINFO.sub(r"\1\2***@", url))


class SecretUrl(Secret[str]):
    """A URL with redacted `str()`, `repr()` and JSON. `get_secret_value()` returns the full URL."""

    def _display(self) -> str:
        return redact_url(self.get_secret_value())


def _broker(*schemes: str) -> AfterValidator:
    def check(url: SecretUrl) -> SecretUrl:
        text = url.get_secret_value()
        if text.partition("://")[0] not in (*schemes, UNIX):
            raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}, as in {_LOCAL}")
        try:
            parse(text)
        except InvalidUrl as error:
            problem = str(error)
        else:
            return url
        raise ValueError(problem)

    return AfterValidator(check)


def _url(example: str, *schemes: str) -> AfterValidator:
    """Returns a check whose error does not quote the URL. Those of urlsplit may quote a password."""

    def check(text: str) -> str:
        scheme, _, rest = text.partition("://")
        if scheme not in schemes:
            raise ValueError(f"must begin with {' or '.join(f'{s}://' for s in schemes)}, as in {example}")
        if names_several_hosts(text):
            raise ValueError(SEVERAL_HOSTS)
        try:
            sound = urlsplit(text).hostname and urlsplit(text).port != 0
        except ValueError:
            sound = False
        if not sound or re.search(r"[\s#]|[@/?].*@", rest):
            raise ValueError(f"is no URL as in {example}: percent-encode / # ? @ and spaces in a password")
        if "@" in rest:
            raise ValueError(
                "has a user or password in it: remove them, credentials are settings of their own"
            )
        return text

    return AfterValidator(check)


BrokerUrl = Annotated[SecretUrl, _broker(*REDIS, *AMQP)]
LedgerUrl = Annotated[SecretUrl, _broker(*REDIS)]
NXCloudUrl = Annotated[str, _url(NXCLOUD, "https", "http")]
OzonetelUrl = Annotated[str, _url(OZONETEL, "https", "http")]
