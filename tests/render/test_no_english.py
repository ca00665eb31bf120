"""No sentence of English is left in German: every command and page, of odd accounts too."""

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from html import escape
from pathlib import Path

import pytest

from connector.store.mirror.catalogue import price_names
from tests.support import odd_accounts
from tests.support.commands import Workdir
from tests.support.english import left_in
from tests.support.folders import CASES as CASE_FOLDERS
from tests.support.loopback import serving
from tests.support.simulator_rules import KINDS
from tests.support.site import site_of
from tests.support.small_ledger import lay_out_of
from tests.support.spoiled import spoiled
from tests.support.synced import settled_demo, shop

CONFIG = 'timezone = "Europe/Berlin"\n[reporting]\nlanguage = "de"\n'
TOLD: Sequence[str] = (
    *("report", "report --by plan --causes", "report --format markdown", "drift"),
    *("cohorts --format markdown", "at-risk", "at-risk --format markdown"),
    *("churn", "churn --by plan", "coverage", "movements", "movements --by interval"),
    *("explain {customer}", "explain {customer} --on 2026-03-01", "doctor --offline"),
    *("explain --window ..2026-10", "explain --window 2026-10 --metric crr"),
    *("compare --mrr 27000 --on 2026-10-31", "digest --peek --since 2026-01-01"),
    *("note 2026-03 7", "note 2026-04 8 --customer {customer}", "note --withdraw 1"),
    *("notes", "close 2026-06 --despite 7", "close 2026-06", "close 2099-01"),
    *("close 2026-06 --withdraw 7", "restatements", "recompute", "check", "inbox"),
    *("backup b.db", "restore b.db", "export --what mirror -o m", "lake m out"),
    *("report --lake out", "forget {customer}", "notes", "sync", "config init"),
    *("webhook-setup https://nrr.example.com/webhooks/stripe", "demo"),
)
PAGES: Sequence[str] = (
    *("/", "/?by=plan", "/window", "/window?metric=crr", "/window?window=2026-10"),
    *("/customers", "/customer/{customer}", "/movements", "/cohorts", "/at-risk"),
    *("/churn", "/coverage", "/restatements", "/differences", "/counts"),
    *("/differences?mrr=1&on=2026-10-31", "/nowhere", "/customers?page=x"),
)


def names(workdir: Workdir) -> set[str]:
    """What its customers, products and prices are called."""
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        sold = price_names(connection).values()
        labels = connection.execute("SELECT label FROM customers")
        return {str(each) for (each,) in labels} | {each.split(",")[0] for each in sold}


def lay_out(folder: Path, name: str) -> Workdir:
    if name != "demo":
        return lay_out_of(folder, odd_accounts.shown(name), CONFIG)
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    return Workdir(folder).configure(CONFIG)


@pytest.fixture(scope="module", params=["demo", *odd_accounts.ODD])
def german(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Workdir:
    return lay_out(tmp_path_factory.mktemp("german"), str(request.param))


def customer_of(workdir: Workdir) -> str:
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        found = connection.execute("SELECT min(id) FROM customers").fetchone()[0]
    return str(found or "cus_none")


def test_commands_and_pages_speak_german(german: Workdir) -> None:
    who, own = customer_of(german), names(german) | STRIPES
    own |= {escape(each) for each in own}
    left: dict[str, list[str]] = {}
    with site_of(german.folder) as site:
        for page in PAGES:
            html = site.get(page.format(customer=who)).text
            left[page] = left_in(shown(html), own)
    for words in TOLD:
        ran = german.call(*words.format(customer=who).split())
        assert ran.code in {0, 1, 2, 3}, (words, ran.err)
        left[words] = left_in(without_log(f"{ran.out}\n{ran.err}"), own)
    assert {words: lines for words, lines in left.items() if lines} == {}


# What Stripe's Dashboard and its CLI are said to call things.
STRIPES = {
    *("stripe webhook_endpoints create", "Add destination", "Your account"),
    "page=x",  # a parameter's name
}


def shown(html: str) -> str:
    """What a reader sees or hears of a page, without commands."""
    plain = re.sub(r"<(style|script|code)\b.*?</\1>", "", html, flags=re.DOTALL)
    labels = re.findall(r'(?:aria-label|placeholder|title)="([^"]*)"', plain)
    return "\n".join([re.sub(r"<[^>]*>", " ", plain), *labels])


def without_log(text: str) -> str:
    return re.sub(r"^time=.*$", "", text, flags=re.MULTILINE)


# What is odd about a case, and the words of Stripe's that name it.
CASES: Sequence[tuple[str, set[str]]] = (
    ("discount-known-by-its-lines", {"discounts"}),
    ("interval-unknown", set()),
    ("tiers-gone", {"tiers", "graduated"}),
    ("licence-fee-of-a-parent-nobody-knows", set()),
    ("every-half-year", set()),
    ("stacked-in-the-order-of-the-invoice", set()),
    ("delete-and-re-add-without-proration", set()),
    ("paused-long-ago", set()),
    ("unpaid-observed", set()),
)


@pytest.mark.parametrize(("name", "own"), CASES, ids=[name for name, _own in CASES])
def test_what_is_odd_is_told_in_german(
    tmp_path: Path, name: str, own: set[str]
) -> None:
    [file] = CASE_FOLDERS.glob(f"*/{name}/stripe.json")
    shown = json.loads(file.read_text())
    objects = {kind: shown[kind] for kind in KINDS if kind in shown}
    german = lay_out_of(tmp_path, objects, CONFIG)
    who = customer_of(german)
    words = ("check", "coverage", "digest --peek", "report --by plan", "close last")
    for line in (*words, f"explain {who}"):
        ran = german.call(*line.split())
        assert left_in(f"{ran.out}\n{ran.err}", own | names(german)) == []


def test_a_sync_of_what_does_not_fit_is_told_in_german(tmp_path: Path) -> None:
    account = shop()
    first, *_others = account.objects["subscriptions"]
    odd = spoiled(account, str(first["id"]), "items.data.0.quantity", "seven")
    with serving(odd) as stripe:
        german = Workdir(tmp_path, stripe.url).configure(CONFIG)
        for line in ("sync", "check", "report", "doctor", "sync --full"):
            ran = german.call(*line.split())
            assert ran.code in {0, 1, 3}
            told = without_log(f"{ran.out}\n{ran.err}")
            assert left_in(told, names(german) | {"quantity"}) == []
            assert not re.search(r"\d\.\d+ s\b", told)
