"""Whether every key of every map is a string, told without a look at each number.

msgpack packs keys of any type; the reference server ends a session for one that is not a string.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

__all__ = ["ATOMS", "check_key", "check_keys", "check_map"]

#: the usual types of what holds nothing, found fast
ATOMS = frozenset((str, bool, int, float, type(None), bytes))
#: items of a list for which a look at each is the fastest
_SHORT = 8


def check_key(key: Any) -> None:
    """Raises TypeError."""
    if not isinstance(key, str):
        name = type(key).__name__
        article = "an" if name[:1].lower() in "aeio" else "a"
        raise TypeError(f"a map key must be a string, got {article} {name}")


# A frame of the interpreter for each level, of which msgpack packs 511, and no more: it has a
# thousand. Hence the same branches in two places.


def check_map(obj: dict[Any, Any]) -> None:
    """Look at the keys of a map, and of all that it holds. Raises TypeError."""
    for key, item in obj.items():
        if type(key) is not str:
            check_key(key)
        kind = type(item)
        if kind not in ATOMS:
            if kind is dict:
                check_map(item)
            elif kind is list:
                check_list(item)
            elif isinstance(item, (dict, list, tuple)):
                check_keys(item)


def check_list(obj: list[Any] | tuple[Any, ...]) -> None:
    """Look at the keys of all maps in a list. Raises TypeError."""
    if len(obj) > _SHORT and _are_numbers(obj):
        return
    for item in obj:
        kind = type(item)
        if kind not in ATOMS:
            if kind is dict:
                check_map(item)
            elif kind is list or kind is tuple:
                check_list(item)
            elif isinstance(item, (dict, list, tuple)):
                check_keys(item)


def _are_numbers(obj: list[Any] | tuple[Any, ...]) -> bool:
    """Whether it holds numbers, or lists of numbers; if unsure, not.

    By a sum, which raises for what is no number, in a tenth of the time of a look at each.
    """
    kind = type(obj[0])
    try:
        if kind is float:
            return type(sum(obj, 0.0)) is float
        if kind is list and type(obj[0][0]) is float:
            every = chain.from_iterable(obj)
            return set(map(type, obj)) == {list} and type(sum(every, 0.0)) is float
    except Exception:  # whatever is among them raises what it likes
        pass
    return False


def check_keys(obj: Any) -> None:
    """Look at the keys of all maps in ``obj``. Raises TypeError."""
    if isinstance(obj, dict):
        check_map(obj)
    elif isinstance(obj, (list, tuple)):
        check_list(obj)
