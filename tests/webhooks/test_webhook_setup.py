"""What `webhook-setup` prints is what the door takes, and nothing is asked of Stripe."""

import re
import shlex
from pathlib import Path

import pytest
import stripe

from connector.stripe_api.events import EVENT_TYPES
from connector.webhooks.payload import WANTED_TYPES
from tests.support.commands import Ran, Workdir

URL = "https://nrr.example.com/webhooks/stripe?a=1&b=2"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """In a folder with no key, and no Stripe that would answer."""
    return Workdir(tmp_path_factory.mktemp("workdir"), key=None).run(
        "webhook-setup", URL
    )


def test_the_command_is_one_that_a_shell_reads(printed: Ran) -> None:
    assert printed.code == 0, printed.err
    _, _, rest = printed.out.partition("\n\n")
    command, _, _ = rest.partition("\n\n")
    words = shlex.split(command)
    assert words[:3] == ["stripe", "webhook_endpoints", "create"]
    assert words[words.index("--url") + 1] == URL
    given = [word.partition("=") for word in words if re.match(r"\w+(\[\])?=", word)]
    kinds = [value for name, _, value in given if name == "enabled_events[]"]
    assert kinds == list(WANTED_TYPES)
    assert [v for name, _, v in given if name == "api_version"] == [stripe.api_version]


def test_the_steps_name_each_type_and_the_version(printed: Ran) -> None:
    _, _, steps = printed.out.partition("Dashboard:")
    assert re.findall(r"^ {5}([a-z_.]+)$", steps, re.MULTILINE) == list(WANTED_TYPES)
    assert f"API version {stripe.api_version}" in steps
    assert f"{len(WANTED_TYPES)} events" in steps


def test_a_platform_s_endpoint_takes_the_events_of_connected_accounts(
    printed: Ran, tmp_path: Path
) -> None:
    ran = Workdir(tmp_path, key=None).run("webhook-setup", URL, "--connected")
    assert ran.code == 0
    assert "-d connect=true" in ran.out
    assert "events from “Connected accounts”" in ran.out
    assert "connect=true" not in printed.out
    assert "events from “Your account”" in printed.out


def test_whatever_a_sync_reads_of_events_is_asked_for() -> None:
    assert set(EVENT_TYPES) < set(WANTED_TYPES)
    assert len(set(WANTED_TYPES)) == len(WANTED_TYPES)


@pytest.mark.parametrize(
    "url", ["http://a.example/x", "a.example/x", "https://a.example", "https:///x"]
)
def test_only_an_address_that_stripe_sends_to_is_taken(
    url: str, tmp_path: Path
) -> None:
    ran = Workdir(tmp_path, key=None).run("webhook-setup", url)
    assert ran.code == 2
    assert "/webhooks/stripe" in ran.err
