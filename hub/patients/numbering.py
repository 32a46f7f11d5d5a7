"""Regional identifiers: numbers that say nothing."""

import os
import struct

_NEXT = tuple(tuple((product + digit) % 10 or 10 for digit in range(10)) for product in range(11))


def new_regional_value() -> str:
    """A regional number that says nothing: R, ten random digits, a check digit (ISO 7064 MOD 11,10)."""
    return new_regional_values(1)[0]


def new_regional_values(count: int) -> list[str]:
    """Several of them."""
    random = struct.unpack(f"{count}Q", os.urandom(8 * count))
    numbers = [f"{value % 10**10:010d}" for value in random]  # 2**64 is so much more that each is as likely
    return [f"R{digits}{check_digit(digits)}" for digits in numbers]


def check_digit(digits: str) -> str:
    """ISO 7064 MOD 11,10: finds every single wrong digit and most swapped ones."""
    product = 10
    for digit in digits.encode():
        product = _NEXT[product][digit - 48] * 2 % 11
    return str((11 - product) % 10)
