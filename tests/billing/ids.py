"""Ids in Stripe's look: the same seed and the same order give the same ids."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ACCOUNT = "KXBGcbgpbZ"  # the part that all ids of one account share
SHORT = frozenset({"cus", "prod", "si"})
SPREAD = 6_700_417 * 104_729  # coprime to 62, so that no two counts collide


def base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


class Ids:
    def __init__(self, seed: int) -> None:
        self.count = seed * 1_000_003

    def new(self, prefix: str, at: int) -> str:
        """A fresh id for an object made at ``at``."""
        self.count += 1
        tail = base62(self.count * SPREAD, 8)
        if prefix in SHORT:
            return f"{prefix}_{base62(at, 6)}{tail}"
        return f"{prefix}_{base62(at, 6)}{ACCOUNT}{tail}"

    def word(self) -> str:
        """Eight capitals, such as Stripe puts before invoice numbers."""
        self.count += 1
        return base62(self.count * SPREAD, 8).upper()
