"""The TLS contexts of clients, and their sessions."""

import ssl
from types import SimpleNamespace

import pytest
import trustme

from vuer_trio._net import client_tls
from vuer_trio._net.client_tls import TLSSessions, made_context, make_context, new_context


@pytest.fixture(autouse=True)
def none_made(monkeypatch):
    monkeypatch.setattr(client_tls, "_made", {})


def ticket(has_ticket=True):
    return SimpleNamespace(has_ticket=has_ticket)


def test_a_context_is_made_once():
    assert made_context(True) is None
    context = make_context(True)
    assert made_context(True) is context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_who_checks_shares_none_with_who_does_not():
    checks, trusts_all = make_context(True), make_context(False)
    assert (made_context(True), made_context(False)) == (checks, trusts_all)
    assert checks.verify_mode is ssl.CERT_REQUIRED
    assert trusts_all.verify_mode is ssl.CERT_NONE
    assert not trusts_all.check_hostname


def test_one_for_somebody_alone_is_kept_by_nobody():
    assert new_context(True) is not new_context(True)
    assert made_context(True) is None


def test_other_authorities_give_another_context(monkeypatch, tmp_path):
    file = tmp_path / "authorities.pem"
    trustme.CA().cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert make_context(True).cert_store_stats()["x509_ca"] == 1
    assert made_context(True) is not None
    trustme.CA().cert_pem.write_to_path(file, append=True)
    assert made_context(True) is None
    assert make_context(True).cert_store_stats()["x509_ca"] == 2
    monkeypatch.delenv("SSL_CERT_FILE")
    assert made_context(True) is None


def test_a_context_is_made_anew_after_an_hour(monkeypatch):
    now = 0.0
    monkeypatch.setattr(client_tls, "monotonic", lambda: now)
    make_context(True)
    now = 3600.0
    assert made_context(True) is not None
    now = 3600.1
    assert made_context(True) is None


def test_a_session_is_taken_once():
    sessions, context, session = TLSSessions(), new_context(True), ticket()
    sessions.keep(context, "here", session)
    assert sessions.take(context, "here") is session
    assert sessions.take(context, "here") is None


def test_a_session_is_for_one_server_and_one_way_of_checking():
    sessions, context = TLSSessions(), new_context(False)
    sessions.keep(context, "here", ticket())
    assert sessions.take(context, "there") is None
    assert sessions.take(new_context(False), "here") is None
    context.verify_mode = ssl.CERT_REQUIRED
    assert sessions.take(context, "here") is None
    context.verify_mode = ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    assert sessions.take(context, "here") is None
    context.verify_flags &= ~ssl.VERIFY_CRL_CHECK_LEAF
    assert sessions.take(context, "here") is not None


def test_few_are_kept_and_none_without_a_ticket():
    sessions, context = TLSSessions(), new_context(True)
    sessions.keep(context, "here", None)
    sessions.keep(context, "here", ticket(has_ticket=False))
    assert sessions.take(context, "here") is None
    for number in range(20):
        sessions.keep(context, number, ticket())
    assert [n for n in range(20) if sessions.take(context, n)] == list(range(12, 20))
