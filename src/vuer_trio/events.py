"""Events: what the two sides of a connection send to each other.

    Event
    ├── ClientEvent    from a client or a browser: ts, value, other keys
    └── ServerEvent    from a server: ts, data, other keys

Those made here are plain objects: their attributes go out as keys of the map. Those that arrive
are light views of the decoded map, and instances of the same two classes.
"""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import uuid4

from ._errors import EncodeError
from ._event import ClientEvent, Event, ServerEvent, canonical
from ._formatting import must_be
from ._received import received_client_event, received_server_event

__all__ = [
    "END",
    "INIT",
    "NOOP",
    "NULL",
    "ActuatorData",
    "Add",
    "ClientEvent",
    "End",
    "Event",
    "Frame",
    "GetWebXRMesh",
    "GrabRender",
    "HapticActuatorPulse",
    "InitEvent",
    "MjRender",
    "MjStep",
    "Noop",
    "NullEvent",
    "Remove",
    "ServerEvent",
    "ServerRPC",
    "Set",
    "Update",
    "Upsert",
    "canonical",
    "received_client_event",
    "received_server_event",
]


class InitEvent(ClientEvent):
    """The reference's own; what a client sends on connecting has the etype ``INIT``."""

    etype = "Init"


class NullEvent(ClientEvent):
    """Nothing."""

    etype = "NULL"


class Noop(ServerEvent):
    """Says nothing; ``NOOP`` is one."""

    etype = "NOOP"

    def __init__(self, /, **extra: Any) -> None:
        super().__init__(None, **extra)


class Set(ServerEvent):
    """Replace the scene: ``data`` is a Scene, or its plain dict."""

    etype = "SET"

    def __init__(self, /, data: Any, **extra: Any) -> None:
        super().__init__(data, **extra)


class Update(ServerEvent):
    """Overwrite properties of the nodes that have these keys. Browsers ignore ``strict``."""

    etype = "UPDATE"

    def __init__(self, /, *elements: Any, strict: bool = False, **extra: Any) -> None:
        super().__init__({"nodes": elements}, strict=strict, **extra)

    def _wire_data(self) -> Any:
        return {"nodes": self.data["nodes"]}


class Add(ServerEvent):
    """Append nodes to the root, or to the node whose key is ``to``."""

    etype = "ADD"

    def __init__(self, /, *elements: Any, to: str | None = None, **extra: Any) -> None:
        super().__init__({"nodes": elements, "to": to}, **extra)

    def _wire_data(self) -> Any:
        return {"nodes": self.data["nodes"], "to": self.data["to"]}


class Upsert(ServerEvent):
    """Overwrite the nodes that have these keys; append those that no node has, at ``to``.

    ``strict`` stays on this side, as in the reference.
    """

    etype = "UPSERT"

    def __init__(
        self, /, *elements: Any, to: str | None = None, strict: bool = False, **extra: Any
    ) -> None:
        super().__init__({"nodes": elements, "to": to, "strict": strict}, **extra)

    def _wire_data(self) -> Any:
        return {"nodes": self.data["nodes"], "to": self.data["to"]}


class Remove(ServerEvent):
    """Remove the nodes that have these keys; lists of keys are taken apart."""

    etype = "REMOVE"

    def __init__(self, /, *keys: Any, **extra: Any) -> None:
        flat = [k for key in keys for k in (key if isinstance(key, (list, tuple)) else (key,))]
        super().__init__({"keys": tuple(flat)}, **extra)


class ActuatorData(TypedDict):
    """One pulse: ``strength`` from 0 to 1, ``duration`` in milliseconds."""

    strength: float
    duration: float


class HapticActuatorPulse(ServerEvent):
    """Let the controllers vibrate."""

    etype = "HAPTIC_ACTUATOR_PULSE"

    def __init__(
        self,
        /,
        left: ActuatorData | None = None,
        right: ActuatorData | None = None,
        **extra: Any,
    ) -> None:
        super().__init__({"left": left, "right": right}, **extra)


class Frame(ServerEvent):
    """Tell the server's ``bind`` to send ``data``, an event, and to pause for 1/``frame_rate`` s.

    It is never sent itself. Raises ValueError unless the rate is above 0.
    """

    etype = "FRAME"

    def __init__(self, /, data: ServerEvent, frame_rate: float = 60.0, **extra: Any) -> None:
        if not frame_rate > 0:
            what = "frames a second, more than 0"
            raise ValueError(must_be("frame_rate", what, frame_rate))
        super().__init__(data, **extra)
        self.frame_rate = frame_rate

    def to_wire(self) -> dict[str, Any]:
        raise EncodeError("a Frame is for a `bind` function to yield; send its event itself")


class End(ServerEvent):
    """Says that no more events will come; ``END`` is one."""

    etype = "TERMINATE"

    def __init__(self, /, **extra: Any) -> None:
        super().__init__(None, **extra)


class ServerRPC(ServerEvent):
    """A request. The answer is a client event whose etype is this event's ``rtype``."""

    etype = "RPC"
    rtype: str = "RPC_RESPONSE@{uuid}"  # a subclass puts its own on the instance
    uuid: str

    def __init__(self, /, data: Any, uuid: str | None = None, **extra: Any) -> None:
        self.uuid = uuid or str(uuid4())
        super().__init__(data, **extra)


class _KeyedRPC(ServerRPC):
    """A question to the component with this ``key``; the other keywords are the ``data``."""

    def __init__(self, /, *, key: str = "DEFAULT", **data: Any) -> None:
        super().__init__(data)
        self.key = key
        self.rtype: str = f"{self.etype}_RESPONSE@{self.uuid}"


class GrabRender(_KeyedRPC):
    """Ask the ``<GrabRender>`` with this ``key`` for an image of the canvas."""

    etype = "GRAB_RENDER"


class MjStep(_KeyedRPC):
    """Ask a MuJoCo component to step its simulation."""

    etype = "MJ_STEP"


class MjRender(_KeyedRPC):
    """Ask a MuJoCo component for an image."""

    etype = "MJ_RENDER"


class GetWebXRMesh(_KeyedRPC):
    """Ask for the meshes that an AR headset has detected."""

    etype = "GET_WEBXR_MESH"

    def __init__(self, /, *, key: str = "webxr-mesh", **data: Any) -> None:
        super().__init__(key=key, **data)


INIT = InitEvent()
NULL = NullEvent()
NOOP = Noop()
END = End()


def __getattr__(name: str) -> Any:
    """What programs import from `vuer.events`, which has it by the way."""
    if name in ("Element", "Scene"):
        from . import schemas

        return getattr(schemas, name)
    if name == "serializer":
        from .serdes import serializer

        return serializer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
