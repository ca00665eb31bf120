"""`stripe-nrr webhook-setup`: how to make Stripe send webhooks here. Changes nothing."""

import re
import shlex

import click

from connector.cli.output import echo
from connector.core.errors import UsageFault
from connector.core.language import _, marked
from connector.webhooks.payload import WANTED_TYPES


@click.command("webhook-setup")
@click.argument("url")
@click.option(
    "--connected",
    is_flag=True,
    help="For the events of all accounts that are connected to a platform (Connect).",
)
def webhook_setup(url: str, *, connected: bool) -> None:
    """Print how to make a webhook endpoint at Stripe that sends to URL.

    URL is where your reverse proxy passes on to `stripe-nrr serve`, and ends with
    /webhooks/stripe. Prints a command of Stripe's own CLI and the same steps in the
    Dashboard, with exactly the event types that are used and the API version that every
    request is pinned to. It asks and changes nothing at Stripe itself.
    """
    from connector.stripe_api.http import api_version

    if not re.fullmatch(r"https://[^/\s]+/\S*", url):
        raise UsageFault(
            f"{url!r} is not an address that Stripe sends to",
            fix="give the public one with its path, "
            "such as https://nrr.example.com/webhooks/stripe",
        )
    version = api_version()
    words = ["stripe webhook_endpoints create --live", f"--url {shlex.quote(url)}"]
    words += [f"-d {shlex.quote(f'enabled_events[]={kind}')}" for kind in WANTED_TYPES]
    words.append(f"-d {shlex.quote(f'api_version={version}')}")
    if connected:
        words.append("-d connect=true")
    whose = "Connected accounts" if connected else "Your account"
    echo(_("With Stripe's CLI (without --live in your sandbox):"))
    echo("\n" + " \\\n  ".join(words))
    first = _(IN_THE_DASHBOARD)
    echo(first.format(version=version, whose=whose, count=len(WANTED_TYPES)))
    echo("\n".join(f"     {kind}" for kind in WANTED_TYPES))
    echo(_(THEN))


# What stands in quotes is called so in Stripe's Dashboard.
IN_THE_DASHBOARD = marked("""
Or in Stripe's Dashboard:

  1. Workbench, Webhooks, “Add destination”; events from “{whose}”.
  2. API version {version}.
  3. These {count} events:""")
THEN = marked("""  4. Destination type “Webhook endpoint”, with the URL above.

Then copy its signing secret (whsec_…; shown as “secret” by the CLI) into
STRIPE_WEBHOOK_SECRET, or a file that STRIPE_WEBHOOK_SECRET_FILE names, and
start `stripe-nrr serve`.""")
