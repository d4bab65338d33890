"""The authority of ``tls="auto"``, its folder, and the certificates that it signs."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from vuer_trio import Vuer
from vuer_trio.server import authority as module
from vuer_trio.server.authority import Authority, authority_file, fingerprint
from vuer_trio.server.machine_names import machine_addresses, machine_names
from vuer_trio.server.private_folder import PrivateFolder, data_folder

NAMES = ["localhost", "robot", "robot.local", "127.0.0.1", "::1", "192.168.1.5", "fd00::5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "data"
    monkeypatch.setenv("VUER_TRIO_DATA", str(folder))
    return folder


@pytest.fixture
def clock(monkeypatch):
    """``clock(days=3)`` moves it from now."""
    began = datetime.now(UTC)

    def move(at=began, **by):
        monkeypatch.setattr(module, "now", lambda: at + timedelta(**by))

    return move


def context():
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def shows(server, trust, name):
    """The certificate that a server's context shows to who asks for ``name``, and trusts ``trust``.
    Raises ssl.SSLError."""
    client = ssl.create_default_context(cadata=trust.decode())
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(a, b, server_hostname=name)
    far = server.wrap_bio(b, a, server_side=True)
    done = set()
    while len(done) < 2:
        for end in (near, far):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
    return near.getpeercert()


# ---- where it is


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "home/.local/share/vuer-trio"),
        ("linux", {"XDG_DATA_HOME": "/xdg"}, "/xdg/vuer-trio"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "home/.local/share/vuer-trio"),
        ("darwin", {"XDG_DATA_HOME": "/xdg"}, "home/Library/Application Support/vuer-trio"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/vuer-trio"),
        ("win32", {}, "home/AppData/Local/vuer-trio"),
        ("linux", {"VUER_TRIO_DATA": "~/mine"}, "home/mine"),
    ],
)
def test_the_folder_is_where_the_platform_has_it(
    monkeypatch, tmp_path, platform, environment, expected
):
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA", "VUER_TRIO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert data_folder() == tmp_path / expected


def test_nobody_else_can_read_the_folder_or_a_key_at_any_moment(folder, monkeypatch):
    opened = []
    real = os.open

    def watching(path, flags, mode=0o777, **more):
        descriptor = real(path, flags, mode, **more)
        if flags & os.O_CREAT:
            opened.append((Path(path).name, stat.S_IMODE(os.fstat(descriptor).st_mode)))
        return descriptor

    monkeypatch.setattr(os, "open", watching)
    before = os.umask(0)
    try:
        Authority.open().load(context(), NAMES)
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert mode(folder / "authority.pem") == mode(folder / "server.pem") == 0o600
    assert [given for _, given in opened] == [0o600, 0o644, 0o600]
    assert sorted(os.listdir(folder)) == ["authority.pem", "ca.pem", "server.pem"]
    assert b"PRIVATE" not in (folder / "ca.pem").read_bytes()
    assert authority_file() == folder / "ca.pem"


def test_a_second_start_has_the_same_authority_and_certificate(folder):
    first = Authority.open()
    assert first.made
    issued = first.load(context(), NAMES)
    again = Authority.open()
    assert not again.made
    assert again.pem == first.pem == (folder / "ca.pem").read_bytes()
    assert fingerprint(again.load(context(), NAMES).certificate) == fingerprint(issued.certificate)
    assert len(fingerprint(again.certificate)) == 95


def test_programs_that_start_at_once_agree(folder):
    found, barrier = [], threading.Barrier(8)

    def start():
        barrier.wait()
        authority = Authority.open()
        server = context()
        authority.load(server, NAMES)
        found.append((authority.pem, authority.made, server))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({pem for pem, _, _ in found}) == 1
    assert sum(made for _, made, _ in found) == 1
    for pem, _, server in found:
        shows(server, pem, "localhost")
    assert sorted(os.listdir(folder)) == ["authority.pem", "ca.pem", "server.pem"]


# ---- what the certificate is for


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_authority_takes_every_name(folder, name):
    server = context()
    authority = Authority.open()
    authority.load(server, NAMES)
    found = shows(server, authority.pem, name)
    assert len(found["subjectAltName"]) == len(NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        shows(server, authority.pem, "elsewhere.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shows(server, trustme.CA().cert_pem.bytes(), name)


def test_the_names_and_addresses_are_those_of_this_machine(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Robot.lab.example")
    own = machine_addresses()
    names = machine_names(["", "0.0.0.0", "[FD00::9]", "*.ngrok.app", "*", "bücher.example", "a b"])
    assert names == [
        *("localhost", "robot.lab.example", "robot", "robot.local", "127.0.0.1", "::1"),
        *own,
        *("0.0.0.0", "fd00::9", "*.ngrok.app", "xn--bcher-kva.example"),
    ]
    assert not [address for address in own if address.startswith("127.") or address == "::1"]
    monkeypatch.setattr("socket.gethostname", lambda: "my_machine")
    assert machine_names()[:2] == ["localhost", "127.0.0.1"]


def test_in_no_network_it_is_for_this_machine(monkeypatch):
    import ifaddr

    def fails():
        raise OSError("no network")

    monkeypatch.setattr(ifaddr, "get_adapters", fails)
    monkeypatch.setattr("socket.gethostname", lambda: "robot")
    assert machine_names() == ["localhost", "robot", "robot.local", "127.0.0.1", "::1"]


# ---- when it is renewed


def test_it_is_renewed_when_addresses_change(folder, caplog):
    caplog.set_level("INFO", "vuer_trio.server")
    authority, server = Authority.open(), context()
    old = authority.load(server, NAMES)
    new = authority.load(server, [*NAMES[:-1], "10.0.0.9"])
    assert set(new.names) == {*NAMES[:-1], "10.0.0.9"}
    assert new.certificate != old.certificate
    assert "have changed: 10.0.0.9, fd00::5" in caplog.text
    shows(server, authority.pem, "10.0.0.9")


def test_it_is_renewed_before_its_end_and_after(folder, clock):
    authority = Authority.open()
    old = authority.load(context(), NAMES)
    assert timedelta(days=390) < old.ends - old.begins < timedelta(days=398)
    clock(days=360)
    assert authority.load(context(), NAMES).ends == old.ends
    clock(days=370)
    renewed = authority.load(context(), NAMES)
    assert renewed.ends > old.ends
    clock(days=3000)
    assert authority.load(context(), NAMES).ends > renewed.ends + timedelta(days=2000)


def test_a_clock_that_went_back_makes_another_and_warns(folder, clock, caplog):
    authority = Authority.open()
    clock(days=10)
    later = authority.load(context(), NAMES)
    clock()
    now = authority.load(context(), NAMES)
    assert now.begins < later.begins
    assert "it is not valid before" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"nothing", "cut", "another's"])
def test_a_certificate_that_is_damaged_is_made_anew(folder, damage):
    authority = Authority.open()
    authority.load(context(), NAMES)
    file = folder / "server.pem"
    if damage == "cut":
        damage = file.read_bytes()[:600]
    elif damage == "another's":
        damage = trustme.CA().issue_cert(*NAMES).private_key_and_cert_chain_pem.bytes()
    file.write_bytes(damage)
    server = context()
    authority.load(server, NAMES)
    shows(server, authority.pem, "robot")
    assert mode(file) == 0o600


# ---- what cannot be


def refusal(kind=ssl.SSLError):
    with pytest.raises(kind) as error:
        Authority.open()
    return error.value.strerror


def test_a_clock_that_was_never_set(folder, clock):
    clock(datetime(1970, 1, 1, 0, 3, tzinfo=UTC))
    said = refusal()
    assert said.startswith("the clock of this machine shows 1970-01-01, so no device would take")
    assert "set the clock" in said
    assert not folder.exists()


def test_an_authority_that_has_expired(folder, clock):
    Authority.open()
    clock(datetime(3001, 1, 1, tzinfo=UTC))
    said = refusal()
    assert (
        f"the authority in {folder} is valid from 2000-01-01 to 3000-01-01, and the clock" in said
    )
    assert "shows 3001-01-01" in said
    assert "`vuer-trio cert renew --authority`" in said


@pytest.mark.parametrize("damage", ["", "cut", "no key", "another's key"])
def test_an_authority_that_is_damaged_is_not_replaced(folder, damage):
    Authority.open()
    file = folder / "authority.pem"
    whole = file.read_text()
    cut = whole.index("-----BEGIN CERTIFICATE")
    other = trustme.CA()
    file.write_text(
        {
            "": "",
            "cut": whole[:-50],
            "no key": whole[cut:],
            "another's key": other.private_key_pem.bytes().decode() + whole[cut:],
        }[damage]
    )
    said = refusal()
    assert said.startswith(f"{file} does not hold a key and its certificate in PEM; restore it, or")
    assert "PRIVATE" not in said
    assert Authority.open(anew=True).made
    assert not Authority.open().made


def test_a_key_that_others_may_read(folder):
    Authority.open()
    (folder / "authority.pem").chmod(0o644)
    said = refusal(PermissionError)
    assert said.startswith(f"others may read the key in {folder / 'authority.pem'} (mode 0644)")
    assert f"`chmod 600 {folder / 'authority.pem'}`" in said
    (folder / "authority.pem").chmod(0o600)
    assert not Authority.open().made


def test_a_folder_that_others_may_write_to(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert f"others may write to the folder {folder} (mode 0777)" in refusal(PermissionError)
    assert os.listdir(folder) == []


def test_a_file_in_the_place_of_the_folder(folder):
    folder.parent.mkdir()
    folder.write_text("x")
    said = refusal(OSError)
    assert f"are kept in {folder}, which cannot be read: Not a directory" in said
    assert "set VUER_TRIO_DATA to a folder of your own, or use cert= and key=" in said


AS_SOMEBODY = """
import os, tempfile
from vuer_trio.server.authority import Authority
chosen = os.environ["VUER_TRIO_DATA"]
with tempfile.TemporaryDirectory() as elsewhere:  # what is imported now need not be readable later
    os.environ["VUER_TRIO_DATA"] = elsewhere
    Authority.open()
os.environ["VUER_TRIO_DATA"] = chosen
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    Authority.open()
except OSError as error:
    print(type(error).__name__, error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
@pytest.mark.parametrize("what", ["read-only", "not ours"])
def test_a_folder_that_is_not_ours_or_read_only(what, tmp_path_factory):
    if what == "not ours" and os.geteuid() != 0:
        folder = Path("/")
    else:
        folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
        folder.chmod(0o755)
    try:
        chosen = folder
        if what == "read-only":
            folder.chmod(0o555)
            chosen = folder / "data"
        done = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY],
            env={**os.environ, "VUER_TRIO_DATA": str(chosen)},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        if folder != Path("/"):
            folder.rmdir()
    if what == "read-only":
        assert f"{chosen}, which cannot be written: Permission denied; set VUER_TRIO" in done.stdout
    else:
        assert f"the folder {folder} belongs to another user (uid 0)" in done.stdout


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert f"{folder}, which cannot be written: No space left on device" in refusal(OSError)
    assert os.listdir(folder) == []


def test_a_file_system_without_links(folder, monkeypatch):
    def cannot(*args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", cannot)
    assert Authority.open().made
    assert not Authority.open().made
    assert PrivateFolder(folder).write("authority.pem", b"x", first=True) is False


@pytest.mark.parametrize("package", ["trustme", "ifaddr"])
def test_without_the_extra(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"needs? .*: pip install 'vuer-trio\[headset\]'"):
        Authority.open().load(context(), machine_names())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tls": "yes"}, "tls must be one of 'auto', got 'yes'"),
        ({"tls": "auto", "cert": "a.pem"}, "tls='auto' makes a certificate, and cert= is one; use"),
        ({"mdns": 1}, "mdns must be a bool, got 1"),
        ({"mdns": True}, "mdns=True announces .* cannot reach host='localhost'; use host=None"),
        ({"mdns": True, "host": "127.0.0.1"}, "cannot reach host='127.0.0.1'"),
        ({"token": ""}, "token must be printable ASCII without spaces, and not empty"),
        ({"token": 5}, "token must be a str, got int"),
        ({"token": "ä"}, "token must be printable ASCII without spaces"),
        ({"authorize": 5}, "authorize must be a function that takes the request, got 5"),
        ({"authorize": lambda: True}, r"authorize: .* must take \(request\)"),
    ],
)
def test_options_that_cannot_be(options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        Vuer(**options)


def test_tls_auto_is_for_every_interface_and_the_environment_has_no_say(monkeypatch):
    monkeypatch.setenv("VUER_SSL_CERT", "/nowhere/cert.pem")
    monkeypatch.delenv("VUER_HOST", raising=False)
    options = Vuer(tls="auto")._options
    assert (options.host, options.cert, options.secure) == (None, None, True)
    assert Vuer(tls="auto", host="localhost")._options.host == "localhost"
    monkeypatch.setenv("VUER_HOST", "10.0.0.1")
    assert Vuer(tls="auto")._options.host == "10.0.0.1"
    assert Vuer().host == "10.0.0.1"


def test_the_packages_of_the_extra_are_imported_when_they_are_used():
    script = (
        "import sys, vuer_trio.server as s; s.Vuer(tls='auto', token='a')._options; "
        "print([n for n in ('trustme', 'cryptography', 'segno', 'zeroconf', 'ifaddr') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
