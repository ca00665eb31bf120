"""What a reader must know to trust a report's figures, in sentences."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from fractions import Fraction

from connector.core.kept.months import Closing, Note
from connector.core.language import _, day_text, grouped, marked, month_text, ngettext
from connector.core.messages import spoken
from connector.core.money import format_count, format_ratio
from connector.core.policy import POLICY_RULES
from connector.reports.model import (
    DESPITE,
    CurrencyReport,
    JudgedGoal,
    Report,
    WindowRow,
    judged_goals,
)

FORMULA = marked(
    "NRR = what the customers of the opening pay at the closing ÷ what "
    "they paid at the opening; GRR the same with growth left out; CRR "
    "their number."
)

FX = marked(
    "All currencies: one rate, of a window's last day, converts both of "
    "its ends; what the opening was worth at its own day's rate, and is "
    "not any more, is FX."
)

RESTATED = marked(
    "As reported: when the month was closed; `stripe-nrr restatements` "
    "lists what was booked since."
)

MORE = marked(
    "Logo churn = 1 − CRR, gross churn = 1 − GRR, net churn = 1 − NRR; "
    "renewed = of the subscriptions with a term that ended in the window, "
    "those that went on, by number and by MRR; quick ratio = what was "
    "gained ÷ what was lost; ARPA = closing ÷ paying customers; LTV = ARPA "
    "over the window ÷ its logo churn."
)

SEGMENTS = marked(
    "A customer belongs to the segment it had at a window's opening, or "
    "with which it came: moving between two is no churn, and segments add "
    "up to the total."
)

ONLY = marked(
    "A closing keeps the figures of all customers only, so nothing of some is marked as "
    "reported; goals and cohorts too are told of all."
)

OF_COMPANIES = marked(
    "Benchmarks are published of whole companies: of some customers they are a yardstick "
    "and no more."
)

CAUSES = marked(
    "Causes: the net change of each customer of the opening who still "
    "pays; they add up to the expansion and contraction behind NRR."
)


def and_more(more: int) -> Iterator[str]:
    """Below a list of those that are read."""
    if more > 0:
        said = _("And {more} more; `--format csv` lists them all.")
        yield said.format(more=grouped(more))


def footnotes(report: Report) -> list[str]:
    """What a reader must know to trust the figures."""
    notes = []
    if any(not row.is_over for part in report.parts for row in part.rows):
        notes.append(
            _(
                "* not over: so far, to {today}; not to be compared with whole windows."
            ).format(today=day_text(report.today))
        )
    if any(row.reported for part in report.parts for row in part.rows):
        notes.append(_(RESTATED))
    notes += despite_notes([row for part in report.parts for row in part.rows])
    notes += [
        _(FORMULA),
        _("What counts: {policy}.").format(policy=policy_sentence(report.policy)),
        _(MORE),
    ]
    if report.by is not None or report.only:
        notes.append(_(SEGMENTS))
    if report.only:
        judged = any(part.assessments for part in report.parts)
        notes += [_(ONLY), *([_(OF_COMPANIES)] if judged else [])]
    if any(row.causes for part in report.parts for row in part.rows):
        notes.append(_(CAUSES))
    ends = [
        row.losses.unread for part in report.parts for row in part.rows if row.losses
    ]
    if any(ends):
        notes.append(unread(max(ends)))
    if report.total is not None:
        notes.append(_(FX))
    return notes


def despite_notes(rows: Iterable[WindowRow]) -> list[str]:
    """Of each month among them that was closed although something lacked, and why."""
    found = {x.id: x for row in rows if (x := row.closed_despite) is not None}
    return [f"{DESPITE.strip()} {despite_sentence(each)}" for each in found.values()]


def despite_sentence(closing: Closing) -> str:
    return _(
        "{month} was closed on {closed} although something was missing: "
        "{what}. The reason given: {despite}"
    ).format(
        month=month_text(closing.month),
        closed=day_text(closing.closed_at),
        what=spoken("; ".join(closing.lacked)),
        despite=closing.despite,
    )


def asides(part: CurrencyReport, report: Report) -> list[str]:
    """What is told beside a headline: when a first year is over, and what is running."""
    told = (first_year_sentence(part), _so_far_sentence(part, report))
    return [*filter(None, told), *goal_sentences(part, report.goals)]


def headline_ratio(part: CurrencyReport, ratio: Fraction | None) -> str:
    """In the place of one that no window has yet: from which day on one has it."""
    if ratio is not None or part.first_year is None:
        return format_ratio(ratio)
    return _("from {day}").format(day=day_text(part.first_year.ends_on))


def nothing_to_retain(start: date) -> str:
    """Of a window that begins before anybody paid."""
    return _(
        "Nobody paid on {day}, so there is nothing to retain and no ratio."
    ).format(day=day_text(start))


def goal_sentences(part: CurrencyReport, goals: Mapping[str, Fraction]) -> list[str]:
    """A headline's ratios beside their goals; none of what is running or incomplete."""
    return [_goal_sentence(each) for each in judged_goals(part, goals)]


def _goal_sentence(judged: JudgedGoal) -> str:
    if judged.ratio == judged.goal:
        said = _("{name} {ratio} is the goal of {goal}.")
    elif judged.is_reached:
        said = _("{name} {ratio} is above the goal of {goal}.")
    else:
        said = _("{name} {ratio} is below the goal of {goal}.")
    ratio, goal = format_ratio(judged.ratio), format_ratio(judged.goal)
    return said.format(name=judged.metric.upper(), ratio=ratio, goal=goal)


def note_line(note: Note) -> str:
    """What was noted, at its month."""
    whose = f" ({note.customer})" if note.customer else ""
    link = f" {note.url}" if note.url else ""
    return f"{month_text(note.month)}{whose}: {note.text}{link}"


def _so_far_sentence(part: CurrencyReport, report: Report) -> str:
    """The running trailing window, as what it is; "" where it is not told."""
    if part.so_far is None:
        return ""
    kept = part.so_far.measured.retention
    told = ", ".join(f"{n.upper()} {format_ratio(r)}" for n, r in kept.ratios.items())
    end = part.so_far.measured.window.end - timedelta(days=1)
    return _(
        "So far, in the 12 months to {end} (known to {today}): {told}. Not "
        "over, so not to be compared."
    ).format(end=month_text(end), today=day_text(report.today), told=told)


def first_year_sentence(part: CurrencyReport) -> str:
    """When the first twelve months end, and what is kept since; "" after them."""
    young = part.first_year
    if young is None:
        return ""
    when = _("The first twelve months end on {ends}.").format(
        ends=day_text(young.ends_on)
    )
    if young.kept is None or young.kept.nrr is None:
        return when
    told = ", ".join(
        f"{n.upper()} {format_ratio(r)}" for n, r in young.kept.ratios.items()
    )
    span = format_count(young.months, "month")
    return _("{when} In the {span} since {since} (not annual): {told}.").format(
        when=when, span=span, since=month_text(young.since), told=told
    )


_NEVER = marked("other trials, taxes, one-off items and refunds never count")


def policy_sentence(policy: Mapping[str, str]) -> str:
    """What counts, in words a reader of the report can check."""
    said = [rule.sentence(rule.of(policy)) for rule in POLICY_RULES.values()]
    shape = [_(_FLAT)] if policy.get("source_shape") == "flat" else []
    return "; ".join([*said, _(_NEVER), *shape])


_FLAT = marked(
    "read from flat tables of today's state, in which discounts, taxes and pauses of the "
    "past are missing"
)


def unread(ends: int) -> str:
    """Of so many ends the mirror is older than what it keeps of Stripe's reason."""
    return ngettext(
        "Of {number} end the reason was not read yet, as what was synced is older than "
        "this version's reports of it. `stripe-nrr sync --full` reads them.",
        "Of {number} ends the reason was not read yet, as what was synced is older than "
        "this version's reports of it. `stripe-nrr sync --full` reads them.",
        ends,
    ).format(number=grouped(ends))
