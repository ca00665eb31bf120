"""A report as other programs read it: plain JSON values, a contract that only grows.

Amounts are whole minor units, ratios have six decimals, None is a ratio without a value.
"""

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any

from msgspec.structs import asdict

from connector.core.figures import RATIOS, Retention, WindowFigures, names_of
from connector.core.invoiced import alarming
from connector.core.kept.months import Closing, Note
from connector.core.model import SegmentValue
from connector.core.money import ratio_number, round_minor
from connector.core.windows import Window
from connector.metrics.benchmarks import Assessment
from connector.metrics.churn import LossSums
from connector.metrics.contributions import Share
from connector.metrics.ratios import WindowMetrics
from connector.render.report.missing import what_is_missing
from connector.reports.ledger_facts import AddedAccounts, LedgerFacts, Missing
from connector.reports.model import (
    CurrencyReport,
    FirstYear,
    JudgedGoal,
    Report,
    WindowRow,
    judged_goals,
    metrics_of,
)

# What is told of the opening's customers, and of a window beside that.
BASE_FIGURES = tuple(name for name in names_of(Retention) if name != "kept")
_MORE = [name for name in names_of(WindowMetrics) if name not in RATIOS]
MORE_AMOUNTS = tuple(name for name in _MORE if name.endswith("_minor"))
MORE_RATIOS = tuple(name for name in _MORE if name not in MORE_AMOUNTS)


def utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def to_json(report: Report) -> dict[str, Any]:
    """The report as other programs read it; amounts in minor units."""
    parts = [_part_json(part, report) for part in report.currencies]
    return {
        "generated_at": utc(report.generated_at),
        "as_of": utc(report.as_of),
        "synced_at": utc(report.synced_at),
        **facts_json(report.facts),
        "account": None if report.account is None else asdict(report.account),
        "timezone": report.timezone,
        "policy": dict(report.policy),
        "amounts": "arr" if report.is_annual else "mrr",
        "by": report.by,
        "only": only_json(report.only),
        "currencies": parts,
        "total": None if report.total is None else _part_json(report.total, report),
        "notes": [note_json(each) for each in report.notes],
        "refused": [asdict(refusal) for refusal in report.refusals],
        "waiting": report.missing.customers + report.missing.behind,
        "recurring_not_counted": [
            {"currency": code, "monthly_minor": minor}
            for code, minor in alarming(report.outside).items()
        ],
    }


def only_json(only: Iterable[SegmentValue]) -> list[dict[str, str]]:
    """The segments whose customers alone figures are of; none: of everybody."""
    return [each._asdict() for each in only]


def facts_json(facts: LedgerFacts) -> dict[str, Any]:
    """Until when figures are known, and what they lack."""
    return {
        "known_until": facts.today.isoformat(),
        "complete": not any(facts.missing),
        "missing": _missing_json(facts.missing),
        **_accounts_json(facts.accounts),
    }


def _accounts_json(accounts: AddedAccounts) -> dict[str, Any]:
    """Whose figures are added up; nothing where they are of one ledger."""
    if not accounts.names:
        return {}
    return {
        "accounts": {
            "names": list(accounts.names),
            "known_until_this_day": list(accounts.behind),
            "rules_differ": list(accounts.unlike),
        }
    }


def _missing_json(missing: Missing) -> dict[str, Any]:
    """By reason, and the same in sentences."""
    return {
        "first_sync_unfinished": missing.is_first_sync,
        "customers_not_derived": missing.customers,
        "customers_behind": missing.behind,
        "objects_refused": missing.refused,
        "customers_refused": missing.refused_customers,
        "reasons": what_is_missing(missing),
    }


def _part_json(part: CurrencyReport, report: Report) -> dict[str, Any]:
    headline = part.headline
    first_year = part.first_year
    return {
        "currency": part.currency,
        "headline": None if headline is None else span_json(headline.measured.window),
        "first_year": None if first_year is None else _first_year_json(first_year),
        "windows": [_window_json(row, report) for row in part.rows],
        "benchmarks": [_assessment_json(each) for each in part.assessments],
        "goals": [_goal_json(each) for each in judged_goals(part, report.goals)],
    }


def _window_json(row: WindowRow, report: Report) -> dict[str, Any]:
    told = {**row_json(row), **figures_json(row.measured, report)}
    if row.reported is not None:
        told["as_reported"] = figures_json(row.reported, report)
    if row.closed_despite is not None:
        told["closed_despite"] = despite_json(row.closed_despite)
    if report.by is not None:
        told["segments"] = [
            {"segment": each.name, **figures_json(each.measured, report)}
            for each in row.segments
        ]
    if row.causes is not None:
        told["causes"] = {
            name: [_share_json(share, report) for share in shares]
            for name, shares in row.causes._asdict().items()
        }
    if row.losses is not None:
        told["losses"] = reasons_json(row.losses)
    return told


def _goal_json(judged: JudgedGoal) -> dict[str, Any]:
    return {
        "metric": judged.metric,
        "goal": ratio_number(judged.goal),
        "is_reached": judged.is_reached,
    }


def note_json(note: Note) -> dict[str, Any]:
    return {
        **note._asdict(),
        "month": f"{note.month:%Y-%m}",
        "noted_at": utc(note.noted_at),
        "withdrawn_at": utc(note.withdrawn_at),
    }


def despite_json(closing: Closing) -> dict[str, Any]:
    """Why a month was closed although something lacked."""
    return {
        "closed_at": utc(closing.closed_at),
        "lacked": list(closing.lacked),
        "reason": closing.despite,
    }


def _first_year_json(found: FirstYear) -> dict[str, Any]:
    kept = {} if found.kept is None else found.kept.ratios
    return {
        "since": found.since.isoformat(),
        "months": found.months,
        "ends_on": found.ends_on.isoformat(),
        **{name: ratio_number(kept.get(name)) for name in RATIOS},
    }


def row_json(row: WindowRow) -> dict[str, Any]:
    """Which window it is, and whether it is over and nothing of it is missing."""
    return {**span_json(row.measured.window), "complete": row.complete}


def currency_json(currency: str, *, is_total: bool) -> dict[str, Any]:
    """Which currency; of all of them in one, that it is so."""
    return {"currency": currency, **({"is_total": True} if is_total else {})}


def span_json(window: Window) -> dict[str, str]:
    return {
        "window": window.kind.value,
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
    }


def figures_json(measured: WindowFigures, report: Report) -> dict[str, Any]:
    """A window's or a segment's figures: waterfall, retention, metrics."""
    return {**measured_json(measured), "metrics": _metrics_json(measured, report)}


def measured_json(measured: WindowFigures) -> dict[str, Any]:
    """What moved, and what was kept."""
    base = measured.retention
    return {
        "waterfall": asdict(measured.waterfall),
        "retention": {
            **{name: getattr(base, name) for name in BASE_FIGURES},
            **{name: ratio_number(ratio) for name, ratio in base.ratios.items()},
        },
    }


def _metrics_json(measured: WindowFigures, report: Report) -> dict[str, Any]:
    found = metrics_of(measured, report)
    renewals = measured.renewals
    return {
        **{name: ratio_number(getattr(found, name)) for name in MORE_RATIOS},
        **{name: _whole(getattr(found, name)) for name in MORE_AMOUNTS},
        "paying_customers": measured.paying,
        "renewals": None if renewals is None else asdict(renewals),
    }


def _whole(amount: Fraction | None) -> int | None:
    return None if amount is None else round_minor(amount)


def _share_json(share: Share, report: Report) -> dict[str, Any]:
    """What one cause came to, and who moved most: signed amounts, the largest first."""
    return {
        "cause": share.cause,
        "amount_minor": share.amount_minor,
        "customers_count": share.number,
        "customers": [
            {"customer": report.names[key][0], "amount_minor": amount_minor}
            for key, amount_minor in share.customers
        ],
    }


def reasons_json(sums: LossSums) -> list[dict[str, Any]]:
    """Every reason, also those that took nothing."""
    return [{**each._asdict(), "reason": each.reason.value} for each in sums.reasons]


def _assessment_json(found: Assessment) -> dict[str, Any]:
    band = found.band
    return {
        "metric": found.metric,
        "ratio": ratio_number(found.ratio),
        "sentence": found.sentence,
        "band": None
        if band is None
        else {
            "from": ratio_number(band.low),
            "to": ratio_number(band.high),
            "says": band.says,
            "source": band.source,
            "year": band.year,
        },
        "typical": [
            {
                "who": each.who,
                "low": ratio_number(each.low),
                "high": ratio_number(each.high),
                "source": each.source,
                "year": each.year,
            }
            for each in found.typical
        ],
    }
