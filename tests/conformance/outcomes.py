"""What the suite says, counted, and the reasons for what is neither OK nor NON-STRICT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["REASONS", "Reason", "markdown", "outcome", "unexplained", "unused"]

#: role, name of the implementation, case: outcome
Outcomes = Mapping[str, Mapping[str, Mapping[str, str]]]

#: these need no reason
_GOOD = ("OK", "NON-STRICT")


@dataclass(frozen=True)
class Reason:
    """``roles``, ``names``, ``cases``: patterns, each with several parts at blanks or commas."""

    roles: str
    names: str
    cases: str
    outcome: str
    why: str

    def explains(self, role: str, name: str, case: str, outcome: str) -> bool:
        return (
            outcome == self.outcome
            and fnmatchcase(role, self.roles)
            and any(fnmatchcase(name, each) for each in self.names.split(", "))
            and any(fnmatchcase(case, each) for each in self.cases.split(", "))
        )


REASONS = [
    Reason(
        "*",
        "*",
        "7.1.6, 7.13.*",
        "INFORMATIONAL",
        "The suite expects nothing: it notes what happens to a large message before a close, and "
        "to close codes that no rule speaks of.",
    ),
    Reason(
        "servers",
        "*/*",
        "12.*, 13.*",
        "UNIMPLEMENTED",
        "A server of this library does not compress: it frames a message once, for all clients.",
    ),
    Reason(
        "clients",
        "*/trio-websocket, */wsproto",
        "12.*, 13.*",
        "UNIMPLEMENTED",
        'Only the transport `websockets` compresses, with `compression="deflate"`.',
    ),
    Reason(
        "*",
        "plain trio-websocket",
        "12.*, 13.*",
        "UNIMPLEMENTED",
        "The package does not compress.",
    ),
    Reason(
        "*",
        "plain websockets",
        "7.1.5",
        "FAILED",
        "The package takes a close frame between two fragments for a fault, and answers 1002. "
        "RFC 6455 §5.4 lets control frames be there; the transports of this library that use the "
        "package answer it with its own code.",
    ),
    Reason(
        "*",
        "plain websockets",
        "9.3.1, 9.3.2, 9.3.3, 9.4.1, 9.4.2, 9.4.3",
        "FAILED",
        "The package limits the fragments of a message as well as its size, and answers 1009 to "
        "4 MiB in fragments of up to 1 KiB. Here `max_size` alone limits a message.",
    ),
    Reason(
        "clients",
        "plain trio-websocket",
        "*",
        "FAILED",
        "After an invalid frame, the package's client takes itself for closed: it sends no close "
        "frame, and leaves the connection open until the server ends it. The transport of this "
        "library sends that frame, and closes.",
    ),
]


def outcome(result: Mapping[str, Any]) -> str:
    """Of a case, the worse one of its two verdicts."""
    behavior: str = result["behavior"]
    if result["behaviorClose"] in ("OK", "INFORMATIONAL") or behavior == "UNIMPLEMENTED":
        return behavior
    return "FAILED"


def _all(outcomes: Outcomes) -> Iterator[tuple[str, str, str, str]]:
    for role, names in outcomes.items():
        for name, cases in names.items():
            for case, found in cases.items():
                yield role, name, case, found


def unexplained(outcomes: Outcomes) -> list[tuple[str, str, str, str]]:
    return [
        each
        for each in _all(outcomes)
        if each[3] not in _GOOD and not any(reason.explains(*each) for reason in REASONS)
    ]


def unused(outcomes: Outcomes) -> list[Reason]:
    """Reasons for what no case has come to."""
    found = list(_all(outcomes))
    return [reason for reason in REASONS if not any(reason.explains(*each) for each in found)]


def markdown(outcomes: Outcomes) -> str:
    """A table for each role, and one of the reasons."""
    columns = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED"]
    lines: list[str] = []
    for role, title in (("servers", "Servers"), ("clients", "Clients")):
        lines += [f"### {title}", "", "| | " + " | ".join(columns) + " |"]
        lines += ["|---" + "|--:" * len(columns) + "|"]
        for name, cases in outcomes[role].items():
            counts = Counter(cases.values())
            lines.append(f"| {name} | " + " | ".join(str(counts[each]) for each in columns) + " |")
        lines.append("")
    lines += ["### Reasons", "", "| | cases | outcome | why |", "|---|---|---|---|"]
    for reason in REASONS:
        who = f"{reason.names.replace('*', 'all') if reason.names == '*' else f'`{reason.names}`'}"
        role = {"*": "", "servers": ", as servers", "clients": ", as clients"}[reason.roles]
        lines.append(f"| {who}{role} | `{reason.cases}` | {reason.outcome} | {reason.why} |")
    return "\n".join(lines) + "\n"
