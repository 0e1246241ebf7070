"""The states of a group, from the table of legal transitions that the engine uses."""

import inspect

from docs.generator.markup import table

from numbergroup.engine.group.lifecycle import TRANSITIONS


def table_of() -> str:
    """Each legal transition, and when it happens."""
    rows = [(old.__name__, new.__name__, when) for (old, new), when in TRANSITIONS.items()]
    return table(("from", "to", "when"), rows)


def states() -> str:
    """Each state, and what it means."""
    kinds = dict.fromkeys(old for old, _ in TRANSITIONS)
    rows = [(kind.__name__, (inspect.getdoc(kind) or "").replace("`", "")) for kind in kinds]
    return table(("state", "meaning"), rows)


_PLACES = {
    "Idle": (10, 20),
    "Ready": (250, 20),
    "InFlight": (490, 20),
    "Paused": (250, 150),
    "Parked": (490, 150),
}
_WIDTH, _HEIGHT = 110, 44


def picture() -> str:
    """The states as boxes, and the transitions from one state to another as arrows."""
    edges = [(old.__name__, new.__name__) for old, new in TRANSITIONS if old is not new]
    arrows = [_arrow(old, new) for old, new in edges]
    boxes = [
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="none" '
        'stroke="currentColor"/>'
        f'<text x="{x + _WIDTH / 2}" y="{y + _HEIGHT / 2 + 5}" text-anchor="middle">{name}</text>'
        for name, (x, y) in _PLACES.items()
    ]
    marker = (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="currentColor"/></marker></defs>'
    )
    label = 'role="img" aria-label="The states of a group"'
    head = f'<svg viewBox="0 0 620 215" {label} fill="currentColor">'
    return "\n".join([head, marker, *arrows, *boxes, "</svg>\n"])


def _arrow(old: str, new: str) -> str:
    """An arrow between the borders of two boxes, beside the one of the opposite direction."""
    (x1, y1), (x2, y2) = (_middle(name) for name in (old, new))
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    aside_x, aside_y = -7 * (y2 - y1) / length, 7 * (x2 - x1) / length
    reach = min(
        (_WIDTH / 2) / abs(x2 - x1) if x2 != x1 else 1.0, (_HEIGHT / 2) / abs(y2 - y1) if y2 != y1 else 1.0
    )
    from_x, from_y = x1 + (x2 - x1) * reach + aside_x, y1 + (y2 - y1) * reach + aside_y
    to_x, to_y = x2 - (x2 - x1) * reach + aside_x, y2 - (y2 - y1) * reach + aside_y
    return (
        f'<line data-from="{old}" data-to="{new}" x1="{from_x:.0f}" y1="{from_y:.0f}" x2="{to_x:.0f}" '
        f'y2="{to_y:.0f}" stroke="currentColor" marker-end="url(#tip)"/>'
    )


def _middle(name: str) -> tuple[float, float]:
    x, y = _PLACES[name]
    return x + _WIDTH / 2, y + _HEIGHT / 2
