"""Figures of some windows → one plain value → text's rows, JSON, CSV, Markdown.

Every form of the report is made from the same ``Report``; nothing is worked out twice.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from connector.model import Refusal, Window, WindowKind
from connector.money import format_minor, format_ratio, major
from connector.periods import add_months
from connector.retention import Measured

SIX_DECIMALS = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One window's figures. ``complete`` is False while the ledger has not seen its end.

    ``reported`` are those its month was closed with, where they are others by now.
    """

    measured: Measured
    complete: bool
    reported: Measured | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyReport:
    """``is_total`` adds up all currencies in ``currency``."""

    currency: str
    lines: tuple[Line, ...]
    is_total: bool = False

    @property
    def title(self) -> str:
        code = self.currency.upper()
        return f"all currencies in {code}" if self.is_total else code


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``as_of`` None reads the ledger as it is now. ``today`` is its last known day."""

    generated_at: datetime
    as_of: datetime | None
    synced_at: datetime | None
    today: date
    timezone: str
    policy: Mapping[str, str]
    currencies: tuple[CurrencyReport, ...]
    refusals: tuple[Refusal, ...]
    total: CurrencyReport | None = None  # all of them, in the reporting currency

    @property
    def parts(self) -> tuple[CurrencyReport, ...]:
        """Everything there is to show: the total first."""
        return (*((self.total,) if self.total is not None else ()), *self.currencies)


def default_months(
    kind: WindowKind | None, first: date | None, last: date | None, today: date
) -> tuple[date, date]:
    """The first and last month a report covers where it was not told.

    Twelve months up to today's; of quarters the last eight, of years the last five.
    """
    end = last or today.replace(day=1)
    span = {WindowKind.QUARTER: 24, WindowKind.YEAR: 60}.get(
        kind or WindowKind.MONTH, 12
    )
    return first or add_months(end, 1 - span), end


def ratio_number(ratio: Fraction | None) -> float | None:
    """A ratio as JSON carries it: six decimals; None where it has no value."""
    if ratio is None:
        return None
    exact = Decimal(ratio.numerator) / Decimal(ratio.denominator)
    return float(exact.quantize(SIX_DECIMALS, rounding=ROUND_HALF_EVEN))


def utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def to_json(report: Report) -> dict[str, Any]:
    """The report as other programs read it; amounts in minor units."""
    return {
        "generated_at": utc(report.generated_at),
        "as_of": utc(report.as_of),
        "synced_at": utc(report.synced_at),
        "timezone": report.timezone,
        "policy": dict(report.policy),
        "currencies": [_part_json(part) for part in report.currencies],
        "total": None if report.total is None else _part_json(report.total),
        "refused": [asdict(refusal) for refusal in report.refusals],
    }


def _part_json(part: CurrencyReport) -> dict[str, Any]:
    windows = [_window_json(line) for line in part.lines]
    return {"currency": part.currency, "windows": windows}


def _window_json(line: Line) -> dict[str, Any]:
    figures = measured_json(line.measured)
    window = {name: figures.pop(name) for name in ("window", "from", "to")}
    told = {**window, "complete": line.complete, **figures}
    if line.reported is not None:
        told["as_reported"] = measured_json(line.reported)
    return told


def measured_json(measured: Measured) -> dict[str, Any]:
    """A window's figures as other programs read them."""
    window, waterfall, kept = measured
    return {
        "window": window.kind.value,
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
        "waterfall": asdict(waterfall),
        "retention": {
            "customers": kept.customers,
            "opening_minor": kept.opening_minor,
            "expansion_minor": kept.expansion_minor,
            "contraction_minor": kept.contraction_minor,
            "churn_minor": kept.churn_minor,
            "closing_minor": kept.closing_minor,
            "nrr": ratio_number(kept.nrr),
            "grr": ratio_number(kept.grr),
            "crr": ratio_number(kept.crr),
        },
    }


def to_csv(report: Report) -> str:
    """A row a window; amounts in whole units of the currency, ratios as numbers.

    Columns of the waterfall are everybody's, ``base_*`` those of the opening customers.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for part in report.parts:
        for line in part.lines:
            writer.writerow(_csv_row(part, line))
            if line.reported is not None:
                writer.writerow(_csv_row(part, as_reported(line), " as reported"))
    return out.getvalue()


_CSV_HEAD = [
    *("currency", "window", "from", "to", "complete"),
    *("opening", "new", "reactivation", "expansion", "contraction", "churn"),
    *("fx", "closing"),
    *("base_customers", "base_opening", "base_expansion", "base_contraction"),
    *("base_churn", "base_closing", "nrr", "grr", "crr"),
]


def _csv_row(part: CurrencyReport, line: Line, which: str = "") -> list[object]:
    currency = part.currency
    figures = _window_json(line)
    base = figures["retention"]
    amounts = list(figures["waterfall"].values())
    base_amounts = [value for key, value in base.items() if key.endswith("_minor")]
    return [
        f"total {currency}" if part.is_total else f"{currency}{which}",
        figures["window"],
        figures["from"],
        figures["to"],
        str(line.complete).lower(),
        *(major(amount, currency) for amount in amounts),
        base["customers"],
        *(major(amount, currency) for amount in base_amounts),
        *("" if base[name] is None else f"{base[name]:.6f}" for name in _RATIOS),
    ]


_RATIOS = ("nrr", "grr", "crr")
HEADINGS = (
    "Opening",
    "New",
    "Reactivation",
    "Expansion",
    "Contraction",
    "Churn",
    "FX",
    "Closing",
    "NRR",
    "GRR",
    "CRR",
)


def headings(part: CurrencyReport) -> list[str]:
    """The columns of ``cells``: a single currency has no exchange rates."""
    return [name for name in HEADINGS if part.is_total or name != "FX"]


def cells(
    line: Line, part: CurrencyReport, locale: str, *, whole: bool = False
) -> list[str]:
    """One window's figures as texts, in the order of ``headings``.

    What takes away is written with a minus. ``whole`` leaves out the cents.
    """
    currency = part.currency
    flow, kept = line.measured.waterfall, line.measured.retention

    def money(amount_minor: int) -> str:
        if amount_minor == 0:
            return "–"
        return format_minor(amount_minor, currency, locale, whole=whole)

    return [
        money(flow.opening_minor),
        money(flow.new_minor),
        money(flow.reactivation_minor),
        money(flow.expansion_minor),
        money(-flow.contraction_minor),
        money(-flow.churn_minor),
        *([money(flow.fx_minor)] if part.is_total else []),
        money(flow.closing_minor),
        *(format_ratio(ratio) for ratio in (kept.nrr, kept.grr, kept.crr)),
    ]


def name_of(window: Window) -> str:
    """``Mar 2026``, ``Q1 2026``, ``2026``, ``12 months to Mar 2026``."""
    last = window.end - timedelta(days=1)
    match window.kind:
        case WindowKind.MONTH:
            return f"{last:%b %Y}"
        case WindowKind.QUARTER:
            return f"Q{(window.start.month + 2) // 3} {window.start.year}"
        case WindowKind.YEAR:
            return str(window.start.year)
        case WindowKind.TRAILING_12:
            return f"12 months to {last:%b %Y}"


def policy_sentence(policy: Mapping[str, str]) -> str:
    """What counts, in words a reader of the report can check."""
    days = policy["past_due"].partition(":")[2]
    overdue = f"counts for {days} days" if days else "counts"
    return (
        f"past due {overdue}; paused collection {_words(policy['pause_collection'])}; "
        f"repeating coupons {policy['repeating_coupon']}; "
        f"once coupons {policy['once_coupon']}; "
        f"metered prices {policy['metered']}; "
        f"churn when the subscription "
        f"{'ends' if policy['churn'] == 'ended' else 'is cancelled'}; "
        "trials, taxes, one-off items and refunds never count"
    )


def _words(value: str) -> str:
    return {"excluded": "does not count"}.get(value, value)


def to_markdown(report: Report, locale: str) -> str:
    """A table a currency, and the footnotes."""
    parts = []
    for part in report.parts:
        parts.append(f"## Recurring revenue, {part.title}\n")
        heads = ("", *headings(part))
        parts.append(_row(heads))
        parts.append(_row(["---"] + ["---:"] * (len(heads) - 1)))
        parts += [
            _row([name, *cells(line, part, locale)]) for name, line in shown(part.lines)
        ]
        parts.append("")
    parts += [f"{note}  " for note in footnotes(report)]
    return "\n".join(parts) + "\n"


def shown(lines: Sequence[Line]) -> list[tuple[str, Line]]:
    """Each window's label and figures; below a restated one, those it was closed with."""
    found = []
    for line in lines:
        found.append((label(line), line))
        if line.reported is not None:
            found.append((AS_REPORTED, as_reported(line)))
    return found


AS_REPORTED = "  as reported"


def as_reported(line: Line) -> Line:
    assert line.reported is not None
    return Line(measured=line.reported, complete=True)


def label(line: Line) -> str:
    return name_of(line.measured.window) + ("" if line.complete else " *")


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


FORMULA = (
    "NRR = what the customers of the opening pay at the closing ÷ what they paid at the "
    "opening; GRR the same with growth left out; CRR their number."
)


FX = (
    "All currencies: one rate, of a window's last day, converts both of its ends; what "
    "the opening was worth at its own day's rate, and is not any more, is fx."
)


RESTATED = (
    "As reported: when the month was closed; `stripe-nrr restatements` lists what was "
    "booked since."
)


def footnotes(report: Report) -> list[str]:
    """What a reader must know to trust the figures."""
    notes = []
    if any(not line.complete for part in report.parts for line in part.lines):
        notes.append(f"* not over yet: figures up to {report.today:%d %b %Y}.")
    if any(line.reported for part in report.parts for line in part.lines):
        notes.append(RESTATED)
    notes += [
        FORMULA,
        f"What counts: {policy_sentence(report.policy)}.",
    ]
    if report.total is not None:
        notes.append(FX)
    if report.refusals:
        customers = len({refusal.customer for refusal in report.refusals})
        notes.append(
            f"Not valued: {len(report.refusals)} objects of {customers} customers are "
            "missing from these figures; `stripe-nrr check` names them."
        )
    return notes
