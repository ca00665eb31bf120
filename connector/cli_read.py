"""The commands that only read the ledger: report, movements, explain."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click

from connector import ledger, mirror
from connector import report as reports
from connector.cli import Shell, UsageFault
from connector.config import Config
from connector.database import setting
from connector.errors import NothingFound
from connector.ledger import Wanted
from connector.model import Kind, Movement, WindowKind
from connector.periods import instant, iso, local_day, parse_moment, parse_month
from connector.retention import measure, windows


class MonthParam(click.ParamType[date]):
    name = "YYYY-MM"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            return value if isinstance(value, date) else parse_month(value)
        except ValueError:
            self.fail(f"{value!r} is not a month; write it as 2026-03", param, ctx)


class DayParam(click.ParamType[date]):
    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as 2026-03-31", param, ctx)


FORMATS = ("text", "json", "csv", "markdown")
out_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE instead of the terminal; it is replaced as a whole.",
)


def write(text: str, output: Path | None) -> None:
    """Print, or replace the file in one step, so that nobody reads half a report."""
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    draft = output.with_name(f".{output.name}.draft")
    draft.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    draft.replace(output)


def rendered(view: Any, output: Path | None) -> None:
    """Print a rich renderable; into a file or a pipe as plain text."""
    from connector.terminal import PIPE_WIDTH, console

    if output is None:
        out = console()
        out.print(view, soft_wrap=not out.is_terminal)
        return
    plain = console(width=PIPE_WIDTH)
    with plain.capture() as captured:
        plain.print(view, soft_wrap=True)
    write(captured.get(), output)


def rules_in_force(connection: sqlite3.Connection, config: Config) -> dict[str, str]:
    """The policy and zone the ledger was derived with; a warning if config differs."""
    wanted = {**config.policy.settings(), "timezone": config.zone.key}
    stored = setting(connection, "rules")
    if stored is None:
        return wanted
    in_force: dict[str, str] = json.loads(stored)
    if in_force != wanted:
        click.echo(
            "warning: the configuration asks for another policy or time zone than the "
            "ledger has\n  fix: run `stripe-nrr recompute`; until then the ledger's "
            "own are shown",
            err=True,
        )
    return in_force


class Asked(NamedTuple):
    """What a report is wanted of; None leaves it to the defaults."""

    kind: WindowKind | None = None
    first: date | None = None
    last: date | None = None
    currency: str | None = None
    as_of: datetime | None = None


def make_report(
    connection: sqlite3.Connection, config: Config, now: datetime, asked: Asked
) -> reports.Report:
    """Measure what was asked for; without a kind, a trailing headline and months."""
    as_of = asked.as_of
    rules = rules_in_force(connection, config)
    past = ledger.policy_as_of(connection, as_of) if as_of is not None else None
    rules = json.loads(past) if past is not None else rules
    zone = ZoneInfo(rules["timezone"])
    synced_us = mirror.last_synced_us(connection)
    synced_at = instant(synced_us // 1_000_000) if synced_us is not None else None
    known_at = min(t for t in (now, as_of, synced_at) if t is not None)
    today = local_day(int(known_at.timestamp()), zone)
    kind = asked.kind
    first, last = reports.default_months(kind, asked.first, asked.last, today)
    if first > last:
        raise UsageFault(
            f"--from {first:%Y-%m} is after --to {last:%Y-%m}",
            fix="give the earlier month with --from; both are included",
        )
    wanted = windows(kind or WindowKind.MONTH, first, last)
    if kind is None:
        wanted = [*windows(WindowKind.TRAILING_12, last, last), *wanted]
    parts = []
    for each in _currencies(connection, asked.currency, as_of, synced_at):
        measured = measure(ledger.flows(connection, each, as_of), wanted)
        lines = [
            reports.Line(measured=m, complete=m.window.end <= today) for m in measured
        ]
        parts.append(reports.CurrencyReport(currency=each, lines=tuple(lines)))
    zone_key = rules.pop("timezone")
    return reports.Report(
        generated_at=now,
        as_of=as_of,
        synced_at=synced_at,
        today=today,
        timezone=zone_key,
        policy=rules,
        currencies=tuple(parts),
        refusals=tuple(mirror.refusals(connection)),
    )


def _currencies(
    connection: sqlite3.Connection,
    asked: str | None,
    as_of: datetime | None,
    synced_at: datetime | None,
) -> list[str]:
    found = ledger.currencies(connection, as_of)
    if not found and synced_at is None:
        raise NothingFound(
            "the ledger is empty: no sync has finished yet", fix="run `stripe-nrr sync`"
        )
    if asked is None:
        return found
    if asked.lower() not in found:
        known = ", ".join(found) or "none"
        raise NothingFound(
            f"there is no currency {asked!r} in the ledger",
            fix=f"choose one of these: {known}",
        )
    return [asked.lower()]


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    help="Only windows of this kind. Default: the trailing-12 headline, then months.",
)
@click.option("--from", "first", type=MonthParam(), help="The first month.")
@click.option("--to", "last", type=MonthParam(), help="The last month, included.")
@click.option("--currency", metavar="CODE", help="Only this currency, such as usd.")
@click.option(
    "--as-of",
    metavar="TIMESTAMP",
    help="Read the ledger as it was at this moment: 2026-04-02T09:00:00Z, local time "
    "without an offset, or a day (its end).",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True
)
@out_option
@click.pass_obj
def report(
    shell: Shell,
    window: str | None,
    first: date | None,
    last: date | None,
    currency: str | None,
    as_of: str | None,
    form: str,
    output: Path | None,
) -> None:
    """NRR, GRR, CRR and the waterfall of MRR, from the ledger alone.

    --from and --to are months, both included; a quarter or year is shown if any of its
    months is, a trailing-12 window belongs to the month it ends with. Without them: the
    twelve months up to the last sync. Contraction and churn are what they took away.

    \b
    Examples:
      stripe-nrr report
      stripe-nrr report --window quarter --from 2025-01 --to 2026-03
      stripe-nrr report --to 2026-03 --as-of 2026-04-02 --format csv -o march.csv
    """  # noqa: D301
    with closing(shell.ledger()) as connection:
        kind = WindowKind(window) if window else None
        asked = Asked(kind, first, last, currency, _moment(as_of, shell.config))
        figures = make_report(connection, shell.config, shell.now(), asked)
    locale = shell.config.locale
    if form == "json":
        write(json.dumps(reports.to_json(figures), indent=2), output)
    elif form == "csv":
        write(reports.to_csv(figures), output)
    elif form == "markdown":
        write(reports.to_markdown(figures, locale), output)
    else:
        show_report(figures, locale, output)


def show_report(figures: reports.Report, locale: str, output: Path | None) -> None:
    from connector.terminal import PIPE_WIDTH, console, report_view

    width = console().width if output is None else PIPE_WIDTH
    rendered(report_view(figures, locale, width), output)
    if not figures.currencies:
        click.echo("There is no recurring revenue in this ledger.")


def _moment(text: str | None, config: Config) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text, config.zone).astimezone(UTC)
    except ValueError:
        raise UsageFault(
            f"--as-of {text!r} is not a moment",
            fix="write it as 2026-04-02T09:00:00Z, or as a day: 2026-04-02",
        ) from None


@click.command()
@click.option(
    "--customer", metavar="ID", help="Only this customer (id or part of name)."
)
@click.option("--from", "first", type=DayParam(), help="The first day.")
@click.option("--to", "last", type=DayParam(), help="The last day, included.")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in Kind]), help="Only this kind."
)
@click.option("--currency", metavar="CODE", help="Only this currency, such as usd.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
)
@out_option
@click.pass_obj
def movements(
    shell: Shell,
    customer: str | None,
    first: date | None,
    last: date | None,
    kind: str | None,
    currency: str | None,
    form: str,
    output: Path | None,
) -> None:
    """List movements: what changed each customer's MRR, and when.

    Days are days of the reporting zone; --from and --to are both included. In JSON and
    CSV contraction and churn are negative. JSON carries each movement's components and
    their evidence.

    \b
    Examples:
      stripe-nrr movements --from 2026-03-01 --to 2026-03-31 --kind churn
      stripe-nrr movements --customer cus_123 --format json
    """  # noqa: D301
    if first is not None and last is not None and first > last:
        raise UsageFault(
            f"--from {first} is after --to {last}",
            fix="give the earlier day with --from",
        )
    with closing(shell.ledger()) as connection:
        wanted = Wanted(
            customer=_customer(connection, customer).id if customer else None,
            start=first,
            end=last + timedelta(days=1) if last else None,
            kind=Kind(kind) if kind else None,
            currency=currency.lower() if currency else None,
        )
        if wanted.currency:
            _currencies(connection, wanted.currency, None, None)
        found = list(ledger.movements(connection, wanted))
        names = ledger.labels(connection)
    if form == "json":
        write(json.dumps({"movements": [as_json(m) for m in found]}, indent=2), output)
    elif form == "csv":
        write(_movements_csv(found), output)
    else:
        from connector.terminal import movements_view

        rendered(movements_view(found, names, shell.config.locale), output)


def as_json(movement: Movement) -> dict[str, Any]:
    """A movement as other programs read it."""
    return {
        "customer": movement.customer,
        "currency": movement.currency,
        "day": movement.day.isoformat(),
        "kind": movement.kind.value,
        "amount_minor": movement.amount_minor,
        "before_minor": movement.before_minor,
        "after_minor": movement.after_minor,
        "components": [
            {
                "cause": part.cause.value,
                "amount_minor": part.amount_minor,
                "subscription": part.subscription,
                "item": part.item,
                "price": part.price,
                "evidence": [
                    {"kind": proof.kind, "id": proof.id, "at": iso(proof.at_s)}
                    for proof in part.evidence
                ],
            }
            for part in movement.components
        ],
    }


def _movements_csv(found: Iterable[Movement]) -> str:
    import csv
    import io

    from connector.money import major

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["day", "customer", "currency", "kind", "amount", "before", "after", "causes"]
    )
    for each in found:
        sums = (each.amount_minor, each.before_minor, each.after_minor)
        amounts = [major(minor, each.currency) for minor in sums]
        causes = " ".join(dict.fromkeys(part.cause for part in each.components))
        row = [each.day, each.customer, each.currency, each.kind, *amounts, causes]
        writer.writerow(row)
    return out.getvalue()


def _customer(connection: sqlite3.Connection, text: str) -> ledger.Account:
    found = ledger.find_customer(connection, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NothingFound(
            f"no customer {text!r} in the ledger",
            fix="give an id as Stripe shows it (cus_…) or a part of the name; "
            "`stripe-nrr movements` lists who is there",
        )
    several = ", ".join(f"{each.label} ({each.id})" for each in found)
    raise NothingFound(
        f"several customers are called like {text!r}", fix=f"give an id: {several}"
    )


@click.command()
@click.argument("customer")
@click.option(
    "--on", "day", type=DayParam(), help="As it stood at the end of this day."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
)
@click.pass_obj
def explain(shell: Shell, customer: str, day: date | None, form: str) -> None:
    """Take one customer's MRR apart: each movement, its sum, and what proves it.

    CUSTOMER is an id (cus_…) or a part of the display name. "was" and "is" are the
    arithmetic of one subscription item on either side of the change; "by" names the
    Stripe objects that show it, and the instant they show it for. `observed` means that
    only a later look at the subscription showed it.

    \b
    Example:
      stripe-nrr explain cus_123 --on 2026-03-31
    """  # noqa: D301
    with closing(shell.ledger()) as connection:
        account = _customer(connection, customer)
        zone = ZoneInfo(rules_in_force(connection, shell.config)["timezone"])
        on = day or local_day(int(shell.now().timestamp()), zone)
        wanted = Wanted(customer=account.id, end=on + timedelta(days=1))
        found = list(ledger.movements(connection, wanted))
        names = ledger.labels(connection)
        prices = mirror.price_names(connection)
        refused = [r for r in mirror.refusals(connection) if r.customer == account.id]
    if form == "json":
        write(json.dumps(_explained(account, on, found), indent=2), None)
        return
    from connector.terminal import explanation

    locale = shell.config.locale
    rendered(explanation(account.id, names, prices, found, on, locale), None)
    for refusal in refused:
        click.echo(
            f"not valued: {refusal.object_id}: {refusal.field} is {refusal.value}"
        )


def _explained(
    account: ledger.Account, on: date, found: Iterable[Movement]
) -> dict[str, Any]:
    """The explanation as JSON: the movements with the arithmetic and what proofs say."""
    explained = []
    mrr: dict[str, int] = {}
    for movement in found:
        mrr[movement.currency] = movement.after_minor
        plain = as_json(movement)
        parts = zip(plain["components"], movement.components, strict=True)
        for shown, part in parts:
            shown |= {"before": part.before, "after": part.after}
            for proof, evidence in zip(shown["evidence"], part.evidence, strict=True):
                proof["said"] = evidence.said
        explained.append(plain)
    return {
        "customer": account.id,
        "label": account.label,
        "on": on.isoformat(),
        "mrr": [{"currency": c, "amount_minor": minor} for c, minor in mrr.items()],
        "movements": explained,
    }
