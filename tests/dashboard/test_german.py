"""The dashboard in German: the same pages, no English left on them."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Workdir
from tests.support.site import Site, site_of

PAGES = (
    *("/", "/window", "/window?metric=crr", "/customers", "/movements", "/cohorts"),
    *("/at-risk", "/churn", "/coverage", "/restatements", "/differences", "/counts"),
)
# Words that no page says in German; names and Stripe's own words have others.
ENGLISH = re.compile(
    r"\b(the|and|customers?|opening|closing|churn|contraction|since|months?|paid|paying"
    r"|is|are|of|what|with|left|day|change|reason|newest)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def german(
    demo_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("german")
    shutil.copy(demo_folder / "stripe-nrr.db", folder / "stripe-nrr.db")
    text = 'timezone = "Europe/Berlin"\n[reporting]\nlanguage = "de"\n'
    (folder / "config.toml").write_text(text)
    with site_of(folder) as found:
        yield found


def shown(html: str) -> str:
    """What a reader sees or hears, without commands."""
    plain = re.sub(r"<(style|script|code)\b.*?</\1>", "", html, flags=re.DOTALL)
    labels = " ".join(re.findall(r'(?:aria-label|placeholder|title)="([^"]*)"', plain))
    return re.sub(r"Improved Revenue Churn|<[^>]*>", " ", plain) + labels


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_in_german(german: Site, path: str) -> None:
    response = german.get(path)
    assert response.status_code == 200, response.text[:2000]
    assert '<html lang="de">' in response.text
    left = {found[0] for found in ENGLISH.finditer(shown(response.text))}
    assert left == set()


def test_figures_for_programs_speak_no_language(german: Site, site: Site) -> None:
    for path in ("/window.json", "/at-risk.csv", "/churn.json"):
        assert german.get(path).text == site.get(path).text


def test_why_a_closed_month_changed_is_told_as_by_the_command(copied: Workdir) -> None:
    """In English and in German, with the cause of the run; no amount in minor units."""
    assert copied.call("close", "2026-10").code == 0
    rules = 'timezone = "Europe/Berlin"\n[policy]\nonce_coupon = "subtracted"\n'
    copied.configure(rules)
    assert copied.call("recompute").code == 0
    with site_of(copied.folder) as site:
        english = shown(site.get("/restatements").text)
    assert "UTC: policy change" in english
    copied.configure(f'{rules}[reporting]\nlanguage = "de"\n')
    with site_of(copied.folder) as site:
        german = shown(site.get("/restatements").text)
    assert "UTC: Änderung des Regelwerks" in german
    for page, because in ((english, "start (subscription"), (german, "Beginn (")):
        assert because in page
        assert not re.search(r"now from|policy change: ", page)
    assert "policy change" not in german
