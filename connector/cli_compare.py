"""`stripe-nrr compare`: which policy explains another tool's MRR."""

import sqlite3
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click

from connector import __version__, ledger
from connector.cli import Shell, UsageFault, rules_of
from connector.cli_figures import currencies_asked, known_ledger
from connector.cli_output import (
    DayParam,
    format_option,
    json_text,
    progress_shown,
    write,
)
from connector.columns import Table, to_text
from connector.comparison import mrr_under
from connector.money import exponent, format_minor
from connector.periods import day_end_s
from connector.rules import Rules
from connector.switches import Choice, Explained, choices, closes, explained, policy_of

CLOSEST = 5  # pairs shown that do not explain the gap, but most of it


class AmountParam(click.ParamType[Decimal]):
    name = "AMOUNT"

    def convert(self, value: Any, param: Any, ctx: Any) -> Decimal:
        try:
            amount = Decimal(str(value).replace(",", ""))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount < 0:
            self.fail(f"{value!r} is not an amount; write it as 47002.50", param, ctx)
        return amount


class Compared(NamedTuple):
    """Two figures of one day, and what each choice makes of ours, the closest first."""

    currency: str
    on: date
    timezone: str
    ours_minor: int
    theirs_minor: int
    booked_minor: int
    found: list[Explained]

    @property
    def gap_minor(self) -> int:
        return self.theirs_minor - self.ours_minor


@click.command()
@click.option(
    "--mrr",
    "amount",
    type=AmountParam(),
    required=True,
    help="The other tool's MRR in whole units of the currency: 47002 is $47,002.00.",
)
@click.option(
    "--on", "day", type=DayParam(), required=True, help="The day whose end it is of."
)
@click.option(
    "--currency",
    metavar="CODE",
    help="The currency it is in. Default: the ledger's main one.",
)
@format_option
@click.pass_obj
def compare(
    shell: Shell, amount: Decimal, day: date, currency: str | None, form: str
) -> None:
    """Find the policy that explains another tool's MRR.

    Derives everybody's MRR on that day anew, under each other value of each switch
    (discounts, past due, paused collection, usage, churn date, time zone) and each two of
    them, and lists those that explain the gap. All in memory: the ledger stays as it is.
    What is left of a gap after a matching policy is the other tool's rounding, or its data.

    \b
    Example:
      stripe-nrr compare --mrr 47002 --on 2026-03-31 --currency usd
    """  # noqa: D301
    with shell.reading() as connection:
        compared = _compared(
            connection, shell, amount, day, currency, quiet=form == "json"
        )
    if form == "json":
        write(json_text(_as_json(compared)), None)
    else:
        write(_as_text(compared, shell.config.locale), None)


def _compared(
    connection: sqlite3.Connection,
    shell: Shell,
    amount: Decimal,
    day: date,
    asked: str | None,
    *,
    quiet: bool,
) -> Compared:
    known = known_ledger(connection, shell.config, shell.now())
    if day > known.today:
        raise UsageFault(
            f"--on {day} is after {known.today}, the ledger's last day",
            fix="give a day that the last sync has seen, or run `stripe-nrr sync`",
        )
    found = currencies_asked(connection, asked, None, known.synced_at)
    currency = found[0] if found else (asked or "usd").lower()
    theirs_minor = _minor(amount, currency)
    mrr_minor = _mrr_under(connection, shell, known.rules, day, currency, quiet=quiet)
    ours_minor = mrr_minor.pop(())
    flows = ledger.flows(connection, currency)
    return Compared(
        currency=currency,
        on=day,
        timezone=known.timezone,
        ours_minor=ours_minor,
        theirs_minor=theirs_minor,
        booked_minor=sum(flow.amount_minor for flow in flows if flow.day <= day),
        found=explained(ours_minor, theirs_minor, mrr_minor),
    )


def _mrr_under(
    connection: sqlite3.Connection,
    shell: Shell,
    in_force: Mapping[str, str],
    day: date,
    currency: str,
    *,
    quiet: bool,
) -> dict[Choice, int]:
    """MRR as the rules in force make it, under ``()``, and as every choice does."""
    wanted = choices(in_force)
    zones = {s.value for choice in wanted for s in choice if s.rule == "timezone"}
    zones.add(in_force["timezone"])
    rules = Rules(
        policy=policy_of(in_force),
        zone=ZoneInfo(in_force["timezone"]),
        code_version=__version__,
        merge=rules_of(shell.config).merge,
    )
    with progress_shown(quiet=quiet) as progress:
        return mrr_under(
            connection,
            rules,
            wanted,
            {key: day_end_s(day, ZoneInfo(key)) for key in zones},
            currency=currency,
            now_s=int(shell.moment(connection).timestamp()),
            progress=lambda done, whole: progress("comparing", done, whole),
        )


def _minor(amount: Decimal, currency: str) -> int:
    minor = amount.scaleb(exponent(currency))
    if minor != int(minor):
        raise UsageFault(
            f"--mrr {amount} has more decimals than {currency.upper()}",
            fix=f"give at most {exponent(currency)}",
        )
    return int(minor)


def _as_text(compared: Compared, locale: str) -> str:
    def money(minor: int, *, signed: bool = False) -> str:
        return format_minor(minor, compared.currency, locale, signed=signed)

    gap = compared.gap_minor
    day = f"{compared.on:%d %b %Y}, end of the day in {compared.timezone}"
    parts = [
        f"MRR · {compared.currency.upper()} · {day}\n",
        f"  this ledger     {money(compared.ours_minor):>16}\n",
        f"  the other tool  {money(compared.theirs_minor):>16}\n",
        f"  gap             {money(gap, signed=True):>16}\n",
    ]
    if compared.booked_minor != compared.ours_minor:
        parts.append(
            f"The ledger's movements say {money(compared.booked_minor)}: customers wait "
            "to be derived, see `stripe-nrr recompute`.\n"
        )
    if gap == 0:
        return "".join([*parts, "\nThe same figure: there is nothing to explain.\n"])
    for title, shown in _sections(compared.found, gap).items():
        rows = [
            (
                " and ".join(switch.in_words for switch in each.choice),
                money(each.mrr_minor),
                money(each.effect_minor, signed=True),
                money(each.left_minor, signed=True) if each.left_minor else "–",
            )
            for each in shown
        ]
        heads = (title, "MRR", "Effect", "Left of the gap")
        if rows:
            parts.append("\n" + to_text(Table(heads, rows, frozenset([1, 2, 3]))))
    if not any(closes(each, gap) for each in compared.found):
        parts.append(UNEXPLAINED)
    return "".join(parts)


UNEXPLAINED = """
No switch and no two of them explain the gap: it lies in the data (customers, days,
currencies) or in rules that are no switch here.
"""


def _sections(found: list[Explained], gap_minor: int) -> dict[str, list[Explained]]:
    """What explains the gap and each switch alone; without the former, pairs as well."""
    matching = [each for each in found if closes(each, gap_minor)]
    others = [each for each in found if each not in matching]
    nearer = [each for each in others if abs(each.left_minor) < abs(gap_minor)]
    pairs = [each for each in nearer if len(each.choice) > 1]
    return {
        "Explains the gap": matching,
        "One switch alone": [each for each in others if len(each.choice) == 1],
        "Two, the closest": [] if matching else pairs[:CLOSEST],
    }


def _as_json(compared: Compared) -> dict[str, Any]:
    gap = compared.gap_minor
    return {
        "currency": compared.currency,
        "on": compared.on.isoformat(),
        "timezone": compared.timezone,
        "ours_minor": compared.ours_minor,
        "theirs_minor": compared.theirs_minor,
        "gap_minor": gap,
        "explanations": [
            {
                "switches": {switch.rule: switch.value for switch in each.choice},
                "mrr_minor": each.mrr_minor,
                "effect_minor": each.effect_minor,
                "left_minor": each.left_minor,
                "explains": bool(gap) and closes(each, gap),
            }
            for each in compared.found
        ],
    }
