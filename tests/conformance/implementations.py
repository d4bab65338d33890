"""What is put to the test: each backend of this library, and two packages as they are."""

from __future__ import annotations

from dataclasses import dataclass

from tests.backends import BACKENDS

__all__ = ["IMPLEMENTATIONS", "Implementation"]


@dataclass(frozen=True)
class Implementation:
    """``program`` is a module that can be run as an echo server, or as an echo client."""

    name: str
    program: str
    argument: str

    @property
    def ours(self) -> bool:
        return self.program.endswith("echo_of_transport")


IMPLEMENTATIONS = [
    *(
        Implementation(each.name, "tests.conformance.echo_of_transport", each.name)
        for each in BACKENDS
    ),
    Implementation("plain websockets", "tests.conformance.echo_of_package", "websockets"),
    Implementation("plain trio-websocket", "tests.conformance.echo_of_package", "trio-websocket"),
]
