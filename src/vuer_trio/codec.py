"""msgpack bytes ↔ plain data.

Knows nothing of connections: what goes out is a map, what comes in is a map with an ``etype``.
Everything the wire cannot carry is an :class:`EncodeError` that says where it sits, everything a
peer must not send is a :class:`ProtocolError` that holds its bytes. No other exception leaves this
module for what data holds, ``MemoryError`` while encoding aside.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Literal, TypeVar

from msgpack import ExtType, Packer, Timestamp, unpackb
from msgpack.exceptions import ExtraData, FormatError, StackError

from ._errors import EncodeError, ProtocolError
from ._keys import ATOMS, check_key, check_keys, check_map
from ._values import FREE, count_values

__all__ = [
    "MOST_VALUES",
    "Encoder",
    "as_plain_extension",
    "decode",
    "gives_plain",
    "make_encoder",
    "plain",
]

Encoder = Callable[[Any], bytes]
F = TypeVar("F", bound=Callable[..., Any])

#: values that one message may hold, if no other bound is given
MOST_VALUES = 1 << 20

_UNDEFINED = 0  # the ext type under which the browser sends JavaScript's `undefined`
_CONVERSIONS = 8  # `_serialize` may return what has to be converted again; a loop must end
_DEPTH = 64  # levels that the search for a culprit descends; the packer itself takes 511
_SHOWN = 8  # levels of a path that a message about depth shows
_ATOMS = (str, bool, int, float, type(None), bytes, bytearray, memoryview, ExtType, Timestamp)
_NATIVE = (dict, list, tuple, *_ATOMS)
_AS_IS = (*_ATOMS, type)  # a class has the methods, but they are not its own


# -- to plain data -------------------------------------------------------------------------------


class _NoForm(TypeError):
    """The wire has no form for a value; says so itself, where other errors need a context."""


def _native(obj: Any) -> Any:
    """``obj`` as something msgpack knows, its contents not looked at; a TypeError if it has none.

    Duck-typed, so that numpy need not be installed: its arrays and scalars have ``tolist``.
    """
    if isinstance(obj, int):
        raise _NoForm(f"the integer {obj:#x} does not fit 64 bits")
    if isinstance(obj, type):
        raise _NoForm(f"cannot encode the class {obj.__name__} itself")
    kind = type(obj).__name__
    for _ in range(_CONVERSIONS):
        if (serialize := getattr(obj, "_serialize", None)) is not None:
            obj = serialize()
        elif (tolist := getattr(obj, "tolist", None)) is not None:
            obj = tolist()
        elif isinstance(obj, PurePath):
            obj = str(obj)
        else:
            break
        if isinstance(obj, _NATIVE):
            return obj
    now = type(obj).__name__
    raise _NoForm(f"cannot encode {_a(now)}" + ("" if now == kind else f" (from {_a(kind)})"))


def plain(obj: Any) -> Any:
    """A copy of ``obj`` made of dicts, lists and values that msgpack knows.

    Elements, numpy arrays and scalars and paths are converted at any depth, tuples become lists,
    and a memoryview that is not contiguous becomes bytes. What has no conversion stays as it is:
    the encoder says where. Raises whatever a ``_serialize`` raises, a TypeError for an array of
    what the wire does not know, and RecursionError.
    """
    if type(obj) in ATOMS:
        return obj
    if getattr(getattr(type(obj), "_serialize", None), "gives_plain", None) is True:
        return obj._serialize()
    if isinstance(obj, dict):
        return {k: item if type(item) in ATOMS else plain(item) for k, item in obj.items()}
    if isinstance(obj, (list, tuple)) and not isinstance(obj, ExtType):  # a namedtuple
        return [item if type(item) in ATOMS else plain(item) for item in obj]
    if isinstance(obj, memoryview):
        return obj if obj.c_contiguous else obj.tobytes()
    if isinstance(obj, _AS_IS):
        return obj
    if hasattr(obj, "_serialize") or hasattr(obj, "tolist") or isinstance(obj, PurePath):
        return plain(_native(obj))
    return obj


def gives_plain(serialize: F) -> F:
    """Marks a ``_serialize`` whose result is plain already: `plain` does not copy it again."""
    vars(serialize)["gives_plain"] = True
    return serialize


# -- out -----------------------------------------------------------------------------------------


def make_encoder(
    floats: Literal["double", "single"] = "double", expected: str | None = None
) -> Encoder:
    """A function that packs one map (a dict) into one message.

    ``floats`` is the precision on the wire: 64 or 32 bits. The function raises
    :class:`EncodeError`, whose ``path`` names the value at fault, and works on after it. It may be
    called again from within, by a ``_serialize`` that encodes.

    If it is told the name of the events that are ``expected``, it packs those instead of maps.
    """
    if floats not in ("double", "single"):
        raise ValueError(f'floats must be "double" or "single", got {floats!r}')
    single = floats == "single"

    # A Packer that is used again from inside its own `default` mixes the two messages without a
    # word. So while `default` runs foreign code, `pack` is one that takes a new Packer each time.
    # The switch back is the last thing before the return: no other thread gets in between.
    pack: Encoder

    def default(obj: Any) -> Any:
        nonlocal pack
        pack = pack_inside
        try:
            return _converted(obj)
        finally:
            pack = pack_outside

    def default_inside(obj: Any) -> Any:
        return _converted(obj)

    def pack_inside(wire: Any) -> bytes:
        payload: bytes = Packer(use_single_float=single, default=default_inside).pack(wire)
        return payload

    pack_outside: Encoder = Packer(use_single_float=single, default=default, autoreset=True).pack
    pack = pack_outside

    def encode(wire: Any) -> bytes:
        if expected is not None:
            try:
                wire = wire.to_wire()
            except AttributeError:
                if hasattr(wire, "to_wire"):
                    raise
                kind = type(wire).__name__
                raise EncodeError(f"Expected {expected}, got {kind}") from None
        try:
            payload = pack(wire)
            # After packing, so that there is no cycle. Written out for a plain event whose value is
            # a map of numbers and lists of them: this runs for every pose.
            try:
                value = wire.get("value")
                if type(value) is dict and len(wire) == 3 and "ts" in wire and "etype" in wire:
                    total = 0.0
                    for key, item in value.items():
                        if type(key) is not str:
                            break
                        if type(item) is list:
                            total = sum(item, total)  # the fastest look at each
                        elif type(item) not in ATOMS:
                            check_keys(item)
                    else:
                        if type(total) is float:
                            return payload
            except Exception:  # what is not a number raises what it likes
                pass
            check_map(wire)
            return payload
        except BufferError:  # a memoryview with gaps: the packer asks for one block
            return encode_copy(wire)
        except MemoryError:
            raise
        except Exception as error:
            raise _encode_error(wire, error, single) from error

    def encode_copy(wire: Any) -> bytes:
        try:
            wire = plain(wire)
            payload = pack(wire)
            check_keys(wire)
            return payload
        except Exception as error:
            raise _encode_error(wire, error, single) from error

    return encode


def _converted(obj: Any) -> Any:
    """``obj`` for the packer, its keys looked at: `encode` sees only what it was converted from."""
    found = _native(obj)
    if getattr(getattr(obj, "dtype", None), "hasobject", True):  # not an array of numbers
        check_keys(found)
    return found


# -- why it did not go out -----------------------------------------------------------------------


def _encode_error(wire: Any, error: Exception, single: bool) -> EncodeError:
    """Search ``wire`` for what made the packer fail with ``error``; only done after a failure."""
    if not isinstance(wire, dict):
        return EncodeError(f"a message must be a map, got {_a(type(wire).__name__)}")
    deep: list[str] = []
    try:
        found = _find(wire, (), single, deep)
    except Exception:  # the data changes or fails while it is looked at: say what is known
        found = None
    if found is not None:
        path, reason = found
        return EncodeError(f"{path}: {reason}" if path else reason, path=path)
    if deep:
        return EncodeError(f"{deep[0]}: nested too deeply, or holds itself", path=deep[0])
    return EncodeError(f"cannot encode: {error}")


def _find(obj: Any, path: tuple[Any, ...], single: bool, deep: list[str]) -> tuple[str, str] | None:
    if len(path) > _DEPTH:
        deep.append(_spell(path[:_SHOWN]) + "...")
        return None
    if not isinstance(obj, _NATIVE):
        try:
            obj = _native(obj)
        except _NoForm as error:
            return _spell(path), str(error)
        except Exception as error:
            return _spell(path), f"{type(obj).__name__} failed with {error!r}"
    if isinstance(obj, dict):
        for key, item in obj.items():
            try:
                check_key(key)
                key.encode()
            except (TypeError, UnicodeEncodeError) as error:
                return _spell((*path, key)), str(error)
            if (found := _find(item, (*path, key), single, deep)) is not None:
                return found
    elif isinstance(obj, (list, tuple)) and not isinstance(obj, ExtType):
        for index, item in enumerate(obj):
            if (found := _find(item, (*path, index), single, deep)) is not None:
                return found
    elif (reason := _misfit(obj, single)) is not None:
        return _spell(path), reason
    return None


def _misfit(atom: Any, single: bool) -> str | None:
    """Why a single value does not fit its msgpack type, or None."""
    if isinstance(atom, int) and not -(2**63) <= atom < 2**64:
        return f"the integer {atom:#x} does not fit 64 bits"
    if isinstance(atom, float) and single:
        try:
            struct.pack(">f", atom)
        except OverflowError:
            return f'{atom!r} does not fit a 32-bit float; use floats="double"'
    if isinstance(atom, str):
        try:
            atom.encode()
        except UnicodeEncodeError as error:
            return str(error)
    return None


def _spell(path: tuple[Any, ...]) -> str:
    text = ""
    for step in path:
        if isinstance(step, str) and step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeio" else f"a {noun}"


# -- in ------------------------------------------------------------------------------------------


def as_plain_extension(code: int, data: bytes) -> Any:
    """An extension of msgpack's as it is given out: as what it means to JavaScript, or as it is."""
    return None if code == _UNDEFINED else ExtType(code, data)


def decode(
    payload: bytes | bytearray | memoryview, most: int | None = MOST_VALUES
) -> dict[str, Any]:
    """The map in one message, which has an ``etype`` of type str.

    JavaScript's ``undefined`` is None, timestamps are ``msgpack.Timestamp``, other extensions
    ``msgpack.ExtType``. Raises :class:`ProtocolError`, with the message as ``.frame``, for all
    else that bytes can hold. A message of more than ``most`` values is refused before any is
    built, ``too_large`` is set then; None is for what comes from this side. Lengths that a frame
    claims and does not have allocate nothing.
    """
    if len(payload) > FREE and most is not None and count_values(payload, most) > most:
        raise _too_large(payload, most)
    raw: Any = None
    try:
        raw = unpackb(payload, ext_hook=as_plain_extension)
        if type(raw["etype"]) is str:
            return raw  # type: ignore[no-any-return]  # only a dict has a key
    except Exception as error:
        # Whoever keeps the error keeps this frame: not what was built as well.
        kind, raw = type(raw), None
        raise _protocol_error(payload, error, kind) from error
    raw = None
    raise _protocol_error(payload, None, dict)


def _too_large(payload: Any, most: int) -> ProtocolError:
    frame = bytes(payload)
    error = ProtocolError(
        f"a message of {len(frame):,} bytes holds more than {most:,} values: send arrays as bytes, "
        "or several messages",
        frame=frame,
    )
    error.too_large = True
    return error


def _protocol_error(payload: Any, error: Exception | None, kind: type) -> ProtocolError:
    frame = bytes(payload)
    return ProtocolError(
        f"{_why(frame, error, kind)} (a message of {len(frame)} bytes)", frame=frame
    )


def _why(frame: bytes, error: Exception | None, kind: type) -> str:
    if error is None:
        return "etype is not a string"
    if not frame:
        return "the message is empty"
    match error:
        case ExtraData():
            error.unpacked = None  # nor what was built
            return f"{len(error.extra)} trailing bytes after the first value"
        case StackError() | RecursionError():
            return "nested too deeply"
        case FormatError():
            return "holds a byte that msgpack does not use"
        case UnicodeDecodeError():
            return f"holds a string that is not UTF-8: {error}"
        case KeyError():
            return "the map has no etype"
        case TypeError():  # it did decode, but not into a map
            return f"expected a map, got {_a(kind.__name__)}"
    reason = str(error)
    if "map key" in reason:
        return f"holds a map key that is not a string: {reason}"
    if "incomplete" in reason or "exceeds max" in reason:
        return f"truncated: {reason}"
    return f"not msgpack: {reason or type(error).__name__}"
