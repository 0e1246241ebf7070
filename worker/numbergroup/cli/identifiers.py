"""Names on the command line that have to be identifiers: of sources, accounts and groups."""

import typer
from pydantic import TypeAdapter, ValidationError

from numbergroup_contracts.event import Identifier

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def is_identifier(text: str) -> bool:
    """Return whether the contract allows `text` as an identifier."""
    try:
        _IDENTIFIER.validate_python(text)
    except ValidationError:
        return False
    return True


def check_identifier(text: str, option: str) -> str:
    """Return `text`. Raises `typer.BadParameter` for `option` unless it is an identifier."""
    if not is_identifier(text):
        raise typer.BadParameter("must be 1 to 128 printable characters", param_hint=option)
    return text
