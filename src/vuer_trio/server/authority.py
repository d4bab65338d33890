"""The authority of this user, which signs the certificates of ``tls="auto"``.

It is made once, and kept: devices that trust it trust every certificate of this machine's from then
on. Its key never leaves its file, which only its owner may read.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .private_folder import PrivateFolder, data_folder

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Authority", "Issued", "authority_file", "fingerprint", "now"]

log: logging.Logger = logging.getLogger("vuer_trio.server")

#: the key and certificate of the authority; its certificate; the server's key and certificate
_AUTHORITY, _PUBLIC, _SERVER = "authority.pem", "ca.pem", "server.pem"
_EXTRA = "pip install 'vuer-trio[headset]'"
#: of a certificate; browsers take none that is valid for longer than 398 days
_LIFETIME = timedelta(days=397)
#: a certificate is renewed when it has less left
_RENEW_BEFORE = timedelta(days=30)
#: how far the clock of a device may be behind
_CLOCKS = timedelta(days=1)
#: a clock that shows an earlier time has never been set
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The time, by this machine's clock."""
    return datetime.now(UTC)


def authority_file() -> Path:
    """Where the authority's certificate is, if there is one."""
    return data_folder() / _PUBLIC


def fingerprint(certificate: x509.Certificate) -> str:
    """Its SHA-256, as devices show it."""
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex(":").upper()


class Issued:
    """A server's certificate, and when it has to be replaced."""

    def __init__(self, certificate: x509.Certificate) -> None:
        from cryptography import x509

        self.certificate = certificate
        names: list[str] = []
        with suppress(x509.ExtensionNotFound):
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = [str(name.value) for name in found.value]
        #: names and addresses that it is for
        self.names: Sequence[str] = names
        self.begins: datetime = certificate.not_valid_before_utc
        self.ends: datetime = certificate.not_valid_after_utc

    def fault(self, names: Iterable[str]) -> str | None:
        """Why it cannot be used for these names any more; None if it can."""
        at = now()
        if at < self.begins:
            return f"it is not valid before {_day(self.begins)}, and the clock shows {_day(at)}"
        if at > self.ends:
            return f"it has expired on {_day(self.ends)}"
        if at > self.ends - _RENEW_BEFORE:
            return f"it expires on {_day(self.ends)}"
        wanted = set(names)
        if wanted != set(self.names):
            changed = sorted(wanted ^ set(self.names))
            return f"the names and addresses of this machine have changed: {', '.join(changed)}"
        return None


class Authority:
    """Its key and certificate, by `open`. ``made`` says that it is new."""

    def __init__(self, folder: PrivateFolder, signer: Any, made: bool) -> None:
        from cryptography import x509

        self._folder = folder
        self._signer = signer
        self.made = made
        #: in PEM, to be installed on other devices
        self.pem: bytes = signer.cert_pem.bytes()
        #: the authority's own, which is no secret
        self.certificate: x509.Certificate = x509.load_pem_x509_certificate(self.pem)

    @classmethod
    def open(cls, *, make: bool = True, anew: bool = False) -> Authority | None:
        """That of this user, made if there is none; without ``make`` None then. ``anew`` makes one
        in place of what is there.

        Raises ImportError without the extra ``headset``, ssl.SSLError for files that hold something
        else and for a clock that cannot be right, OSError for a folder that cannot be used. Each
        says what to do.
        """
        trustme = _trustme()
        _check_clock()
        folder = PrivateFolder(data_folder())
        kept = None if anew else folder.read(_AUTHORITY, key=True)
        made = False
        if kept is None:
            if not make:
                return None
            new = trustme.CA(
                path_length=0,
                organization_name="vuer-trio",
                organization_unit_name=f"the authority of {socket.gethostname()}"[:64],
            )
            pem = new.private_key_pem.bytes() + new.cert_pem.bytes()
            made = folder.write(_AUTHORITY, pem, key=True, first=not anew)
            kept = folder.read(_AUTHORITY, key=True) or pem  # another program may have been first
            if anew:
                folder.remove(_SERVER)
        authority = cls(folder, _read(trustme, folder.path / _AUTHORITY, kept), made)
        authority._check()
        if folder.read(_PUBLIC) != authority.pem:
            folder.write(_PUBLIC, authority.pem)
        return authority

    @property
    def path(self) -> Path:
        """The file of its certificate."""
        return self._folder.path / _PUBLIC

    def issued(self) -> Issued | None:
        """The certificate that is kept, if there is one that this authority has signed."""
        return _issued(self._folder.read(_SERVER, key=True), self.certificate)

    def load(self, context: ssl.SSLContext, names: Sequence[str], *, anew: bool = False) -> Issued:
        """Load a certificate for these names into a context: the one that is kept, if it is for
        them and valid for a while, else, or with ``anew``, a new one. Raises as `open`.
        """
        kept = None if anew else self.issued()
        if kept is not None:
            why = kept.fault(names)
            if why is None:
                with suppress(ssl.SSLError):  # the key is another's: it is damaged
                    context.load_cert_chain(self._folder.path / _SERVER)
                    return kept
            else:
                how = logging.WARNING if now() < kept.begins else logging.INFO
                log.log(how, "the certificate of this machine is renewed: %s", why)
        begins = now().replace(microsecond=0)
        leaf = self._signer.issue_cert(
            *names,
            common_name=names[0],
            organization_name="vuer-trio",
            organization_unit_name=socket.gethostname()[:64],
            not_before=(begins - _CLOCKS).replace(tzinfo=None),
            not_after=(begins - _CLOCKS + _LIFETIME).replace(tzinfo=None),
        )
        content = leaf.private_key_and_cert_chain_pem.bytes()
        with self._folder.temporary(content, key=True) as path:
            context.load_cert_chain(path)
            self._folder.keep(path, _SERVER)
        made = _issued(content, self.certificate)
        assert made is not None
        return made

    def _check(self) -> None:
        begins, ends = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if not begins <= now() <= ends:
            raise ssl.SSLError(
                ssl.SSL_ERROR_SSL,
                f"the authority in {self._folder.path} is valid from {_day(begins)} to "
                f"{_day(ends)}, and the clock of this machine shows {_day(now())}; set the clock, "
                "or make a new authority with `vuer-trio cert renew --authority`",
            )


def _check_clock() -> None:
    if now() < _EARLIEST:
        raise ssl.SSLError(
            ssl.SSL_ERROR_SSL,
            f"the clock of this machine shows {_day(now())}, so no device would take a certificate "
            "that it makes; set the clock (`timedatectl set-ntp true`)",
        )


def _trustme() -> Any:
    try:
        import trustme
    except ImportError as error:
        raise ImportError(f"tls='auto' needs trustme: {_EXTRA}") from error
    return trustme


def _read(trustme: Any, path: Path, content: bytes) -> Any:
    """Raises ssl.SSLError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, password=None)
        signer = trustme.CA.from_pem(content, content)
        if key.public_key() != x509.load_pem_x509_certificate(content).public_key():
            raise ValueError("the key does not belong to the certificate")
    except (ValueError, TypeError) as exc:
        raise ssl.SSLError(
            ssl.SSL_ERROR_SSL,
            f"{path} does not hold a key and its certificate in PEM; restore it, or make a new "
            "authority with `vuer-trio cert renew --authority`, to be installed again",
        ) from exc
    return signer


def _issued(content: bytes | None, authority: x509.Certificate) -> Issued | None:
    """What is in the file of a certificate, if the authority has signed it."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if content is None:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(content)
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return None
    return Issued(certificate)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
