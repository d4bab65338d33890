"""The process that libFuzzer runs in: ``python -m tests.fuzz.worker NAME [its arguments]``."""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.corpus import target


def main() -> None:
    name = sys.argv[1]
    with atheris.instrument_imports(include=["vuer_trio"]):
        module = target(name)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], module.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
