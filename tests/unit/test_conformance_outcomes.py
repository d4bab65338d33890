"""How the outcomes of the conformance suite are judged, and what its page says of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.implementations import IMPLEMENTATIONS
from tests.conformance.outcomes import REASONS, markdown, outcome, unexplained, unused
from tests.conformance.run import PAGE, TABLES


@pytest.mark.parametrize(
    ("behavior", "close", "whole"),
    [
        ("OK", "OK", "OK"),
        ("NON-STRICT", "OK", "NON-STRICT"),
        ("OK", "INFORMATIONAL", "OK"),
        ("OK", "WRONG CODE", "FAILED"),
        ("NON-STRICT", "UNCLEAN", "FAILED"),
        ("FAILED", "OK", "FAILED"),
        ("UNIMPLEMENTED", "UNIMPLEMENTED", "UNIMPLEMENTED"),
    ],
)
def test_the_worse_one_of_two_verdicts_counts(behavior: str, close: str, whole: str) -> None:
    assert outcome({"behavior": behavior, "behaviorClose": close}) == whole


def test_what_has_no_reason_is_told() -> None:
    found = {
        "servers": {
            "trio/websockets": {"1.1.1": "OK", "7.1.5": "FAILED", "7.1.6": "INFORMATIONAL"}
        },
        "clients": {"plain websockets": {"7.1.5": "FAILED", "9.1.1": "FAILED"}},
    }
    assert unexplained(found) == [
        ("servers", "trio/websockets", "7.1.5", "FAILED"),
        ("clients", "plain websockets", "9.1.1", "FAILED"),
    ]


def test_a_reason_that_nothing_needs_is_told() -> None:
    found: dict[str, Any] = {"servers": {"plain websockets": {"7.1.5": "FAILED"}}, "clients": {}}
    used = [reason for reason in REASONS if reason not in unused(found)]
    assert [(reason.names, reason.cases) for reason in used] == [("plain websockets", "7.1.5")]


def test_the_page_has_each_implementation_in_both_roles_and_each_reason() -> None:
    match = TABLES.search(PAGE.read_text("utf-8"))
    assert match is not None
    servers, clients, reasons = match[0].split("### ")[1:]
    for each in IMPLEMENTATIONS:
        assert f"| {each.name} |" in servers
        assert f"| {each.name} |" in clients
    assert reasons == markdown({"servers": {}, "clients": {}}).split("### ")[3]
    for table in (servers, clients):
        for line in table.splitlines()[4:]:
            name, *counts = (cell.strip() for cell in line.strip("|").split("|"))
            if "/" in name:  # of ours nothing fails
                assert counts[-1] == "0"


def test_no_case_of_ours_fails_for_a_reason() -> None:
    assert not any("/" in each.names and each.outcome == "FAILED" for each in REASONS)
