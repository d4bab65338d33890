"""``mdns=True``: the server is announced in the network, by multicast DNS (RFC 6762, RFC 6763)."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._runtime import Runtime
from .machine_names import machine_addresses

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

__all__ = ["announce", "check_announcement"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: seconds between two looks at the addresses of this machine
_INTERVAL = 30.0
#: seconds that taking it back may take
_GOODBYE = 3.0


def check_announcement() -> None:
    """Raises ImportError without the extra ``headset``."""
    try:
        import zeroconf  # noqa: F401
    except ImportError as error:
        raise ImportError("mdns=True needs zeroconf: pip install 'vuer-trio[headset]'") from error


async def announce(rt: Runtime, host: str | None, port: int, *, secure: bool) -> None:
    """Announce a server as ``_vuer._tcp`` and, for browsers of the network, as ``_http._tcp`` or
    ``_https._tcp``, until cancelled; then take it back, or give up after three seconds. ``host`` is
    where it listens.

    What fails is logged: a server works without. The package's own loop runs in a thread, which
    has ended when this has.
    """
    announcement = _Announcement(host, port, secure)
    try:
        while True:
            try:
                await rt.run_in_thread(announcement.renew)
            except Exception as exc:  # of a network that is not there, or of the package
                announcement.complain(exc)
            await rt.sleep(_INTERVAL)
    finally:
        deadline = rt.current_time() + _GOODBYE
        with rt.CancelScope(shield=True, deadline=deadline):
            await rt.run_in_thread(announcement.withdraw, abandon_on_cancel=True)


class _Announcement:
    """What is announced. Its methods block, and are called one at a time."""

    def __init__(self, host: str | None, port: int, secure: bool) -> None:
        self._host = host
        self._port = port
        self._secure = secure
        self._addresses: Sequence[str] = ()
        self._zeroconf: Zeroconf | None = None
        self._complaint = ""

    def renew(self) -> None:
        """Announce it anew if the addresses have changed."""
        addresses = self._reachable()
        if addresses == self._addresses:
            return
        from zeroconf import Zeroconf

        self.withdraw()
        if not addresses:
            raise OSError("this machine is in no network")
        self._zeroconf = Zeroconf()
        for info in self._services(addresses):
            self._zeroconf.register_service(info, allow_name_change=True)
            log.info("announced as %s at %s", info.name, ", ".join(addresses))
        self._addresses, self._complaint = addresses, ""

    def withdraw(self) -> None:
        """Take it back, and end the package's thread."""
        zeroconf, self._zeroconf, self._addresses = self._zeroconf, None, ()
        if zeroconf is not None:
            zeroconf.close()

    def complain(self, exc: Exception) -> None:
        """Once for each reason."""
        why = str(exc) or type(exc).__name__
        if why != self._complaint:
            self._complaint = why
            log.warning("the server cannot be announced by mDNS: %s", why)

    def _reachable(self) -> list[str]:
        addresses = machine_addresses()
        if self._host in (None, "", "::"):
            return addresses
        if self._host == "0.0.0.0":
            return [address for address in addresses if ":" not in address]
        try:
            return [str(ipaddress.ip_address(self._host or ""))]
        except ValueError:  # a name of this machine
            return addresses

    def _services(self, addresses: Sequence[str]) -> list[ServiceInfo]:
        from zeroconf import ServiceInfo

        name = socket.gethostname().partition(".")[0]
        kinds = ("_vuer._tcp.local.", f"_http{'s' if self._secure else ''}._tcp.local.")
        return [
            ServiceInfo(
                kind,
                f"Vuer on {name[:40]} ({self._port}).{kind}",
                port=self._port,
                properties={"path": "/", "tls": "1" if self._secure else "0"},
                server=f"{name}.local.",
                parsed_addresses=list(addresses),
            )
            for kind in kinds
        ]
