"""Regional identifiers: numbers that say nothing."""

import secrets

_NEXT = tuple(tuple((product + digit) % 10 or 10 for digit in range(10)) for product in range(11))


def new_regional_value() -> str:
    """A regional number that says nothing: R, ten random digits, a check digit (ISO 7064 MOD 11,10)."""
    digits = f"{secrets.randbelow(10**10):010d}"
    return f"R{digits}{check_digit(digits)}"


def check_digit(digits: str) -> str:
    """ISO 7064 MOD 11,10: finds every single wrong digit and most swapped ones."""
    product = 10
    for digit in digits.encode():
        product = _NEXT[product][digit - 48] * 2 % 11
    return str((11 - product) % 10)
