"""Settings, from the models that read them."""

from collections.abc import Callable, Mapping
from typing import Any

from docs.generator.markup import code, table
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from numbergroup.settings import VENDORS, Settings
from numbergroup.settings.account import AccountSettings
from numbergroup.settings.errors import variable
from numbergroup.settings.vendors import DEFAULT
from numbergroup_contracts.publishing import url_parameters

_NAMES = {"nxcloud": "NXCloud", "ozonetel": "Ozonetel"}


def of_the_worker() -> str:
    """All settings but the accounts'."""
    keys = [key for key in Settings.model_fields if key != "accounts"]
    return "\n".join(_section(key, variable(key), Settings, _default(Settings, key)) for key in keys)


def of_every_account() -> str:
    """The settings that an account of every vendor has."""
    return "\n".join(_shared_section(key) for key in AccountSettings.model_fields)


def of_a_vendor(name: str) -> str:
    """The settings that only an account of this vendor has."""
    vendor = VENDORS[name]
    own = [key for key in vendor.model_fields if key not in AccountSettings.model_fields]
    return "\n".join(_section(key, _of_account(key), vendor, _default(vendor, key)) for key in own)


def of_urls() -> str:
    """The parameters that the URLs of brokers and ledgers may have."""
    kinds = {"redis": url_parameters.REDIS, "amqp": url_parameters.AMQP}
    return table(
        ("URL", "parameter", "value"),
        (
            (f"`{kind}s://`" if one.tls else f"`{kind}://`, `{kind}s://`", code(name), one.must)
            for kind, parameters in kinds.items()
            for name, one in parameters.items()
        ),
    )


def _of_account(key: str) -> str:
    return variable("accounts", "", key).replace("____", "__<name>__")


def _shared_section(key: str) -> str:
    """With one default, or one for each vendor."""
    vendors = {name: _default(vendor, key) for name, vendor in VENDORS.items()}
    if key == "provider":
        vendors = {DEFAULT: code(DEFAULT)}
    default, *others = dict.fromkeys(vendors.values())
    if others:
        default = "; ".join(f"{_NAMES[name]} {text}" for name, text in vendors.items())
    return _section(key, _of_account(key), next(iter(VENDORS.values())), default)


def _section(key: str, name: str, model: type[BaseModel], default: str) -> str:
    text = _description(model, key)
    anchor = f"{{ #{key} data-toc-label={key.upper()} }}"
    return f"### `{name}` {anchor}\n\n{text}\n\n*{_kind(model, key)}. Default: {default}.*\n"


def _description(model: type[BaseModel], key: str) -> str:
    """A vendor's model may change a default and leave the description to the model of all accounts."""
    models = (one for one in model.__mro__ if issubclass(one, BaseModel) and key in one.model_fields)
    return next(text for one in models if (text := one.model_fields[key].description))


def _default(model: type[BaseModel], key: str) -> str:
    match model.model_fields[key].default:
        case value if value is PydanticUndefined:
            return "none, it has to be set"
        case None | () | "":
            return "none"
        case tuple(values):
            return ", ".join(code(one) for one in values)
        case float(value):
            return code(f"{value:g}" if value < 1_000_000 else f"{value:.0f}")
        case value:
            return code(str(value))


def _kind(model: type[BaseModel], key: str) -> str:
    """What a value must be, in words."""
    schema: dict[str, Any] = model.model_json_schema()["properties"][key]
    schema = next((one for one in schema.get("anyOf", ()) if one["type"] != "null"), schema)
    if "const" in schema or key == "provider":
        return "One of " + ", ".join(map(code, VENDORS))
    if "enum" in schema:
        return "One of " + ", ".join(map(code, schema["enum"]))
    if key.endswith("_url"):
        return "URL"
    words = _KINDS.get(schema.get("format", schema["type"]))
    return "Text" if words is None else words(schema)


def _number(kind: str) -> Callable[[Mapping[str, Any]], str]:
    def words(schema: Mapping[str, Any]) -> str:
        least, most = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            return f"{kind} above {schema['exclusiveMinimum']:g}" + (f", at most {most:g}" if most else "")
        if most is not None:
            return f"{kind} from {least:,} to {most:,}"
        return kind if least is None else f"{kind}, {least:,} or more"

    return words


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "integer": _number("Whole number"),
    "number": _number("Number"),
    "path": lambda _: "Path of a file",
    "password": lambda _: "Text, a secret",
    "array": lambda _: "Texts, separated by commas",
}
