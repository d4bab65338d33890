"""Options of an app that are also attributes, and may be set until it starts."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import getattr_static
from typing import Any, Generic, Protocol, Self, TypeVar, overload

__all__ = ["Configured", "Setting", "collect"]

T = TypeVar("T")

_NOT_SET: Any = object()


class Configured(Protocol):
    """What has such attributes."""

    #: the options that were given
    _given: dict[str, Any]

    def _setting(self, name: str) -> Any:
        """The value of an option, given or not."""


class Setting(Generic[T]):
    """One option. ``app.port = 80`` applies from the next start on.

    Set on the class, as ``Vuer.port = 80``, it is the default of all apps: it takes the place of
    this descriptor there, see `collect`.
    """

    _name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, app: None, owner: type) -> Self: ...
    @overload
    def __get__(self, app: Configured, owner: type) -> T: ...
    def __get__(self, app: Configured | None, owner: type) -> Self | T:
        if app is None:
            return self
        value: T = app._setting(self._name)
        return value

    def __set__(self, app: Configured, value: T | None) -> None:
        app._given[self._name] = value


def collect(app: Configured, names: Iterable[str]) -> dict[str, Any]:
    """What was set of these options: on the app, else when it was made, else on its class."""
    own, options = vars(app), {}
    for name in names:
        of_class = getattr_static(type(app), name, _NOT_SET)
        if name in own:  # as there is no descriptor any more
            options[name] = own[name]
        elif name in app._given:
            options[name] = app._given[name]
        elif of_class is not _NOT_SET and not isinstance(of_class, Setting | property):
            options[name] = of_class
    return options
