"""The allocator keeps what large messages leave."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from vuer_trio import _memory

_PROGRAM = """
import resource, sys

from vuer_trio._memory import keep_freed_memory

def taken():
    "The pages that 48 MiB take of the system."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * (16 << 20) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1:]:
    keep_freed_memory()
taken(), taken()
print(taken() * resource.getpagesize())
"""


def taken(*args: str) -> int:
    command = [sys.executable, "-c", _PROGRAM, *args]
    return int(subprocess.check_output(command, text=True))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_what_was_freed_is_taken_again_instead_of_new_pages_of_the_system():
    assert taken() > 24 << 20, "there is no need for it any more"
    assert taken("keep") < 1 << 20


def test_no_room_for_that_is_no_error(monkeypatch):
    monkeypatch.setattr(_memory, "_LARGEST", 1 << 60)
    with pytest.raises(MemoryError):
        bytes(_memory._LARGEST)
    _memory.keep_freed_memory.__wrapped__()
