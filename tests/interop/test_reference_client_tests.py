"""The reference's own tests of its client, run on ours; but those of what is private there."""

import pytest

from tests.interop.reference_tests import borrow

pytestmark = pytest.mark.interop

#: without the name that is not promised
IMPORT = "from vuer_trio.client import VuerClient"
BORROWED = borrow(
    "__tests__",
    ("test_client.py",),
    {f"{IMPORT}, AsyncAt": f"{IMPORT}\nAsyncAt = object"},
)
#: what they are about is not promised
PRIVATE = {
    "client:client_init_default_uri": "reads `client._ws`",
    "client:client_send_type_check": "calls `client._send`",
    "client:async_at_call_returns_coroutine": "makes an AsyncAt, which `send` needs not",
    "client:async_at_matmul_fire_and_forget": "makes an AsyncAt, which `send` needs not",
}


@pytest.mark.parametrize("name", [name for name in BORROWED if name not in PRIVATE])
def test_of_the_reference(name: str) -> None:
    BORROWED[name]()


def test_all_of_them_were_found() -> None:
    assert PRIVATE.keys() < BORROWED.keys()
    assert len(BORROWED) >= 12


@pytest.mark.parametrize("name", PRIVATE)
def test_those_that_are_left_out_fail_for_that(name: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        BORROWED[name]()
