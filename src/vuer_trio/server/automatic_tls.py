"""``tls="auto"``: a context whose certificate fits this machine, as long as the server runs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from os import PathLike

from .._runtime import Runtime
from .authority import Authority
from .certificates import new_context
from .machine_names import machine_names

__all__ = ["AutomaticTLS"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: seconds between two looks at the addresses of this machine
_INTERVAL = 30.0


class AutomaticTLS:
    """``more`` are further names of the server. Raises as `Authority.open`."""

    def __init__(self, more: Sequence[str], ca_cert: str | PathLike[str] | None) -> None:
        authority = Authority.open()
        assert authority is not None
        self._authority = authority
        self._more = more
        self.context: ssl.SSLContext = new_context(ca_cert)
        self._issued = authority.load(self.context, machine_names(more))
        #: the authority's certificate
        self.pem: bytes = authority.pem

    async def watch(self, rt: Runtime) -> None:
        """Run until cancelled: renew the certificate when addresses have changed, or it comes to
        its end. What fails is logged, and tried again."""
        failed = ""
        while True:
            await rt.sleep(_INTERVAL)
            try:
                await rt.run_in_thread(self._renew)
                failed = ""
            except OSError as exc:  # an ssl.SSLError is one
                if str(exc) != failed:
                    failed = str(exc)
                    log.warning("the certificate cannot be renewed: %s", exc.strerror or exc)

    def _renew(self) -> None:
        """New connections get the new certificate; open ones stay as they are."""
        names = machine_names(self._more)
        if self._issued.fault(names) is not None:
            self._issued = self._authority.load(self.context, names)
            log.info("the certificate of this machine is now for %s", ", ".join(names))
