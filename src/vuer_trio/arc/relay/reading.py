"""JSON parsing for a relay: the results of the reference implementation, with size limits."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

from ..._json import TooDeep, TooMany, parse_json

__all__ = ["Unreadable", "is_falsy", "read_json"]

#: numbers that may change when stored as a double: many digits, or an exponent
_ODD = re.compile(r"\d{16}|\d[eE]\+?\d\d")
_SAFE = 2**53
#: maximum number of values in a message, keys included: parsing and encoding take up to 150 ms
_MOST = 1 << 17


class Unreadable(Exception):
    """The text is not JSON or exceeds a limit. The error message is sent to the peer."""


def read_json(text: str) -> Any:
    """Parse a JSON text. Raises Unreadable.

    Numbers are rounded to doubles, so that agents see the same values as with any other relay.
    """
    try:
        return parse_json(text, _MOST, _read)
    except TooDeep:
        raise Unreadable("Nested too deeply") from None
    except TooMany:
        raise Unreadable(f"More than {_MOST} values") from None
    except ValueError:
        raise Unreadable("Malformed JSON") from None


def _read(text: str) -> Any:
    return _decode(text) if _ODD.search(text) is None else _decode_doubles(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float | None:
    if len(digits) < 16:
        return int(digits)
    value = float(digits)
    if abs(value) <= _SAFE:
        return int(value)
    # the shortest digits that identify this double, then zeros
    return int(Decimal(repr(value))) if abs(value) < 1e21 else _real(digits)


def _real(digits: str) -> float | None:
    value = float(digits)
    return value if abs(value) != float("inf") else None


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
_decode_doubles = json.JSONDecoder(
    parse_constant=_no_constant, parse_int=_integer, parse_float=_real
).decode


def is_falsy(value: Any) -> bool:
    """Whether a value is falsy in JavaScript, where empty objects and arrays are not."""
    return not value and not isinstance(value, dict | list)
