"""Movements and terms as columns: there are more of them than there is room for objects.

Each column is bytes of little-endian integers, so that it can be kept as it is.
"""

from typing import NamedTuple

from connector.core.model import Cause, MovementKind

# A movement's kind as a number, in the order of ``MovementKind``.
KINDS = tuple(MovementKind)
KIND_NUMBERS = {kind.value: number for number, kind in enumerate(KINDS)}

CAUSES = tuple(Cause)
CAUSE_NUMBERS = {cause.value: number for number, cause in enumerate(CAUSES)}

# How wide each column of ``Block`` is, as ``array`` writes it: 32 bits for keys and days
# (ordinals of ``date``), 8 for kinds and causes, 64 for money and movements' ids.
WIDTHS = "iibq" + "iiiqq" + "qibq"


class Block(NamedTuple):
    """One currency's live movements of some customers, their terms and components.

    Movements are by customer, then day; terms by customer, subscription, day.
    ``term_subscription`` is a number that differs between neighbours alone. ``movement``
    is the id of each movement, ``parts`` how many components it has; these are in the
    same order. Terms, and all about components, are empty where not asked for.
    """

    customer: bytes = b""
    day: bytes = b""
    kind: bytes = b""
    amount_minor: bytes = b""
    term_customer: bytes = b""
    term_subscription: bytes = b""
    term_day: bytes = b""
    term_before_minor: bytes = b""
    term_after_minor: bytes = b""
    movement: bytes = b""
    parts: bytes = b""
    part_cause: bytes = b""
    part_amount_minor: bytes = b""
