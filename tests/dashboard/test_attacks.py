"""Whoever should not look sees nothing, and whatever is wrong has a page that names it."""

import base64
import hashlib
import re
import secrets
from pathlib import Path

import pytest

from connector.config import ListenAddress
from connector.core.errors import ConfigError
from connector.dashboard.access import BOUND_BY, COOKIE, KEY
from connector.webhooks.admin_access import read_token
from tests.support.commands import Workdir
from tests.support.site import Site, site_of, token_file
from tests.support.small_ledger import GROWS, lay_out

TOKEN = secrets.token_hex(16)
EVERYWHERE = ListenAddress("0.0.0.0", 8481)  # noqa: S104 - never listened on
SECRETS = ("Traceback", 'File "', "sqlite3", "SELECT", "site-packages", "/tmp/")  # noqa: S108


def is_clean(text: str) -> bool:
    return not any(word in text for word in SECRETS)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil", "[::1", "a:b"],
)
def test_a_name_that_is_not_this_machines_is_refused(site: Site, host: str) -> None:
    for path in ("/", "/window.json", "/state", "/enter"):
        response = site.get(path, Host=host)
        assert response.status_code == 403
        assert "MRR" not in response.text


@pytest.mark.parametrize("host", ["localhost:8481", "127.0.0.1", "[::1]:8481"])
def test_this_machines_names_are_let_in(site: Site, host: str) -> None:
    assert site.get("/counts", Host=host).status_code == 200


WRONG = {
    "/?to=2026-13": "to",
    "/?nosuch=1": "nosuch",
    "/?months=7": "months",
    "/?months=12&months=24": "months",
    "/?window=week": "window",
    "/?by=shoe-size": "by",
    "/?segment=x": "segment",
    "/?segment=shoe=9": "segment",
    "/?segment=country=DE&segment=country=US": "segment",
    "/window?segment=country": "segment",
    "/?as-of=soon": "as-of",
    "/window?window=2026-Q5": "window",
    "/window?window=0001": "window",
    "/window?window=..9999-12": "window",
    "/window?metric=logo": "metric",
    "/window?kind=new": "kind",
    "/window?cause=weather": "cause",
    "/window?sort=shoe": "sort",
    "/window?page=0": "page",
    "/window?page=99999": "page",
    "/window?page=%EF%BC%91": "page",
    "/window?q=" + "x" * 300: "q",
    "/window?q=%00": "q",
    "/movements?from=2026-02-30": "from",
    "/movements?from=2026-02-02&to=2026-01-01": "from",
    "/movements?to=9999-12-31": "to",
    "/customer/x?on=yesterday": "on",
    "/differences?mrr=lots": "mrr",
    "/differences?against=often": "against",
    "/at-risk?reason=mood": "reason",
    "/cohorts?by=week": "by",
    "/restatements?since=1": "since",
}


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_parameter_is_named(site: Site, path: str) -> None:
    response = site.get(path)
    assert response.status_code in (400, 404)
    assert is_clean(response.text)
    if "/customer/" not in path:
        assert response.status_code == 400
        assert WRONG[path] in response.text


NOWHERE = [
    "/nosuch",
    "/customer/cus_nosuch",
    "/customer/",
    "/customer/..%2F..%2Fetc%2Fpasswd",
    "/customer/%2e%2e/%2e%2e/etc/passwd",
    "/customer/cus_x%00",
    "/customer/'%20OR%201=1--",
    "/customer/%3Cscript%3Ealert(1)%3C/script%3E",
    "/customer/" + "a" * 2_000,
    "/templates/base.html.j2",
    "/static/../connector/config.py",
    "/overview.xml",
    "/window?currency=zzz",
    "/?by=plan&segment=nobody",
    "/?segment=plan=nobody",
    "/?segment=country=US&segment=plan=nobody&by=product",
    "/window?segment=country=US&segment=plan=nobody",
]


@pytest.mark.parametrize("path", NOWHERE)
def test_what_is_not_there_is_a_page_that_says_so(site: Site, path: str) -> None:
    response = site.get(path)
    assert response.status_code == 404
    assert is_clean(response.text)
    assert "<script>alert" not in response.text
    assert "root:" not in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written_or_asked_across_sites(site: Site, method: str) -> None:
    response = site.ask(method, "/window", {"Origin": "https://evil.example"})
    assert response.status_code == 405
    assert "access-control-allow-origin" not in response.headers


def test_headers_let_nothing_else_happen(site: Site) -> None:
    for path in ("/", "/nosuch", "/window.json", "/window.csv", "/state"):
        headers = site.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "server" not in headers


def test_the_policy_names_the_only_style_and_script_by_their_hashes(site: Site) -> None:
    response = site.get("/")
    for tag in ("style", "script"):
        [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        policy = response.headers["content-security-policy"]
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert len(re.findall(rf"<{tag}\b", response.text)) == 1


HOSTILE = [
    '"><script>alert(1)</script><b a="',
    "{{ 7 * 7 }}{% raw %}",
    "</style></title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202eevil\u2066",
    "=1+1",
    "' OR 1=1 --",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_on_every_page(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, name)
    paths = ("/", "/window?window=..2026-10", "/customers", f"/customer/{GROWS}")
    more = ("/movements?from=2026-01-01", "/at-risk", "/coverage", "/?by=plan")
    with site_of(tmp_path) as site:
        for path in (*paths, *more):
            response = site.get(path)
            assert response.status_code == 200, (path, response.text[:300])
            assert "<script>alert" not in response.text
            assert "<svg onload" not in response.text
            assert 'href="javascript:' not in response.text
            assert "49{%" not in response.text
            assert not set("\u202e\u2066") & set(response.text)
        assert site.get("/customers.csv").text.count("\n=") == 0


# The token


def test_without_the_token_nothing_is_shown(demo_folder: Path) -> None:
    with site_of(demo_folder, TOKEN, EVERYWHERE) as site:
        for path in ("/", "/window", "/window.json", "/state", "/nosuch"):
            response = site.get(path)
            assert response.status_code == 401
            assert "$" not in re.sub(
                r"<(style|script)>.*?</\1>", "", response.text, flags=re.DOTALL
            )
        for guess in ("", "x", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "é", "Bearer"):
            assert site.get("/", Cookie=f"{COOKIE}={guess!a}").status_code == 401
            assert site.get("/", Authorization=f"Bearer {guess!a}").status_code == 401
            body = f"token={guess}".encode()
            assert site.ask("POST", "/enter", {}, body).status_code == 401
            assert site.get(f"/enter/{guess or 'x'}").status_code in (401, 404)
        assert site.ask("POST", "/enter", {}, b"x" * 100_000).status_code == 401


def test_the_one_time_address_lets_one_browser_in_once(demo_folder: Path) -> None:
    with site_of(demo_folder, TOKEN, EVERYWHERE) as site:
        code = site.access.entry_code
        entered = site.get(f"/enter/{code}")
        assert entered.status_code == 303
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        value = cookie.partition(";")[0]
        assert site.get("/counts", Cookie=value).status_code == 200
        assert site.get(f"/enter/{code}").status_code == 401
        assert site.access.entry_code == ""


def test_the_token_itself_lets_in_by_form_and_by_header(demo_folder: Path) -> None:
    with site_of(demo_folder, TOKEN, EVERYWHERE) as site:
        entered = site.ask("POST", "/enter", {}, f"token={TOKEN}".encode())
        assert entered.status_code == 303
        value = entered.headers["set-cookie"].partition(";")[0]
        assert site.get("/counts", Cookie=value).status_code == 200
        assert site.get("/counts", Authorization=f"Bearer {TOKEN}").status_code == 200
    with site_of(demo_folder, "another-token-than-before", EVERYWHERE) as site:
        assert site.get("/counts", Cookie=value).status_code == 401


def test_beyond_this_machine_a_token_file_of_its_owner_is_needed(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="no \\[dashboard\\] token_file"):
        read_token(None, EVERYWHERE, KEY, BOUND_BY)
    path = token_file(tmp_path, TOKEN)
    assert read_token(path, EVERYWHERE, KEY, BOUND_BY) == TOKEN
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others than its owner"):
        read_token(path, EVERYWHERE, KEY, BOUND_BY)


# Many at once, and ledgers that cannot be read


def test_five_hundred_at_once_are_all_answered(demo_folder: Path) -> None:
    paths = ["/", "/window", "/customers", "/at-risk", "/movements", "/?to=2026-13"]
    with site_of(demo_folder) as site:
        found = site.get_all([paths[n % len(paths)] for n in range(500)])
    assert {each.status_code for each in found} == {200, 400}
    assert all(is_clean(each.text) for each in found)
    by_path = {(each.url.path, each.url.query, each.text) for each in found}
    assert len(by_path) == len(paths), "the same question has one answer"


def test_without_a_ledger_the_page_says_so_and_tries_again(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    with site_of(tmp_path) as site:
        response = site.get("/")
        assert response.status_code == 503
        assert 'http-equiv="refresh"' in response.text
        assert "stripe-nrr sync" in response.text
        assert site.get("/window.json").status_code == 503
        (tmp_path / "stripe-nrr.db").write_bytes(b"no ledger at all" * 100)
        assert site.get("/").status_code == 503
        assert not (tmp_path / "stripe-nrr.db-wal").exists()


def test_what_does_not_go_together_is_a_conflict(copied: Workdir) -> None:
    copied.configure(
        'timezone = "Europe/Berlin"\n[reporting]\ncurrency = "eur"\nrates = "none.csv"\n'
    )
    with site_of(copied.folder) as site:
        response = site.get("/")
        assert response.status_code == 409
        assert "reporting.rates" in response.text
