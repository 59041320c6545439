"""The sentence with which something is refused, whole, for tests that hold it to the letter."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def refused(call: Callable[[], object], kind: type[Exception]) -> str:
    """What the error of a call says."""
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)
