"""`stripe-nrr config init`: a configuration to begin with, in the account's own zone."""

import json
import os
import time
from pathlib import Path

import click

from connector.cli.connect import connected
from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.config import parse
from connector.core.errors import ConfigError, ConnectorError, NoTimeZone, UsageFault
from connector.core.language import _, message
from connector.core.messages import spoken
from connector.stripe_api.credentials import has_key

NO_ZONE = '# timezone = "Europe/Berlin"'


@click.group()
def config() -> None:
    """Begin a configuration: `stripe-nrr config init`.

    Every key has a default, so that no command needs a configuration; with one, figures
    are counted and written as your company does. It is read from --config PATH, else
    ./config.toml, else config.toml in your user's configuration folder.
    """


@config.command(short_help="Write config.toml with every key explained.")
@click.option(
    "--timezone",
    metavar="ZONE",
    help="The zone of your months. Default: the Stripe account's own, if a key is set "
    "that may read it.",
)
@output_option
def init(out: Output, timezone: str | None) -> None:
    """Write config.toml with every key explained, in your account's time zone.

    It goes to --config PATH, else into this folder, and never over a file that is there.
    With STRIPE_API_KEY set, one request asks Stripe for the account's time zone; nothing
    else is read. All keys but the zone stand at their defaults.

    \b
    Examples:
      stripe-nrr config init
      stripe-nrr config init --timezone Europe/Berlin
      stripe-nrr --config /etc/stripe-nrr/config.toml config init
    """  # noqa: D301
    file = out.shell.config_path or Path("config.toml")
    zone, why = (
        (_named(timezone), message("as you named it"))
        if timezone is not None
        else _accounts_own(file)
    )
    text = example_configuration()
    if zone is not None:
        assert text.count(NO_ZONE) == 1
        text = text.replace(NO_ZONE, f'timezone = "{zone}"')
    _write_new(file, text)
    out.write(
        text=lambda: _said(file, zone, why),
        json=lambda: {"file": str(file), "timezone": zone, "why": why},
    )


def example_configuration() -> str:
    """The text of config.example.toml: in the wheel, or in the repository."""
    package = Path(__file__).parents[3]
    for folder in (package, package.parent):
        example = folder / "config.example.toml"
        if example.is_file():
            return example.read_text(encoding="utf-8")
    raise ConnectorError(
        "config.example.toml is not part of this installation",
        fix="install again: pip install --force-reinstall stripe-nrr",
    )


def _named(zone: str) -> str:
    try:
        found = parse(f"timezone = {json.dumps(zone)}", {}).zone
    except ConfigError:
        raise UsageFault(
            f"no time zone is called {zone!r}", fix="write it as Europe/Berlin"
        ) from None
    assert found is not None
    return found.key


def _accounts_own(file: Path) -> tuple[str | None, str]:
    """The Stripe account's zone, or None and why it is not known."""
    from connector.pipeline.policy_change import zone_of

    if not has_key(os.environ):
        return None, message("no Stripe key is set")
    _refuse_existing(file)  # before the network is asked
    settings = parse("", os.environ)
    with connected(settings, time.sleep, lambda: False) as stripe:
        try:
            return zone_of(stripe.shown_account()).key, message("the account's own")
        except NoTimeZone as error:
            return None, error.problem


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise UsageFault(
            f"{file} is there already, and stays as it is",
            fix="change it by hand (config.example.toml explains every key), or name "
            "another file: stripe-nrr --config PATH config init",
        )


def _write_new(file: Path, text: str) -> None:
    """All of it or nothing, and never over what somebody else has just made."""
    _refuse_existing(file)
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        _refuse_existing(file)


def _said(file: Path, zone: str | None, why: str) -> str:
    if zone is not None:
        said = _("Wrote {file}: months are those of {zone}, {why}.")
    else:
        said = _(
            'Wrote {file}, without a time zone ({why}): write timezone = "…" into it, or '
            "let the first sync take the account's own."
        )
    return said.format(file=file, zone=zone, why=spoken(why))
