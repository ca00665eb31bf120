"""What nobody foresaw in one customer's objects, and why it holds up no other.

A batch that fails is done again one by one; who fails alone is set aside, by name.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from connector.core.errors import ConnectorError, RulesDiffer, Stopped, Underivable
from connector.core.language import _, grouped, message
from connector.core.messages import spoken
from connector.core.money import format_count
from connector.core.text import printable
from connector.mrr.derive import UNFORESEEN as BREAKING

log = logging.getLogger(__name__)

# What a history, or settling what it says, can raise.
UNFORESEEN = (*BREAKING, sqlite3.IntegrityError)
# What is nobody's own: the disk's, another process's, or a wish to end.
EVERYBODYS = (sqlite3.OperationalError, OSError, MemoryError, RulesDiffer, Stopped)
NAMED = 5  # in one sentence


def set_aside(
    names: Sequence[str], together: Callable[[Sequence[str]], None]
) -> dict[str, str]:
    """Do it for all of them; return whose could not be done, and why.

    ``together`` does all or nothing. ``RulesDiffer`` is everybody's, and raised.
    """
    try:
        together(names)
    except RulesDiffer:
        raise
    except UNFORESEEN as error:
        if len(names) == 1:
            log.info("quarantine.set_aside name=%s", names[0], exc_info=error)
            return {names[0]: in_words(error)}
        log.info("quarantine.one_by_one names=%d", len(names))
    else:
        return {}
    failed: dict[str, str] = {}
    for name in names:
        failed |= set_aside([name], together)
    return failed


def in_words(error: Exception) -> str:
    """An error in a line, also one that was not meant for anybody's eyes."""
    if isinstance(error, ConnectorError):
        return f"{error.problem}; {error.fix}"
    return f"{type(error).__name__}: {error}"


def failed_lines(failed: Mapping[str, str]) -> list[str]:
    """Each of them, for somebody who reads; nothing where nobody has failed."""
    if not failed:
        return []
    return [
        _("Not derived, and as they were before in every figure ({number}):").format(
            number=grouped(len(failed))
        ),
        *(
            printable(f"  {customer}: {spoken(why)}")
            for customer, why in failed.items()
        ),
    ]


def underivable(failed: Mapping[str, str]) -> Underivable | None:
    """What to raise where somebody was set aside, once all else is done."""
    if not failed:
        return None
    named = ", ".join(list(failed)[:NAMED])
    more = len(failed) - NAMED
    named += message(f" and {more} more") if more > 0 else ""
    return Underivable(
        f"{format_count(len(failed), 'customer')} could not be derived: {named}",
        fix="report it as a bug, with what `stripe-nrr --verbose recompute --customer "
        f"{next(iter(failed))}` prints; they stand as they were, everybody else is right",
    )
