"""The ledger: movements posted, retracted, read, and read as of a past moment.

Append-only. A correction is a retraction and a new movement under one run, so that the
ledger can be read as it was at any time.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from connector.errors import LedgerConflict, LedgerUnusable
from connector.model import (
    Cause,
    Component,
    Evidence,
    Flow,
    Kind,
    Movement,
    Window,
)

ONE_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What a run will say of itself, once it has something to post.

    ``cause`` is sync, webhook, policy change or manual; ``policy`` is JSON.
    """

    started_at: datetime
    cause: str
    code_version: str
    policy: str


class Posted(NamedTuple):
    movements: int
    retractions: int


class Run:
    """One run of posting. Its row is written with its first posting, not before.

    Runs stand one after the other: where another process has posted or closed a month in
    between, what follows is a run of its own. No run is stamped before the one it
    follows, and each later than the last closing. Else a past moment would show a
    correction without what it corrects, or a closed month what was posted later.
    """

    def __init__(self, connection: sqlite3.Connection, start: RunStart) -> None:
        self._connection = connection
        self._start = start
        self._id: int | None = None
        self._started_at = ""

    def id(self) -> int:
        """The run to post under; asked for inside the transaction that posts."""
        newest = self._connection.execute(
            "SELECT id, started_at FROM runs ORDER BY id DESC LIMIT 1"
        ).fetchone()
        closed_at = newest_closing(self._connection) or ""
        is_newest = newest is not None and newest[0] == self._id
        if self._id is None or not is_newest or self._started_at <= closed_at:
            self._id = self._begin(newest[1] if newest is not None else "", closed_at)
        return self._id

    def _begin(self, after: str, closed_at: str) -> int:
        start = self._start
        self._started_at = stamp(start.started_at)
        if self._started_at < after or self._started_at <= closed_at:
            latest = datetime.fromisoformat(max(after, closed_at))
            self._started_at = stamp(latest + ONE_TICK)
        inserted = self._connection.execute(
            "INSERT INTO runs (started_at, cause, code_version, policy)"
            " VALUES (?, ?, ?, ?)",
            [self._started_at, start.cause, start.code_version, start.policy],
        )
        assert inserted.lastrowid is not None
        return inserted.lastrowid


def newest_closing(connection: sqlite3.Connection) -> str | None:
    """The stamp of the moment a month was last closed at."""
    [found] = connection.execute("SELECT max(closed_at) FROM closings").fetchone()
    return None if found is None else str(found)


def stamp(moment: datetime) -> str:
    """A moment as the ledger writes it; texts compare as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class Named(NamedTuple):
    """How a customer is shown; None where the label is switched off or unknown."""

    label: str | None = None
    country: str | None = None


def key_of(
    connection: sqlite3.Connection,
    customer: str,
    label: str | None,
    country: str | None,
) -> int:
    """The customer's key in the ledger; its label and country are brought up to date."""
    return keys_of(connection, {customer: Named(label, country)})[customer]


def keys_of(
    connection: sqlite3.Connection, customers: Mapping[str, Named]
) -> dict[str, int]:
    """The same of several customers, with one query where they are known."""
    rows = connection.execute(
        "SELECT id, key, label, country FROM customers"
        " WHERE id IN (SELECT value FROM json_each(?))",
        [json.dumps(list(customers))],
    ).fetchall()
    keys = {}
    for customer, key, label, country in rows:
        keys[customer] = int(key)
        if customers[customer] != (label, country):
            connection.execute(
                "UPDATE customers SET label = ?, country = ? WHERE key = ?",
                [*customers[customer], key],
            )
    for customer, named in customers.items():
        if customer not in keys:
            inserted = connection.execute(
                "INSERT INTO customers (id, label, country) VALUES (?, ?, ?)",
                [customer, *named],
            )
            assert inserted.lastrowid is not None
            keys[customer] = inserted.lastrowid
    return keys


def settle(
    connection: sqlite3.Connection, run: Run, key: int, derived: Sequence[Movement]
) -> Posted:
    """Make the live movements of one customer what ``derived`` says.

    What is the same stays untouched, so settling twice is settling once. Runs inside the
    caller's transaction.
    """
    return settle_all(connection, run, {key: derived})


def settle_all(
    connection: sqlite3.Connection, run: Run, derived: Mapping[int, Sequence[Movement]]
) -> Posted:
    """The same of several customers; what stands of all of them is read at once."""
    standing = _standing(connection, list(derived))
    posted = retracted = 0
    for key, movements in derived.items():
        offered = {(m.currency, m.day): m for m in movements}
        assert len(offered) == len(movements), "two movements on one day"
        for movement_id, booked in standing.get(key, ()):
            place = (booked.currency, booked.day)
            reason = _difference(booked, offered.get(place))
            if reason is None:
                del offered[place]
                continue
            connection.execute(
                "INSERT INTO retractions VALUES (?, ?, ?)",
                [movement_id, run.id(), reason],
            )
            retracted += 1
        for movement in sorted(offered.values(), key=lambda m: (m.day, m.currency)):
            _post(connection, run.id(), key, movement)
            posted += 1
    return Posted(posted, retracted)


def _difference(booked: Movement, offered: Movement | None) -> str | None:
    """Why a live movement no longer stands; None where it does."""
    if offered is None:
        return "no evidence for it any more"
    if _essence(booked) == _essence(offered):
        return None
    if (booked.before_minor, booked.after_minor) != (
        offered.before_minor,
        offered.after_minor,
    ):
        return f"now from {offered.before_minor} to {offered.after_minor}"
    return "kind" if booked.kind != offered.kind else "better evidence"


def _essence(movement: Movement) -> object:
    """What makes a movement another one: not the wording of sums and proofs."""
    parts = [
        (
            (part.cause, part.amount_minor, part.subscription, part.item, part.price),
            [(proof.kind, proof.id, proof.at_s) for proof in part.evidence],
        )
        for part in movement.components
    ]
    return (movement.kind, movement.before_minor, movement.after_minor, parts)


def _post(
    connection: sqlite3.Connection, run: int, key: int, movement: Movement
) -> None:
    try:
        inserted = connection.execute(
            "INSERT INTO movements (customer, currency, day, kind, amount_minor,"
            " before_minor, after_minor, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                key,
                movement.currency,
                movement.day.isoformat(),
                movement.kind,
                movement.amount_minor,
                movement.before_minor,
                movement.after_minor,
                run,
            ],
        )
    except sqlite3.IntegrityError as error:
        raise LedgerConflict(
            f"{movement.customer} {movement.day} {movement.currency}: {error}",
            fix="run `stripe-nrr check`, then `stripe-nrr recompute`",
        ) from error
    connection.executemany(
        "INSERT INTO components VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                inserted.lastrowid,
                position,
                part.cause,
                part.amount_minor,
                part.subscription,
                part.item,
                part.price,
                part.before,
                part.after,
                json.dumps(part.evidence, ensure_ascii=False),
            )
            for position, part in enumerate(movement.components)
        ],
    )


# Reading. A movement counts as of a moment if its run had started by then, and no run
# that had started by then retracted it.

_AS_OF = """
    run IN (SELECT id FROM runs WHERE started_at <= :as_of)
    AND NOT EXISTS (
        SELECT 1 FROM retractions JOIN runs AS later ON later.id = retractions.run
        WHERE retractions.movement = movements.id AND later.started_at <= :as_of)
"""
_NOW = "9999"  # after every moment

# As of now there is no need to look at runs.
_LIVE = """
    NOT EXISTS (SELECT 1 FROM retractions WHERE retractions.movement = movements.id)
"""


def known(query: str, as_of: datetime | None) -> str:
    """The query over what is known now, or was as of a moment."""
    return query.format(which=_LIVE if as_of is None else _AS_OF)


_MOVEMENTS = f"""
    SELECT movements.id, customers.id, currency, day, kind, amount_minor, before_minor,
           after_minor
    FROM movements JOIN customers ON customers.key = movements.customer
    WHERE {_AS_OF}
      AND (:customer IS NULL OR movements.customer =
           (SELECT key FROM customers WHERE id = :customer))
      AND (:from IS NULL OR day >= :from)
      AND (:to IS NULL OR day < :to)
      AND (:kind IS NULL OR kind = :kind)
      AND (:currency IS NULL OR currency = :currency)
    ORDER BY day, customers.id, currency
"""  # noqa: S608


class Wanted(NamedTuple):
    """Which movements to read; None does not restrict. ``end`` is out."""

    customer: str | None = None
    start: date | None = None
    end: date | None = None
    kind: Kind | None = None
    currency: str | None = None
    as_of: datetime | None = None


EVERYTHING = Wanted()


def movements(
    connection: sqlite3.Connection, wanted: Wanted = EVERYTHING
) -> Iterator[Movement]:
    """The live movements with their components, by day, then customer."""
    parameters = {
        "as_of": as_of_text(wanted.as_of),
        "customer": wanted.customer,
        "from": wanted.start and wanted.start.isoformat(),
        "to": wanted.end and wanted.end.isoformat(),
        "kind": wanted.kind,
        "currency": wanted.currency,
    }
    for row in connection.execute(_MOVEMENTS, parameters):
        yield booked(connection, row)


_STANDING = """
    SELECT movements.customer, movements.id, customers.id, currency, day, kind,
           amount_minor, before_minor, after_minor
    FROM movements JOIN customers ON customers.key = movements.customer
    WHERE movements.customer IN (SELECT value FROM json_each(?)) AND NOT EXISTS
          (SELECT 1 FROM retractions WHERE movement = movements.id)
"""


_LARGEST = """
    SELECT movements.id, customers.id, currency, day, kind, amount_minor, before_minor,
           after_minor
    FROM movements JOIN customers ON customers.key = movements.customer
    WHERE currency = :currency AND day >= :since AND day < :until AND {which}
    ORDER BY abs(amount_minor) DESC, day, customers.id LIMIT :count
"""


def largest(
    connection: sqlite3.Connection,
    currency: str,
    window: Window,
    count: int,
    as_of: datetime | None = None,
) -> list[Movement]:
    """The live movements of a window that changed most, up or down, the largest first."""
    parameters = {
        "currency": currency,
        "since": str(window.start),
        "until": str(window.end),
        "as_of": as_of_text(as_of),
        "count": count,
    }
    rows = connection.execute(known(_LARGEST, as_of), parameters).fetchall()
    parts = _parts(connection, [row[0] for row in rows])
    return [_movement(row, parts.get(row[0], ())) for row in rows]


def _standing(
    connection: sqlite3.Connection, keys: Sequence[int]
) -> dict[int, list[tuple[int, Movement]]]:
    """Each customer's live movements with their ids."""
    rows = connection.execute(_STANDING, [json.dumps(keys)]).fetchall()
    parts = _parts(connection, [row[1] for row in rows])
    found: dict[int, list[tuple[int, Movement]]] = {}
    for key, *row in rows:
        booked = _movement(tuple(row), parts.get(row[0], ()))
        found.setdefault(key, []).append((row[0], booked))
    return found


_Part = tuple[str, int, str, str, str, str, str, str]


def _parts(
    connection: sqlite3.Connection, movements: Sequence[int]
) -> dict[int, list[_Part]]:
    """The components of movements, as their rows say them, by movement."""
    rows = connection.execute(
        "SELECT movement, cause, amount_minor, subscription, item, price, before, after,"
        " evidence FROM components WHERE movement IN (SELECT value FROM json_each(?))"
        " ORDER BY movement, position",
        [json.dumps(movements)],
    )
    found: dict[int, list[_Part]] = {}
    for movement, *part in rows:
        found.setdefault(movement, []).append(tuple(part))
    return found


def booked(
    connection: sqlite3.Connection,
    row: tuple[int, str, str, str, str, int, int, int],
) -> Movement:
    """A row of ``movements`` with its components: id, customer's id, and the rest."""
    return _movement(row, _parts(connection, [row[0]]).get(row[0], ()))


def _movement(
    row: tuple[int, str, str, str, str, int, int, int], parts: Sequence[_Part]
) -> Movement:
    movement_id, customer, currency, day, kind, amount, before, after = row
    explained = sum(part[1] for part in parts)
    if explained != amount:
        raise LedgerUnusable(
            f"movement {movement_id} ({customer} {day} {currency}) is {amount}, but its "
            f"components add up to {explained}: the file was changed from outside",
            fix="restore a copy of it, or make a new one with `stripe-nrr sync`",
        )
    return Movement(
        customer=customer,
        currency=currency,
        day=date.fromisoformat(day),
        kind=Kind(kind),
        amount_minor=amount,
        before_minor=before,
        after_minor=after,
        components=tuple(
            Component(
                cause=Cause(part[0]),
                amount_minor=part[1],
                subscription=part[2],
                item=part[3],
                price=part[4],
                before=part[5],
                after=part[6],
                evidence=tuple(Evidence(*each) for each in json.loads(part[7])),
            )
            for part in parts
        ),
    )


def as_of_text(moment: datetime | None) -> str:
    return _NOW if moment is None else stamp(moment)


_FLOWS = """
    SELECT customer, day, kind, amount_minor FROM movements
    WHERE currency = :currency AND day >= :since AND day < :until AND {which}
    ORDER BY day
"""


def flows(
    connection: sqlite3.Connection,
    currency: str,
    as_of: datetime | None = None,
    since: date = date.min,
    until: date = date.max,
) -> Iterator[Flow]:
    """The live movements of a currency without their components, by day.

    ``since`` is in, ``until`` is out.
    """
    rows = connection.execute(
        known(_FLOWS, as_of),
        {
            "currency": currency,
            "as_of": as_of_text(as_of),
            "since": since.isoformat(),
            "until": until.isoformat(),
        },
    )
    for customer, day, kind, amount_minor in rows:
        yield Flow(customer, local(day), KINDS[kind], amount_minor)


local = lru_cache(date.fromisoformat)  # a ledger has few days and many rows


KINDS = {kind.value: kind for kind in Kind}

_CURRENCIES = f"""
    SELECT currency FROM movements WHERE {_AS_OF}
    GROUP BY currency ORDER BY count(*) DESC, currency
"""  # noqa: S608


def currencies(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> list[str]:
    """The ledger's currencies, the one with most movements first."""
    rows = connection.execute(_CURRENCIES, {"as_of": as_of_text(as_of)})
    return [currency for (currency,) in rows]


class Account(NamedTuple):
    """A customer as the ledger knows it."""

    id: str
    label: str | None


def find_customer(connection: sqlite3.Connection, text: str) -> list[Account]:
    """The customer with this id, else those whose label contains ``text``."""
    rows = connection.execute(
        "SELECT id, label FROM customers WHERE id = ?", [text]
    ).fetchall()
    rows = rows or connection.execute(_BY_LABEL, [text]).fetchall()
    return [Account(*row) for row in rows]


_BY_LABEL = """
    SELECT id, label FROM customers WHERE instr(lower(label), lower(?))
    ORDER BY label LIMIT 10
"""


def labels(connection: sqlite3.Connection) -> dict[str, str]:
    """Each customer's display label; the id where there is none."""
    rows = connection.execute("SELECT id, coalesce(label, id) FROM customers")
    return dict(rows.fetchall())


_MRR = f"""
    SELECT customers.id, currency, sum(amount_minor) AS mrr_minor
    FROM movements JOIN customers ON customers.key = movements.customer
    WHERE day <= :on AND {_AS_OF}
    GROUP BY movements.customer, currency HAVING mrr_minor <> 0
"""  # noqa: S608


def mrr_on(connection: sqlite3.Connection, on: date) -> dict[str, dict[str, int]]:
    """Each paying customer's MRR at the end of a day, by currency."""
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(_MRR, {"on": on.isoformat(), "as_of": _NOW})
    for customer, currency, mrr_minor in rows:
        found.setdefault(customer, {})[currency] = mrr_minor
    return found


def accounts(connection: sqlite3.Connection) -> dict[int, Account]:
    """Every customer by the ledger's key, which flows are told by."""
    rows = connection.execute("SELECT key, id, label FROM customers")
    return {key: Account(customer, label) for key, customer, label in rows}


_POLICIES = """
    SELECT policy FROM (
        SELECT id, started_at AS at, 0 AS is_closing, policy FROM runs
        UNION ALL SELECT 0, closed_at, 1, policy FROM closings)
    WHERE at <= ? ORDER BY at DESC, is_closing DESC, id DESC LIMIT 1
"""


def policy_as_of(connection: sqlite3.Connection, as_of: datetime | None) -> str | None:
    """The policy (JSON) under which the newest run or closing by then was made."""
    row = connection.execute(_POLICIES, [as_of_text(as_of)]).fetchone()
    return None if row is None else str(row[0])
