"""Run Autobahn|Testsuite against all implementations, as servers and as clients:

    python -m tests.conformance.run [--cases 1.*] [--only trio/websockets] [--large] [--write]

The reports are kept in build/autobahn. It fails where a case is neither OK nor NON-STRICT and has
no reason in `tests.conformance.outcomes`. ``--write`` puts the tables into docs/conformance.md.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.conformance.implementations import IMPLEMENTATIONS
from tests.conformance.outcomes import markdown, outcome, unexplained, unused
from tests.conformance.python27 import installed_wstest
from tests.conformance.suite import Suite

__all__ = ["PAGE", "TABLES"]

#: thousands of compressed messages of 4 KiB to 128 KiB, for an hour and more
LARGE = ["12.*.[5-9]$", "12.*.1[0-8]", "13.*.[5-9]$", "13.*.1[0-8]"]

PAGE = ROOT / "docs" / "conformance.md"
#: of the page
TABLES = re.compile(r"(?<=\n## Results\n\n).*(?=\n## Running it\n)", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", action="append", help="patterns of cases (default: *)")
    parser.add_argument("--but", action="append", default=[], help="patterns of cases to leave out")
    parser.add_argument("--large", action="store_true", help="large compressed messages, too")
    parser.add_argument("--only", action="append", help="names of implementations")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "autobahn")
    parser.add_argument("--wstest", type=Path, help="the suite's command, where it is installed")
    args = parser.parse_args()
    tested = [each for each in IMPLEMENTATIONS if not args.only or each.name in args.only]
    wstest = args.wstest or installed_wstest(args.folder / "python2.7")
    but = args.but if args.large else [*args.but, *LARGE]
    suite = Suite(wstest, args.folder, args.cases or ["*"], but)
    found = {role: _ordered(getattr(suite, role)(tested)) for role in ("servers", "clients")}
    (args.folder / "outcomes.json").write_text(json.dumps(found, indent=1))
    print(markdown(found))
    whole = not (args.cases or args.only)
    if args.write:
        page, count = TABLES.subn(lambda _: markdown(found), PAGE.read_text())
        assert count == 1, "the page has no place for the tables"
        PAGE.write_text(page)
    faults = [f"no reason for: {' '.join(each)}" for each in unexplained(found)]
    faults += [f"no such case: {reason}" for reason in unused(found) if whole and not args.but]
    if faults:
        raise SystemExit("\n".join(faults))


def _ordered(index: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    names = [each.name for each in IMPLEMENTATIONS if each.name in index]
    return {
        name: {case: outcome(index[name][case]) for case in sorted(index[name], key=_numbers)}
        for name in names
    }


def _numbers(case: str) -> Sequence[int]:
    return [int(part) for part in case.split(".")]


if __name__ == "__main__":
    main()
