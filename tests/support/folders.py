"""A folder of a billing case: README, what Stripe shows, and what is booked from it.

``stripe.json`` is the account as it was seen last; ``stripe.1.json`` … are the looks
before it. Beside the lists of objects it may name a ``timezone``, a ``policy`` and a
``merge``, in the words of the configuration.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from connector.config import Config, parse
from connector.core.model import Movement
from tests.support.ledgers import Known, empty_ledger, look, settle

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
CASES = FIXTURES / "cases"
REPORTED = CASES / "reported"  # accounts as others told them: no builder makes these
Look = Mapping[str, Any]
Case = Callable[[], object]
See = Callable[[sqlite3.Connection, Look, int], object]


class MrrFrom(NamedTuple):
    """What a customer pays a month from a day on."""

    day: date
    customer: str
    currency: str
    amount_minor: int


def name(case: Case) -> str:
    return case.__name__.strip("_").replace("_", "-")


@cache
def place(case: Case) -> Path:
    """A case's folder; a new case's is made by hand, in the group where it belongs."""
    [folder] = CASES.glob(f"*/{name(case)}")
    return folder


def readme(case: Case) -> str:
    said = [line.strip() for line in (case.__doc__ or "").splitlines()]
    return "\n".join(line for line in said if line) + "\n"


def written(seen: Look) -> str:
    """An object a line, so that a difference can be read."""
    lists = []
    for kind, value in seen.items():
        if isinstance(value, list):
            lines = ",\n".join(f"    {json.dumps(thing)}" for thing in value)
            text = f"[\n{lines}\n  ]" if value else "[]"
        else:
            text = json.dumps(value)
        lists.append(f'  "{kind}": {text}')
    return "{\n" + ",\n".join(lists) + "\n}\n"


def files(case: Case, seen_in_order: list[Look]) -> dict[str, str]:
    """What a case's folder holds besides ``expected.txt``."""
    *earlier, last = seen_in_order
    found = {"README": readme(case), "stripe.json": written(last)}
    for number, seen in enumerate(earlier, 1):
        found[f"stripe.{number}.json"] = written(seen)
    return found


def write(case: Case, seen_in_order: list[Look]) -> None:
    folder = place(case)
    for file, text in files(case, seen_in_order).items():
        (folder / file).write_text(text)


def looks(folder: Path) -> list[Look]:
    """The account as it was seen, the last look last."""
    earlier = sorted(folder.glob("stripe.*.json"))
    return [json.loads(p.read_text()) for p in (*earlier, folder / "stripe.json")]


def zone_of(seen: Look) -> str:
    """The zone that a look names; UTC where it names none."""
    return str(seen.get("timezone", "UTC"))


def config_text(seen: Look) -> str:
    """The ``config.toml`` that a look names."""
    toml = [f"timezone = {json.dumps(zone_of(seen))}", "[policy]"]
    policy: Mapping[str, str] = seen.get("policy", {})
    toml += [f"{key} = {json.dumps(value)}" for key, value in policy.items()]
    merge: Mapping[str, str] = seen.get("merge", {})
    pairs = ", ".join(f"{old} = {json.dumps(new)}" for old, new in merge.items())
    toml += ["[customers]", f"merge = {{{pairs}}}"]
    return "\n".join(toml)


def settings(seen: Look) -> Config:
    """The configuration that a look names, every default where it names none."""
    return parse(config_text(seen), {})


def known(seen_in_order: list[Look], see: See = look) -> Known:
    """What the ledger says after every look."""
    found = Known([], [])
    with empty_ledger() as connection:
        for seen in seen_in_order:
            at_s = int(datetime.fromisoformat(seen["seen_at"]).timestamp())
            see(connection, seen, at_s)
            config = settings(seen)
            policy, merge = config.policy, config.merge
            found = settle(connection, at_s, zone_of(seen), policy, merge)
    return found


@cache
def derived(case: Case) -> Known:
    """What the ledger says of a case's files; derived once, and read by many tests."""
    return known(looks(place(case)))


def line(movement: Movement) -> str:
    """``2026-01-15 cus_1 usd expansion +1000 (1000 → 2000) quantity``."""
    parts = movement.components
    causes = [f"{p.cause} {p.amount_minor:+d}" for p in parts]
    if len(parts) == 1:
        causes = [str(parts[0].cause)]
    change = f"({movement.before_minor} → {movement.after_minor})"
    is_observed = any(e.kind == "observed" for p in parts for e in p.evidence)
    return (
        f"{movement.day} {movement.customer} {movement.currency} {movement.kind} "
        f"{movement.amount_minor:+d} {change} {', '.join(causes)}"
        f"{' (observed)' if is_observed else ''}"
    )


def booked(found: Known) -> str:
    """``expected.txt``: the movements, then ``refused <object> <field> <value>``."""
    refused = (f"refused {r.object_id} {r.field} {r.value}" for r in found.refusals)
    text = [*(line(movement) for movement in found.movements), *refused]
    return "".join(f"{row}\n" for row in text)


def mrr_booked(expected: str) -> list[MrrFrom]:
    """The MRR after each movement of an ``expected.txt``, in the order of days."""
    rows = (row.split() for row in expected.splitlines())
    return sorted(
        MrrFrom(date.fromisoformat(row[0]), row[1], row[2], int(row[7].rstrip(")")))
        for row in rows
        if row[0] != "refused"
    )
