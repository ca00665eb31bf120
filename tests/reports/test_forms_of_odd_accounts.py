"""What accounts that are young, empty or cut off are told, in each form that there is.

A figure that is not there says why; a list without a line says so.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connector.config import parse
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.all_forms import forms_of
from tests.support.commands import Workdir
from tests.support.odd_accounts import shown
from tests.support.simulator import SimulatedAccount
from tests.support.site import Site, site_of
from tests.support.small_ledger import CONFIG, NOW, lay_out_of, plain_account_shown
from tests.support.synced import Unplugged, Wire, walk

ENDS = re.compile(
    r"30[. ](?:Sep|09)[. ]2027"
)  # the first twelve months, from October on
NOBODY = "Nobody paid on"
NONE = "There is no recurring revenue in this ledger."


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """Two who pay since 15 September 2026; one more, and one less, in October."""
    made = Account(instant("2026-09-15T09:00:00Z"), seed=11)
    price = made.add_price(made.add_product("Team"), 1900)
    grows = made.subscribe(made.add_customer("Grows"), [(price, 3)])
    leaves = made.subscribe(made.add_customer("Leaves"), [(price, 10)])
    made.advance(instant("2026-10-12T00:00:00Z"))
    made.subscribe(made.add_customer("Comes"), [(price, 2)])
    made.change_quantity(grows.items[0], 5)
    made.cancel_at_period_end(leaves)
    made.advance(NOW)
    return lay_out_of(tmp_path_factory.mktemp("young"), made.snapshot())


@pytest.fixture(scope="module")
def young_site(young: Workdir) -> Iterator[Site]:
    with site_of(young.folder) as found:
        yield found


DIGEST = ("digest", "--peek", "--since", "2026-01-01")


@pytest.mark.parametrize(
    "words",
    [
        *((*("report", "--format"), form) for form in ("text", "markdown", "html")),
        *(
            (*DIGEST, "--format", form)
            for form in ("text", "markdown", "html", "slack")
        ),
    ],
    ids=" ".join,
)
def test_a_young_account_is_told_when_it_has_a_first_figure(
    young: Workdir, words: tuple[str, ...], tmp_path: Path
) -> None:
    out = ("-o", str(tmp_path / "page.html")) if words[0] == "report" else ()
    ran = young.call(*words, *out)
    assert ran.code == 0, ran.err
    told = (tmp_path / "page.html").read_text("utf-8") if out else ran.out
    assert ENDS.search(told)
    assert "not annual" in told


def test_the_cards_of_a_young_account_have_the_day_in_the_place_of_a_ratio(
    young: Workdir, young_site: Site
) -> None:
    [line] = [
        each
        for each in young.call("report", columns=120).out.splitlines()
        if each.count("from 30 Sep 2027") == 3
    ]
    assert "–" not in line
    page = young_site.page("/").text
    assert "The first twelve months end on 30 Sep 2027" in page
    assert page.count("from 30 Sep 2027") == 3
    assert "38.5% since Oct 2026, not annual" in page
    assert "NRR –" not in page.partition("So far")[0]


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "--window", "..2026-10"),
        ("explain", "--window", "2026-Q3"),
        ("drift",),
    ],
    ids=" ".join,
)
def test_a_window_before_anybody_paid_says_so(
    young: Workdir, words: tuple[str, ...]
) -> None:
    for form in {"text", "markdown"} & {*forms_of(words[0])}:
        assert NOBODY in young.call(*words, "--format", form).out


@pytest.mark.parametrize("path", ["/window", "/window?metric=crr", "/differences"])
def test_so_do_the_pages(young_site: Site, path: str) -> None:
    assert NOBODY in young_site.page(path).text


# --- empty ---


@pytest.mark.parametrize(
    "words",
    [
        *(("report",), ("cohorts",), ("at-risk",), ("churn",), ("drift",)),
        ("explain", "--window", "2026-03"),
    ],
    ids=" ".join,
)
def test_an_empty_account_is_no_empty_text(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    workdir = lay_out_of(tmp_path, shown("empty"))
    for form in {"text", "markdown"} & {*forms_of(words[0])}:
        ran = workdir.call(*words, "--format", form)
        assert NONE in ran.out, (form, ran.out, ran.err)


# --- a first sync that was cut off ---


def test_before_anything_is_known_no_page_says_until_when(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path).configure(CONFIG)
    with closing(open_database(workdir.ledger, create=True)) as connection:
        account = SimulatedAccount(plain_account_shown())
        wire = Wire(account, NOW, page=2, unplug_after=14)
        with pytest.raises(Unplugged):
            walk(connection, wire, parse(CONFIG, {}))
    with site_of(tmp_path) as site:
        page = site.page("/").text
    assert "Known until" not in page
    assert "Nothing known yet" in page
    assert "the first sync has not finished" in page
    assert "recompute" not in page, "which would not bring who is missing"
    assert "recompute" not in workdir.call("movements").out


# --- words that are the same everywhere ---


def test_what_is_no_ratio_is_told_as_none_on_the_page_too(young: Workdir) -> None:
    told = [young.call("drift").out]
    with site_of(young.folder) as site:
        told.append(site.page("/differences?window=month&to=2026-10").text)
        assert "Restatements · Stripe account" in site.page("/restatements").text
    for each in told:
        assert "not a ratio" in each
        assert not re.search(r"\d{4}\.\d%|\d,\d{3}\.\d%", each)


def test_a_year_that_ends_after_the_running_one_is_not_known(young: Workdir) -> None:
    """Nor a month of it, though the year began before what is known."""
    for last, code in (("2026-11", 0), ("2026-12", 2), ("2027-05", 2)):
        ran = young.call("explain", "--window", f"..{last}")
        assert ran.code == code, (last, ran.out)
        assert code == 0 or "the last day that the ledger knows" in ran.err
    with site_of(young.folder) as site:
        assert site.get("/window?window=..2026-12").status_code == 400
        assert site.get("/window.json?window=..2027-05").status_code == 400
