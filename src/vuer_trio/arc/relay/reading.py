"""What a relay reads: JSON as the protocol's reference reads it, and never more than it can."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

__all__ = ["Unreadable", "is_falsy", "read_json"]

#: numbers that a double does not hold as they are written: many digits, or an exponent
_ODD = re.compile(r"\d{16}|\d[eE]\+?\d\d")
_SAFE = 2**53


class Unreadable(Exception):
    """What was received is no JSON, or nested too deeply. The text is for the sender."""


def read_json(text: str) -> Any:
    """A JSON text. Raises Unreadable.

    Numbers are doubles, so that a program sees here what it would see behind any other relay.
    """
    try:
        if _ODD.search(text) is None:
            return _decode(text)
        return _decode_doubles(text)
    except RecursionError:
        raise Unreadable("Nested too deeply") from None
    except ValueError:
        raise Unreadable("Malformed JSON") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _integer(digits: str) -> int | float | None:
    if len(digits) < 16:
        return int(digits)
    value = float(digits)
    if abs(value) <= _SAFE:
        return int(value)
    # the shortest digits that mean this double, then zeros
    return int(Decimal(repr(value))) if abs(value) < 1e21 else _real(digits)


def _real(digits: str) -> float | None:
    value = float(digits)
    return value if abs(value) != float("inf") else None


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
_decode_doubles = json.JSONDecoder(
    parse_constant=_no_constant, parse_int=_integer, parse_float=_real
).decode


def is_falsy(value: Any) -> bool:
    """As JavaScript has it: maps and lists are not, however empty."""
    return not value and not isinstance(value, dict | list)
