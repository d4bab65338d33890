"""``python -m tests.fuzz [NAME ...]``: look for inputs that are dealt with in a wrong way.

    --seconds N    for each target (FUZZ_SECONDS, or 600 for all of them together)
    --keep         put what took new ways into the corpus, and leave out what does no longer
    --on PATH      only run this input, which a fuzzer found

What fails is written to build/fuzz/, and the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import ROOT
from tests.fuzz.corpus import TARGETS, keep, kept, target
from tests.fuzz.smallest import smallest

#: seconds for one input, and mebibytes; more of either is a fault
_SLOW, _MEMORY = 10, 2048
_FOUND = ROOT / "build" / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, help="for each target")
    parser.add_argument("--keep", action="store_true", help="update the corpus")
    parser.add_argument("--on", type=Path, metavar="PATH", help="only run this input")
    given = parser.parse_args()
    names = given.names or TARGETS
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; the targets: {', '.join(TARGETS)}")
    if given.on is not None:
        for name in names:
            target(name).one_input(given.on.read_bytes())
        return 0
    seconds = given.seconds or float(os.environ.get("FUZZ_SECONDS", "600")) / len(names)
    failed = [name for name in names if not fuzz(name, seconds, update=given.keep)]
    if failed:
        print(f"failed: {', '.join(failed)}; the inputs are in {_FOUND}")
    return bool(failed)


def fuzz(name: str, seconds: float, *, update: bool) -> bool:
    """Whether nothing failed."""
    _FOUND.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch)
        for n, data in enumerate([*target(name).seeds(), *kept(name)]):
            (corpus / f"kept-{n}").write_bytes(data)
        most = getattr(target(name), "MAX_LEN", 1024)
        log = _work(
            name,
            f"-max_total_time={max(1, round(seconds))}",
            f"-artifact_prefix={_FOUND}/{name}-",
            "-print_final_stats=1",
            f"-timeout={_SLOW}",
            f"-rss_limit_mb={_MEMORY}",
            f"-max_len={most}",
            scratch,
        )
        passed = log.returncode == 0
        if not passed:
            print(log.stdout[-6000:])
        executions = re.search(r"number_of_executed_units: (\d+)", log.stdout)
        ways = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log.stdout)
        told = f"{name}: {executions[1] if executions else '?'} executions"
        if ways:
            told += f", {ways[-1][0]} edges, {ways[-1][1]} features, {ways[-1][2]} inputs"
        if update and passed:
            inputs = [path.read_bytes() for path in corpus.iterdir()]
            chosen = smallest(inputs, target(name).one_input)
            told += f"; {len(chosen)} kept, {keep(name, chosen):,} bytes"
        print(told, flush=True)
    return passed


def _work(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.worker", name, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # a traceback is there, what libFuzzer says here
        text=True,
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
