"""The lines of cron that docs/running.md gives, as processes, around the 1st of a month."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.billing.state import Json
from tests.support.commands import Ran
from tests.support.folders import ROOT
from tests.support.loopback import Served, delayed, on, serving
from tests.support.running_at import ClockedWorkdir
from tests.support.served import FOREVER_S, until
from tests.support.simulator import SimulatedAccount

BEGAN = instant("2026-10-20T12:00:00Z")
ENTERED = instant("2026-11-03T05:00:00Z")
CONFIG = 'timezone = "UTC"\n'


@cache
def shown(until: str, *, is_entered: bool) -> dict[str, list[Json]]:
    """Two who pay on the 3rd of each month, $9.00 and $15.00.

    On 3 November somebody enters a contract of $45.00 that began on 20 October, backdated,
    so that its first invoice bills from then on.
    """
    made = Account(instant("2026-01-03T09:00:00Z"), seed=11)
    small = made.add_price(made.add_product("Small"), 900)
    team = made.add_price(made.add_product("Team"), 1500)
    made.subscribe(made.add_customer("Stays"), small)
    made.subscribe(made.add_customer("Stays too"), team)
    made.advance(BEGAN)
    if is_entered:
        made.subscribe(made.add_customer("Signed late"), [(team, 3)])
    made.advance(instant(until))
    return {
        kind: [_entered(thing) for thing in things]
        for kind, things in made.snapshot().items()
    }


def _entered(thing: Json) -> Json:
    """What was made after the contract's beginning was made when it was entered."""
    is_late = thing["created"] >= BEGAN if "created" in thing else False
    return {**thing, "created": max(thing["created"], ENTERED)} if is_late else thing


@pytest.fixture
def stripe() -> Iterator[Served]:
    with serving(
        SimulatedAccount(shown("2026-11-01T06:00:00Z", is_entered=False))
    ) as it:
        yield it


@pytest.fixture
def workdir(stripe: Served, tmp_path: Path) -> ClockedWorkdir:
    made = ClockedWorkdir(tmp_path, stripe.url)
    made.configure(CONFIG)
    return made


def lines_of_cron() -> list[list[str]]:
    """What the document has cron run: sync, close, page."""
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```cron\n(.*?)```", text, re.DOTALL)
    return [line.split("bin/stripe-nrr ")[1].split() for line in block.splitlines()]


def run(workdir: ClockedWorkdir, stripe: Served, at: str, line: int) -> Ran:
    stripe.now_s = lambda: instant(at)
    return replace(workdir, at=at).run(*lines_of_cron()[line])


SYNC, CLOSE, PAGE = range(3)


def figures(workdir: ClockedWorkdir, at: str) -> Any:
    """October's window in the report, by itself."""
    words = ("report", "--window", "month", "--from", "2026-10", "--to", "2026-10")
    ran = replace(workdir, at=at).run(*words, "--format", "json")
    assert ran.code == 0, ran.err
    [window] = ran.json["currencies"][0]["windows"]
    return window


def test_around_the_first_of_a_month(workdir: ClockedWorkdir, stripe: Served) -> None:
    kill_while_it_walks(workdir, stripe, "2026-11-01T06:15:00Z")
    refused = run(workdir, stripe, "2026-11-01T06:30:00Z", CLOSE)
    assert refused.code == 3
    assert "no sync has finished yet" in refused.err
    assert "fix: run `stripe-nrr sync`" in refused.err

    assert run(workdir, stripe, "2026-11-01T06:45:00Z", SYNC).code == 0
    early = run(workdir, stripe, "2026-11-01T06:50:00Z", CLOSE)
    assert early.code == 1
    assert "2026-10 cannot be closed before 2026-11-02 00:00 (UTC)" in early.err
    assert run(workdir, stripe, "2026-11-01T06:55:00Z", PAGE).code == 0
    assert "12 months to Oct 2026" in (workdir.folder / "nrr.html").read_text("utf-8")

    stale = run(workdir, stripe, "2026-11-02T06:10:00Z", CLOSE)
    assert stale.code == 1, "the clock alone is not enough: the ledger must know it"
    assert "the ledger knows all until 2026-11-01 06:4" in stale.err
    assert run(workdir, stripe, "2026-11-02T06:15:00Z", SYNC).code == 0
    closed = run(workdir, stripe, "2026-11-02T06:30:00Z", CLOSE)
    assert closed.code == 0, closed.err
    assert closed.out.startswith("Oct 2026 is closed.")
    assert "$24.00" in closed.out
    assert run(workdir, stripe, "2026-11-02T06:40:00Z", PAGE).code == 0
    assert "restated since" not in (workdir.folder / "nrr.html").read_text("utf-8")

    late = shown("2026-11-03T10:00:00Z", is_entered=True)
    stripe.account = SimulatedAccount(late)
    assert run(workdir, stripe, "2026-11-03T10:15:00Z", SYNC).code == 0
    again = run(workdir, stripe, "2026-11-04T06:30:00Z", CLOSE)
    assert again.code == 0
    assert again.out.startswith("Oct 2026 was already closed, and stays as it is.")
    october = figures(workdir, "2026-11-04T06:35:00Z")
    assert october["waterfall"]["closing_minor"] == 900 + 1500 + 4500
    assert october["as_reported"]["waterfall"]["closing_minor"] == 900 + 1500
    told = replace(workdir, at="2026-11-04T06:36:00Z").run("restatements")
    assert "new +$45.00" in told.out
    assert run(workdir, stripe, "2026-11-04T06:40:00Z", PAGE).code == 0
    assert "restated since" in (workdir.folder / "nrr.html").read_text("utf-8")
    checked = replace(workdir, at="2026-11-04T07:00:00Z").run("check")
    assert checked.code == 0, checked.out


def kill_while_it_walks(workdir: ClockedWorkdir, stripe: Served, at: str) -> None:
    """A sync that dies while it waits for invoices."""
    stripe.now_s = lambda: instant(at)
    stripe.spoil(on("/v1/invoices", delayed(FOREVER_S)))
    process = replace(workdir, at=at).start(*lines_of_cron()[SYNC])
    until(lambda: any(each.path == "/v1/invoices" for each in stripe.requests))
    process.kill()
    process.communicate()
    stripe.spoil(())
