"""Values in messages: a few entries of long ones, so that a message stays a sentence."""

import reprlib
from typing import Any

__all__ = ["shortened"]


LONGEST = 160  # characters


class _Short(reprlib.Repr):
    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = 100
        self.maxlist = self.maxtuple = self.maxdict = 8
        self.maxlevel = 2

    def repr_int(self, value: int, level: int) -> str:
        bits = value.bit_length()  # Python refuses to print integers of thousands of digits
        return repr(value) if bits <= 128 else f"an integer of {bits} bits"


def shortened(value: Any) -> str:
    """The `repr` of a value, cut where it is long."""
    text = _Short().repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
