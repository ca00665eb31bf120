"""Accounts that others reported: what Stripe shows, and what is right, worked out by hand.

Each folder of ``fixtures/cases/reported`` is derived in process, and by the commands of a
user from a Stripe on loopback; ``check`` then finds nothing, but where the account holds
an object that is refused, or recurring money that is not counted. Where it has a
``coverage.txt``, that says what was invoiced, by currency and class.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from connector.core.invoiced import InvoiceClass
from connector.store.ledger import coverage
from connector.store.opening import open_database
from tests.support import folders
from tests.support.commands import Workdir
from tests.support.ledgers import known_in
from tests.support.loopback import serving
from tests.support.simulator import SimulatedAccount
from tests.support.told import LISTS

FOLDERS = sorted(path.parent for path in folders.REPORTED.glob("*/expected.txt"))
every_case = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def expected(folder: Path) -> str:
    return (folder / "expected.txt").read_text()


def invoiced(connection: sqlite3.Connection) -> str:
    """``usd counted 4500``: in minor units, of all months."""
    sums: Counter[tuple[str, str]] = Counter()
    for (currency, _, name), minor in coverage.sums(connection).items():
        sums[currency, name] += minor
    rows = sorted(f"{' '.join(key)} {minor}" for key, minor in sums.items() if minor)
    return "".join(f"{row}\n" for row in rows)


@every_case
def test_it_is_derived_as_worked_out_by_hand(folder: Path) -> None:
    assert folders.booked(folders.known(folders.looks(folder))) == expected(folder)


@every_case
def test_a_sync_derives_the_same_and_every_check_is_content(
    folder: Path, tmp_path: Path
) -> None:
    with serving(SimulatedAccount({})) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        codes, said = [], ""
        for seen in folders.looks(folder):
            stripe.account = SimulatedAccount({kind: seen[kind] for kind in LISTS})
            stripe.now_s = datetime.fromisoformat(seen["seen_at"]).timestamp
            workdir.configure(folders.config_text(seen))
            codes = [(synced := workdir.call("sync")).code]
            said = synced.err
        with closing(open_database(workdir.ledger)) as connection:
            assert folders.booked(known_in(connection)) == expected(folder)
            covered = folder / "coverage.txt"
            if covered.exists():
                assert invoiced(connection) == covered.read_text()
        for checked in (workdir.call("check"), workdir.call("check", "--stripe")):
            codes.append(checked.code)
            said += checked.out
    is_refused = "refused " in expected(folder)
    outside = InvoiceClass.NOT_COUNTED.value
    is_outside = covered.exists() and outside in covered.read_text()
    code, found = (3 if each else 0 for each in (is_refused, is_refused or is_outside))
    assert codes == [code, found, found], said
