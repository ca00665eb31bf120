"""A digest as titled lists of sentences, and these as text, Markdown, HTML and Slack's.

Each form escapes for itself, so that a name stays a name in all of them.
"""

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from connector.core.language import _, day_text, grouped, language, marked, table_day
from connector.core.messages import spoken
from connector.core.money import format_count, format_minor, format_ratio
from connector.core.text import markdown, printable
from connector.core.windows import name_of
from connector.digest.news import Digest, MonthOver, NewRisk
from connector.digest.trouble import MISSING
from connector.mrr.stored_words import retraction_said
from connector.render.coverage import REASON_WORDS
from connector.render.movements import causes_text, named
from connector.render.report.footnotes import (
    first_year_sentence,
    goal_sentences,
    note_line,
)
from connector.render.restatements import run_words
from connector.render.risk_words import why
from connector.reports.closings.restatements import RestatementLine

MOST = 20  # lines of a section; JSON has them all
LONGEST = 300  # characters of a line
TITLE = marked("Recurring revenue")


DOCTOR = "stripe-nrr doctor"


class Section(NamedTuple):
    """``lines`` are plain text, one sentence each; ``more`` says where the rest is."""

    title: str
    lines: Sequence[str]
    more: str = ""

    @property
    def shown(self) -> list[str]:
        left = len(self.lines) - MOST
        lines = [_short(each) for each in self.lines[:MOST]]
        rest = _("and {number} more: {command}").format(
            number=grouped(left), command=self.more
        )
        return [*lines, *([rest] if left > 0 else ())]


def _short(line: str) -> str:
    plain = printable(line)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def heading(digest: Digest) -> str:
    names = f" ({', '.join(digest.accounts)})" if digest.accounts else ""
    return f"{_heading(digest)}{names}"


def _heading(digest: Digest) -> str:
    today = day_text(digest.today)
    if digest.since is None:
        return _("{title} on {today}, since the last digest").format(
            title=_(TITLE), today=today
        )
    return _("{title} on {today}, since {since}").format(
        title=_(TITLE), today=today, since=day_text(digest.since)
    )


def sections(digest: Digest, locale: str) -> list[Section]:
    """Those that have something to tell."""
    labels = digest.labels
    months = [line for each in digest.months for line in _month(each, locale)]
    notes = [_("Note, {note}").format(note=note_line(each)) for each in digest.notes]
    moved = [_moved(each, digest, locale) for each in digest.moved]
    restated = [_restated(each, digest, locale) for each in digest.restated]
    uncovered = [
        _("{who}: {reason}, {amount} a month since {day}, in no figure").format(
            who=named(each.customer, labels),
            reason=_(REASON_WORDS[each.reason]),
            amount=format_minor(each.monthly_minor, each.currency, locale),
            day=table_day(each.since),
        )
        for each in digest.uncovered
    ]
    amiss = [x.sentence for x in digest.troubles if not x.key.startswith(MISSING)]
    every = (  # what all figures lack stands before them, as in every form
        Section(_("Trouble"), [*digest.missing, *amiss], DOCTOR),
        Section(_("The month that is over"), [*months, *notes]),
        Section(_("What moved"), moved, "stripe-nrr movements"),
        Section(_("Newly at risk"), _risks(digest, locale), "stripe-nrr at-risk"),
        Section(_("Restated in closed months"), restated, "stripe-nrr restatements"),
        Section(_("Newly not covered"), uncovered, "stripe-nrr coverage"),
        Section(
            _("Newly refused"),
            [spoken(each.sentence) for each in digest.refused],
            "stripe-nrr check",
        ),
    )
    return [each for each in every if each.lines]


def _month(over: MonthOver, locale: str) -> Iterator[str]:
    kept, flow = over.headline.measured.retention, over.month.measured.waterfall
    code = over.part.currency
    ratios = ", ".join(f"{n.upper()} {format_ratio(r)}" for n, r in kept.ratios.items())

    def money(amount_minor: int, *, signed: bool = False) -> str:
        return format_minor(amount_minor, code, locale, signed=signed)

    steps = ", ".join(
        f"{_step(name.removesuffix('_minor'))} {money(minor, signed=True)}"
        for name, minor in flow.signed.items()
        if minor and name not in ("opening_minor", "closing_minor")
    )
    retained = first_year_sentence(over.part) or _(
        "{ratios} over twelve months."
    ).format(ratios=ratios)
    yield _(
        "{month}, {part}: {retained} MRR went from {opening} to {closing}{steps}."
    ).format(
        month=name_of(over.month.measured.window),
        part=over.part.title,
        retained=retained,
        opening=money(flow.opening_minor),
        closing=money(flow.closing_minor),
        steps=f" ({steps})" if steps else "",
    )
    yield from goal_sentences(over.part, {x.metric: x.goal for x in over.goals})


def _step(name: str) -> str:
    """A step of the waterfall inside a sentence: English writes it small."""
    return name if language() == "en" or name == "fx" else _(name.capitalize())


def _moved(line: RestatementLine, digest: Digest, locale: str) -> str:
    """A movement; or one that was told otherwise before, and how it is now."""
    who = named(line.customer, digest.labels)
    if line.account:
        who = f"{line.account}: {who}"
    change = format_minor(line.amount_minor, line.currency, locale, signed=True)
    if line.now is None:
        assert line.was is not None
        said = _("{who}: {change}, as {kind} of {day} is taken back")
        was, day = _(line.was.kind.value), table_day(line.day)
        return said.format(who=who, change=change, kind=was, day=day)
    causes = causes_text(line.now)
    because = f" ({causes})" if causes else ""
    if line.was is not None:
        said = _("{who}: {change}, now {kind} on {day}{because}, corrected")
    else:
        said = _("{who}: {change} {kind} on {day}{because}")
    return said.format(
        who=who,
        change=change,
        kind=_(line.now.kind.value),
        day=table_day(line.day),
        because=because,
    )


def _restated(line: RestatementLine, digest: Digest, locale: str) -> str:
    reason = retraction_said(line.reason, line.currency, locale)
    return _("{moved}; booked by a {run}{reason}").format(
        moved=_moved(line, digest, locale),
        run=run_words(line.run.cause),
        reason=f", {reason}" if reason else "",
    )


def _risks(digest: Digest, locale: str) -> list[str]:
    """A line a customer, with all that is new."""
    own: dict[tuple[str, str], list[NewRisk]] = {}
    for each in digest.risks:
        own.setdefault((each.risk.customer, each.risk.currency), []).append(each)
    return [
        _("{who}, who pays {amount} a month: {why}").format(
            who=named(customer, digest.labels),
            amount=format_minor(found[0].mrr_minor, currency, locale),
            why="; ".join(why(each.risk) for each in found),
        )
        for (customer, currency), found in own.items()
    ]


# The forms

NOTHING = marked("Nothing is new.")


def to_text(digest: Digest, locale: str) -> str:
    parts = [heading(digest)]
    for each in sections(digest, locale):
        parts += ["", each.title, *(f"- {line}" for line in each.shown)]
    return "\n".join(parts if len(parts) > 1 else [*parts, "", _(NOTHING)]) + "\n"


def to_markdown(digest: Digest, locale: str) -> str:
    parts = [f"# {heading(digest)}", ""]
    for each in sections(digest, locale):
        lines = (f"- {markdown(line)}" for line in each.shown)
        parts += [f"## {each.title}", "", *lines, ""]
    return "\n".join(parts if len(parts) > 2 else [*parts, _(NOTHING), ""])


def to_html(digest: Digest, locale: str) -> str:
    """A document that a mail program shows: no style, script, image or address."""
    body = [f"<h1>{escape(heading(digest))}</h1>"]
    for each in sections(digest, locale):
        lines = "".join(f"<li>{escape(line)}</li>\n" for line in each.shown)
        body.append(f"<h2>{escape(each.title)}</h2>\n<ul>\n{lines}</ul>")
    if len(body) == 1:
        body.append(f"<p>{escape(_(NOTHING))}</p>")
    inside = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="{language()}">\n<head><meta charset="utf-8">'
        f"<title>{escape(heading(digest))}</title></head>\n<body>\n{inside}\n"
        "</body>\n</html>\n"
    )


BLOCK = 2_900  # characters: Slack refuses a text of more than 3,000


def to_slack(digest: Digest, locale: str) -> str:
    """The body that an incoming webhook takes: ``text`` for a notification, blocks."""
    blocks = [_block(f"*{_slack(heading(digest))}*")]
    told = sections(digest, locale)
    for each in told:
        lines = [f"*{each.title}*", *(f"• {_slack(line)}" for line in each.shown)]
        blocks += [_block(text) for text in _together(lines)]
    if not told:
        blocks.append(_block(_(NOTHING)))
    summary = ", ".join(
        f"{x.title}: {format_count(len(x.lines), 'line')}" for x in told
    )
    text = f"{_slack(heading(digest))}. {summary or _(NOTHING)}"
    return json.dumps({"text": text, "blocks": blocks}, indent=2)


def _slack(text: str) -> str:
    """Without what Slack reads as a mention, a link or a command."""
    plain = printable(text).replace("&", "&amp;")
    return plain.replace("<", "&lt;").replace(">", "&gt;")


def _together(lines: Sequence[str]) -> Iterator[str]:
    """As many lines in one text as Slack takes."""
    text = ""
    for line in lines:
        if text and len(text) + len(line) >= BLOCK:
            yield text
            text = ""
        text = f"{text}\n{line}" if text else line
    yield text


def _block(text: str) -> dict[str, Any]:
    written = {"type": "mrkdwn", "text": text, "verbatim": True}
    return {"type": "section", "text": written}
