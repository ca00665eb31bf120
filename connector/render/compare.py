"""Which policy explains a gap, as text and JSON."""

from typing import Any

from connector.core.money import format_minor
from connector.metrics.what_if import ExplainedGap, closes
from connector.render.table import Money, figures, text_table
from connector.reports.compare import PolicyComparison

CLOSEST = 5  # pairs shown that do not explain the gap, but most of it


def to_text(compared: PolicyComparison, locale: str) -> str:
    def money(minor: int, *, signed: bool = False) -> str:
        return format_minor(minor, code, locale, signed=signed)

    gap, code = compared.gap_minor, compared.currency
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
                Money(each.mrr_minor, code),
                Money(each.effect_minor, code, signed=True),
                Money(each.left_minor, code, signed=True) if each.left_minor else "–",
            )
            for each in shown
        ]
        heads = (title, "MRR", "Effect", "Left of the gap")
        if rows:
            parts.append("\n" + text_table(figures(heads, rows), locale))
    if not any(closes(each, gap) for each in compared.found):
        parts.append(UNEXPLAINED)
    return "".join(parts)


UNEXPLAINED = """
No switch and no two of them explain the gap: it lies in the data (customers, days,
currencies) or in rules that are no switch here.
"""


def _sections(
    found: list[ExplainedGap], gap_minor: int
) -> dict[str, list[ExplainedGap]]:
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


def to_json(compared: PolicyComparison) -> dict[str, Any]:
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
