"""By links alone: from the NRR card to an invoice line, and nowhere that is not there."""

from collections import Counter
from urllib.parse import urlsplit

from tests.support.site import Site, read


def test_from_the_nrr_card_to_an_invoice_line_in_three_clicks(site: Site) -> None:
    [card, *_] = (h for text, h in site.page("/").links if text.startswith("NRR"))
    [customer, *_] = site.page(card).to("/customer/")
    page = site.page(customer)
    assert "Invoice line il_" in page.text
    shown = page.to("https://dashboard.stripe.com/test/invoices/in_")
    assert shown, "the invoice that the line is on"
    assert page.to("https://dashboard.stripe.com/test/subscriptions/sub_")


def test_a_bar_leads_to_its_months_movements_and_a_step_to_its_proof(
    site: Site,
) -> None:
    overview = site.page("/")
    months = [h for h in overview.to("/window?") if "window=2026-0" in h]
    assert len(set(months)) == 9
    churn = [h for h in overview.to("/movements?") if "kind=churn" in h]
    [first, *_] = site.page(churn[0]).to("/customer/")
    fragment = urlsplit(first).fragment
    assert fragment in site.page(first).ids


def test_every_link_leads_to_a_page_and_every_id_is_there_once(site: Site) -> None:
    """Two clicks deep; of pages that differ in what they ask, a few of each."""
    seen: set[str] = set()
    met: Counter[str] = Counter()
    waiting = ["/"]
    while waiting:
        path = waiting.pop(0)
        place = "/".join(urlsplit(path).path.split("/")[:2])
        if path in seen or met[place] >= 12:
            continue
        seen.add(path)
        met[place] += 1
        response = site.get(path)
        assert response.status_code == 200, path
        if not response.headers["content-type"].startswith("text/html"):
            continue
        page = read(response.text)
        assert [n for n in Counter(page.ids).values() if n > 1] == [], path
        waiting += page.inner(path)
    assert len(met) > 15


def test_no_page_asks_anything_of_another_host(site: Site) -> None:
    """But for plain links to Stripe, which are opened by a click alone."""
    for path in ("/", "/window", "/customers", "/at-risk", "/coverage", "/differences"):
        page = site.page(path)
        for tag, name, value in page.attributes:
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
            if name in ("src", "href", "action") and tag != "a":
                assert value.startswith(("/", "data:,")), (tag, value)
