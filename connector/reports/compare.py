"""What other tools may show: another policy's MRR or ledger, other formulas' ratios.

MRR is derived beside the ledger by the same functions as its own; nothing is written.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from connector.config import rules_of
from connector.core.dates import add_months, day_end_s
from connector.core.errors import UsageFault
from connector.core.figures import Retention
from connector.core.model import MrrStep
from connector.core.money import exponent, round_minor
from connector.core.numbers import Unreadable, WrittenNumber, amount_of
from connector.core.policy import Policy, PolicySwitch, Rules, policy_of
from connector.core.presets import preset_texts
from connector.core.windows import Window, WindowKind
from connector.metrics.formulas import in_minor_of
from connector.metrics.published_formulas import FormulaResult, side_by_side
from connector.metrics.what_if import Choice, ExplainedGap, choices, explained, policies
from connector.mrr.companies import Companies
from connector.mrr.history import History
from connector.mrr.timeline import timeline
from connector.reports.figures.asked_books import books_of
from connector.reports.figures.currency_books import CurrencyBooks
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.ledger import TOTAL, Ledger, is_total
from connector.reports.model import WindowRow
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import queries
from connector.store.mirror import dirty_customers
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.histories import histories, in_batches
from connector.store.read_only import scratch_copy

Steps = Sequence[MrrStep]


def mrr_under(
    connection: sqlite3.Connection,
    rules: Rules,
    wanted: Sequence[Choice],
    ends_s: Mapping[str, int],
    *,
    worth: Mapping[str, Fraction],
    now_s: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[Choice, int]:
    """MRR in minor units under ``rules``, as the choice ``()``, and each wanted choice.

    ``worth`` is what a minor unit of each currency that counts is counted as, ``ends_s``
    the first second after the day, in each time zone.
    """
    in_force = rules.settings()
    different = dict(policies(in_force, wanted))
    total = dict.fromkeys([(), *wanted], Fraction(0))
    grouped = Companies(rules.merge)  # of a sum it does not matter who is one company
    everybody = [
        c for c in dirty_customers.everybody(connection) if not grouped.is_another(c)
    ]
    shared = read_catalogue(connection)
    batches = in_batches(connection, {c: grouped.parts(c) for c in everybody})
    known = (each for rows in batches for each in histories(rows, shared))
    for done, history in enumerate(known, 1):
        steps = steps_under(history, rules.policy, different, now_s)
        for choice in total:
            zones = [s.value for s in choice if s.rule == "timezone"]
            end_s = ends_s[zones[0] if zones else in_force["timezone"]]
            policy = tuple(s for s in choice if s.rule != "timezone")
            total[choice] += _mrr_minor(steps[policy], end_s, worth)
        progress(done, len(everybody))
    return {choice: round_minor(amount) for choice, amount in total.items()}


def steps_under(
    history: History, policy: Policy, different: Mapping[Choice, Policy], now_s: int
) -> dict[Choice, Steps]:
    """One customer's steps under each policy.

    A switch that changes no step of a customer's has nothing to work on in its history,
    neither alone nor beside another one: so most customers are derived a few times only.
    """
    found: dict[Choice, Steps] = {(): timeline(history, policy, now_s).steps}
    idle: set[PolicySwitch] = set()
    for choice, other in sorted(different.items(), key=lambda pair: len(pair[0])):
        acting = tuple(switch for switch in choice if switch not in idle)
        if len(acting) < len(choice):
            found[choice] = found[acting]
            continue
        found[choice] = timeline(history, other, now_s).steps
        if len(choice) == 1 and found[choice] == found[()]:
            idle.add(choice[0])
    return found


def _mrr_minor(
    steps: Iterable[MrrStep], end_s: int, worth: Mapping[str, Fraction]
) -> Fraction:
    """What the items are worth at the end of the day."""
    last: dict[tuple[str, str, str], int] = {}
    for step in steps:
        if step.at_s < end_s and step.currency in worth:
            last[step.currency, step.subscription, step.item] = step.mrr_minor
    amounts = (minor * worth[code] for (code, _, _), minor in last.items())
    return sum(amounts, Fraction(0))


class PolicyComparison(NamedTuple):
    """Two figures of one day, and what each choice makes of ours, the closest first.

    ``is_over`` is False of the last day that the ledger knows, which it knows in part.
    """

    currency: str
    on: date
    is_over: bool
    timezone: str
    ours_minor: int
    theirs_minor: int
    booked_minor: int
    found: list[ExplainedGap]

    @property
    def gap_minor(self) -> int:
        return self.theirs_minor - self.ours_minor


def compare_policies(
    ledger: Ledger,
    amount: WrittenNumber,
    day: date,
    asked: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> PolicyComparison:
    """Our MRR of a day and another tool's ``amount``, as written, in whole units.

    Without a currency it is the ledger's main one. ``progress`` is told customers.
    """
    connection, known = ledger.connection, ledger.state()
    ledger.require_known(day, f"--on {day}")
    currency, worth = _worth(ledger, asked, day)
    theirs_minor = _minor(amount, currency)
    wanted = choices(known.rules)
    zones = {s.value for choice in wanted for s in choice if s.rule == "timezone"}
    mrr_minor = mrr_under(
        connection,
        ledger.rules,
        wanted,
        {key: day_end_s(day, ZoneInfo(key)) for key in {*zones, known.timezone}},
        worth=worth,
        now_s=int(ledger.moment.timestamp()),
        progress=progress,
    )
    ours_minor = mrr_minor.pop(())
    booked = (
        flow.amount_minor * unit
        for code, unit in worth.items()
        for flow in queries.flows(connection, code, until=day + timedelta(days=1))
    )
    return PolicyComparison(
        currency=currency,
        on=day,
        is_over=day < known.today,
        timezone=known.timezone,
        ours_minor=ours_minor,
        theirs_minor=theirs_minor,
        booked_minor=round_minor(sum(booked, Fraction(0))),
        found=explained(ours_minor, theirs_minor, mrr_minor),
    )


def _worth(
    ledger: Ledger, asked: str | None, day: date
) -> tuple[str, Mapping[str, Fraction]]:
    """The currency to compare in, and what a minor unit of each that counts is in it."""
    found = ledger.currencies(asked)
    if is_total(asked):
        total = CurrencyTotal(ledger)
        return total.currency, {code: total.factor(code, day) for code in found}
    currency = found[0] if found else (asked or "usd").lower()
    return currency, {currency: Fraction(1)}


def _minor(amount: WrittenNumber, currency: str) -> int:
    decimals = exponent(currency)
    try:
        return int(amount_of(amount, currency, decimals).scaleb(decimals))
    except Unreadable as error:
        raise UsageFault(
            f"--mrr {error}",
            fix=f"write it without marks between thousands, as 1234.50: at most "
            f"{decimals} decimals",
        ) from error


# The same windows under every published formula


class WindowFormulas(NamedTuple):
    """One window of one currency under every formula."""

    currency: str
    window: Window
    kept: Retention
    is_over: bool
    results: list[FormulaResult]
    is_total: bool = False


def formula_drift(
    ledger: Ledger,
    kind: WindowKind = WindowKind.TRAILING_12,
    first: date | None = None,
    last: date | None = None,
    currency: str | None = None,
) -> list[WindowFormulas]:
    """Of the windows of some months; without them, to the last whole month.

    Raises ``UsageFault`` for months that the ledger cannot know.
    """
    if first is not None and last is None:
        ledger.require_known(first, f"--from {first:%Y-%m}")
    end = last or add_months(ledger.state().today, -1)
    start = first or (end if kind is WindowKind.TRAILING_12 else None)
    report = make_report(ledger, ReportRequest(kind, start, end, currency))
    parts = report.currencies if report.total is None else [report.total]
    return [
        _formulas(books, row)
        for part in parts
        for books in [books_of(ledger, TOTAL if part.is_total else part.currency)]
        for row in part.rows
    ]


def _formulas(books: CurrencyBooks, row: WindowRow) -> WindowFormulas:
    """Of all currencies in one, the movements are each customer's in all of them."""
    from connector.metrics.wide.formula_inputs import window_inputs

    window = row.measured.window
    at = books.conversion(window)
    inputs = window_inputs(books.currency, books.columns(window, at), window)
    on = in_minor_of(inputs, window, at.scale)
    told = (on.currency, window, on.kept, row.is_over, side_by_side(on))
    return WindowFormulas(*told, books.is_total)


@contextmanager
def under_preset(
    ledger: Ledger,
    preset: str,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[Ledger]:
    """The ledger as it would be if it counted as a preset does; itself it stays as it is.

    ``progress`` is told customers, as all whom a switch concerns are derived anew.
    """
    from connector.pipeline.policy_change import adopt
    from connector.pipeline.recompute import recompute

    if names := ledger.added().names:
        raise UsageFault(
            f"--policy derives one account's customers anew, and these are {len(names)}",
            fix=f"give one of them: --account {names[0]}",
        )
    texts = {**ledger.rules_in_force, **preset_texts(preset)}
    config = replace(ledger.config, policy=policy_of(texts), zone=ledger.zone)
    rules = rules_of(config, ledger.zone)
    with scratch_copy(ledger.connection) as copy:
        adopt(copy, rules)
        recompute(
            copy, rules, cause="policy change", now=ledger.moment, progress=progress
        )
        yield Ledger(copy, config, ledger.now)
