"""Values in messages are short, whatever they are."""

import pytest

from ocean_lib.core.messages import LONGEST, shortened


@pytest.mark.parametrize("value", [5, 1.5, "text", None, [1, 2], {"a": 1}, -(2**100)])
def test_a_short_value_stands_as_it_is(value):
    assert shortened(value) == repr(value)


def test_a_long_value_is_cut():
    nested = [1]
    for _ in range(9):
        nested = [nested] * 10  # a thousand million entries
    for value in ("x" * 5000, [1] * 5000, nested, {str(k): k for k in range(999)}, 10**9999):
        assert len(shortened(value)) <= LONGEST + 1
    assert "33216 bits" in shortened(10**9999)
