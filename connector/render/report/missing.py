"""What figures lack, in sentences that stand above them all."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from connector.core.invoiced import OutsideMrr, alarming
from connector.core.language import _, day_text, grouped, listed, ngettext
from connector.core.messages import spoken
from connector.core.money import format_count, format_minor
from connector.reports.ledger_facts import LedgerFacts, Missing


def outside_sentence(outside: Iterable[OutsideMrr], locale: str) -> str | None:
    """What recurs and is neither counted nor accepted; None where nothing is."""
    sums = alarming(outside)
    if not sums:
        return None
    said = [format_minor(minor, code, locale) for code, minor in sums.items()]
    return _(
        "{amounts} a month is invoiced outside Stripe subscriptions and is not in "
        "these figures"
    ).format(amounts=listed(said))


def outside_note(outside: Iterable[OutsideMrr], locale: str) -> str | None:
    sentence = outside_sentence(outside, locale)
    return (
        None
        if sentence is None
        else _("{sentence}; `stripe-nrr coverage` names it.").format(sentence=sentence)
    )


STALE = timedelta(hours=48)


def banner(
    facts: LedgerFacts, outside: Iterable[OutsideMrr] = (), locale: str = "en_US"
) -> list[str]:
    """What stands above every figure: why they may not be what they seem."""
    found = [*of_accounts(facts), *what_is_missing(facts.missing)]
    if facts.begins_at is not None:
        found.append(nothing_before(facts.begins_at))
    if facts.synced_at is not None:
        age = facts.moment - facts.synced_at
        if age > STALE:
            found.append(
                ngettext(
                    "The last sync was {days} day ago: nothing after {today} is in these "
                    "figures. Run `stripe-nrr sync`.",
                    "The last sync was {days} days ago: nothing after {today} is in these "
                    "figures. Run `stripe-nrr sync`.",
                    age.days,
                ).format(days=age.days, today=day_text(facts.today))
            )
    note = outside_note(outside, locale)
    return found if note is None else [*found, note]


def nothing_before(begins_at: datetime) -> str:
    """Of a past state that is of before the ledger's first run."""
    return _(
        "Nothing had been booked by then: the first run of this ledger was on {day}, at "
        "{time}. As of that day and later there is something."
    ).format(day=day_text(begins_at.date()), time=f"{begins_at:%H:%M}")


def of_accounts(facts: LedgerFacts) -> list[str]:
    """What keeps several accounts from being one whole."""
    found = [
        _("Not alike: {accounts} count by different rules.").format(
            accounts=spoken(each)
        )
        for each in facts.accounts.unlike
    ]
    if facts.accounts.behind:
        found.append(
            _(
                "Nothing after {today} is in these figures: {accounts} is not known for "
                "longer. Run `stripe-nrr sync`."
            ).format(
                today=day_text(facts.today), accounts=listed(facts.accounts.behind)
            )
        )
    return found


def what_is_missing(missing: Missing) -> list[str]:
    """A sentence a reason, with what to do about it."""
    found = []
    if missing.is_first_sync:
        found.append(
            _(
                "Not complete: the first sync has not finished, so customers are "
                "missing. Run `stripe-nrr sync`."
            )
        )
    if missing.customers and not missing.is_first_sync:
        found.append(
            ngettext(
                "Not complete: {number} customer is missing altogether, as nothing was "
                "derived of them yet. Run `stripe-nrr recompute`; `stripe-nrr check` "
                "names them.",
                "Not complete: {number} customers are missing altogether, as nothing was "
                "derived of them yet. Run `stripe-nrr recompute`; `stripe-nrr check` "
                "names them.",
                missing.customers,
            ).format(number=grouped(missing.customers))
        )
    if missing.behind:
        found.append(
            ngettext(
                "Not up to date: {number} customer stands here as before their last "
                "change. Run `stripe-nrr recompute`; `stripe-nrr check` names them.",
                "Not up to date: {number} customers stand here as before their last "
                "change. Run `stripe-nrr recompute`; `stripe-nrr check` names them.",
                missing.behind,
            ).format(number=grouped(missing.behind))
        )
    refused = refused_sentence(missing)
    if refused is not None:
        found.append(refused)
    if missing.accounts:
        whose = _("That is so of {accounts}.").format(accounts=listed(missing.accounts))
        found = [*found[:-1], f"{found[-1]} {whose}"]
    return found


def refused_sentence(missing: Missing) -> str | None:
    """Of objects without a value; None where all have one."""
    if not missing.refused:
        return None
    return ngettext(
        "Not complete: {number} object of {customers} could not be valued and is in no "
        "figure, or as before. `stripe-nrr check` names it.",
        "Not complete: {number} objects of {customers} could not be valued and are in no "
        "figure, or as before. `stripe-nrr check` names them.",
        missing.refused,
    ).format(
        number=grouped(missing.refused),
        customers=format_count(missing.refused_customers, "customer"),
    )
