"""Parts of an event's value, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import ProtocolError
from .._event import Event, canonical
from .._formatting import must_be, shown

__all__ = ["flag", "number", "pair", "state_of", "value_of"]


def value_of(event: Event, function: str, *etypes: str) -> Mapping[str, Any]:
    """The value of an event of one of the types. Raises as `vuer_trio.xr` says."""
    if not isinstance(event, Event):
        raise TypeError(must_be("event", "an event", event))
    etype: Any = getattr(event, "etype", None)
    if not isinstance(etype, str) or canonical(etype) not in etypes:
        raise ValueError(
            f"xr.{function}() must be given a {' or '.join(etypes)}, got {shown(etype)}"
        )
    value: Any = getattr(event, "value", None)
    if not isinstance(value, Mapping):
        raise ProtocolError(must_be(f"the value of a {etype}", "a map", value))
    return value


def state_of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A map of states, empty if there is none. Raises ProtocolError."""
    state = value.get(name)
    if state is None:
        return {}
    if not isinstance(state, Mapping):
        raise ProtocolError(must_be(f"value.{name}", "a map", state))
    return state


def flag(state: Mapping[str, Any], name: str, where: str) -> bool | None:
    """A bool, None if it is missing. Raises ProtocolError."""
    value = state.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise ProtocolError(must_be(f"{where}.{name}", "a bool", value))


def number(state: Mapping[str, Any], name: str, where: str) -> float | None:
    """A float, None if it is missing. Raises ProtocolError."""
    value = state.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise ProtocolError(must_be(f"{where}.{name}", "a number", value))
    return float(value)


def pair(state: Mapping[str, Any], name: str, where: str) -> tuple[float, float] | None:
    """Two floats, None if they are missing. Raises ProtocolError."""
    value = state.get(name)
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(map(_is_number, value)):
        raise ProtocolError(must_be(f"{where}.{name}", "two numbers", value))
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
