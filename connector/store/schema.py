"""How the one SQLite file is laid out: ``migrations/`` has every table, each with why.

The mirror's tables hold Stripe's objects and may be rewritten at any time. The ledger's
tables are append-only, by triggers. Money is minor units, ``*_s`` is unix seconds, a
``day`` is ``YYYY-MM-DD`` in the reporting zone.
"""

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import complete_statement

_FOLDER = Path(__file__).with_name("migrations")

# In order. Never edit one that was released; add the next.
MIGRATIONS = tuple(sorted(file.stem for file in _FOLDER.glob("m*.sql")))

MIRRORED = (
    "products",
    "prices",
    "coupons",
    "customers",
    "subscriptions",
    "invoices",
    "invoice_items",
    "events",
)

CHUNK_BITS = 8  # of a customer's key: the columns of 256 are packed together


def statements(migration: str) -> Iterator[str]:
    """What a migration does, one statement each: SQLite's own scripts would commit."""
    statement = ""
    for line in (_FOLDER / f"{migration}.sql").read_text(encoding="utf-8").splitlines():
        statement += f"{line}\n"
        if line.endswith(";") and complete_statement(statement):
            yield statement
            statement = ""
