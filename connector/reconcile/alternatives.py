"""One customer's cells as they would be under other rules: what another tool may do.

Derived in memory from the customer's history, by the functions that made the ledger. Each
alternative is one step from a state; steps follow one another, and what each changes in a
cell is its cause's part.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from connector.core.dates import add_months, months
from connector.core.language import _
from connector.core.model import MrrStep
from connector.core.policy import VALUES, PolicySwitch, policy_of
from connector.mrr.history import History, SubscriptionVersion
from connector.mrr.timeline import timeline
from connector.reconcile.cells import Cell, Grain, day_changes, grain_of, in_grain
from connector.reconcile.model import GapCause
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Subscription

# Where a tool's days may begin, likeliest first: its own zone, or its owner's.
ZONES = (
    *("UTC", "America/New_York", "America/Los_Angeles", "Europe/London"),
    *("Europe/Berlin", "Asia/Tokyo", "Australia/Sydney"),
)


class State(NamedTuple):
    """How cells are made: under which rules, and what is done otherwise."""

    rules: tuple[tuple[str, str], ...]  # every rule as text, in order of the keys
    zone: str
    trials_count: bool = False
    without: str = ""  # a subscription

    def with_switch(self, switch: PolicySwitch) -> "State":
        rules = {**dict(self.rules), switch.rule: switch.value}
        return self._replace(rules=tuple(sorted(rules.items())))


UNPAID_CELLS = (
    2  # a month before a renewal; or the two days that a change moves between
)


class Alternative(NamedTuple):
    """One thing done otherwise; what it is called, and the state after it."""

    cause: GapCause
    detail: str
    note: str
    state: State


class CustomerUnderRules:
    """One customer's history, derived under whatever is asked for, once each."""

    def __init__(self, history: History, now_s: int, grain: Grain) -> None:
        self.history, self.now_s, self.grain = history, now_s, grain
        self._steps: dict[tuple[object, bool], Sequence[MrrStep]] = {}
        self._trialing: History | None = None

    def cells(self, state: State) -> dict[Cell, int]:
        return in_grain(self._changes(state), self.grain)

    def around(self, state: State) -> dict[Cell, int]:
        """The same with a year before and after, as far as it is known."""
        start, end = add_months(self.grain.start, -12), add_months(self.grain.end, 13)
        every = frozenset(months(start, end))
        return in_grain(
            self._changes(state),
            grain_of(self.grain.kind, start, end, every),
        )

    def _changes(self, state: State) -> dict[Cell, int]:
        return day_changes(self._derived(state), ZoneInfo(state.zone), state.without)

    def _derived(self, state: State) -> Sequence[MrrStep]:
        key = state.rules, state.trials_count
        if key not in self._steps:
            history = self._with_trials() if state.trials_count else self.history
            policy = policy_of(dict(state.rules))
            self._steps[key] = timeline(history, policy, self.now_s).steps
        return self._steps[key]

    def _with_trials(self) -> History:
        if self._trialing is None:
            self._trialing = with_trials_paid(self.history)
        return self._trialing

    def alternatives(self, state: State, *, is_there: bool) -> Iterator[Alternative]:
        """Every single step from a state, likeliest first.

        Who is not there at all lacks there, and no subscription of it.
        """
        rules = dict(state.rules)
        for rule, values in VALUES.items():
            for value in values if rule != "timezone" else ():
                if value != rules.get(rule, values[0]):
                    yield self._switched(state, PolicySwitch(rule, value))
        if not state.trials_count and has_trials(self.history):
            after = state._replace(trials_count=True)
            yield Alternative(GapCause.TRIAL, _("trials count"), "", after)
        yield from self._in_other_zones(state)
        subscriptions = self.history.versions.keys()
        if is_there and not state.without and len(subscriptions) > 1:
            for each in subscriptions:
                after = state._replace(without=each)
                words = _("a subscription is not there")
                yield Alternative(GapCause.MISSING_THERE, words, each, after)

    def _switched(self, state: State, switch: PolicySwitch) -> Alternative:
        after = state.with_switch(switch)
        if switch.rule == "past_due" and self._is_before_unpaid(state, after):
            said = _("became unpaid earlier there")
            note = _("here from the renewal that was left a draft")
            return Alternative(GapCause.DATE, said, note, after)
        cause = GapCause.USAGE if switch.rule == "metered" else GapCause.POLICY
        return Alternative(cause, switch.in_words, "", after)

    def _is_before_unpaid(self, state: State, after: State) -> bool:
        """Whether the last days of what nobody paid are all that differs.

        Stripe knows when it gave up collecting; afterwards a draft alone shows it.
        """
        now, then = self.cells(state), self.cells(after)
        differ = [
            c for c in now.keys() | then.keys() if now.get(c, 0) != then.get(c, 0)
        ]
        return len(differ) <= UNPAID_CELLS and any(
            proof.summary == "left a draft"
            for step in self._derived(state)
            for proof in step.evidence
        )

    def _in_other_zones(self, state: State) -> Iterator[Alternative]:
        for zone in ZONES:
            if zone != state.zone:
                after = state._replace(zone=zone)
                yield Alternative(
                    GapCause.ZONE, _("days in {zone}").format(zone=zone), "", after
                )


def has_trials(history: History) -> bool:
    return any(
        version.subscription.trial_end is not None
        or version.subscription.status == "trialing"
        for versions in history.versions.values()
        for version in versions
    )


def with_trials_paid(history: History) -> History:
    """The history of one who paid from the first day: nothing in it is a trial."""
    return replace(
        history,
        versions={
            key: tuple(_version_without_trial(each) for each in versions)
            for key, versions in history.versions.items()
        },
        events=tuple(map(_event_without_trial, history.events)),
        invoices=tuple(map(_invoice_without_trial, history.invoices)),
    )


def _version_without_trial(version: SubscriptionVersion) -> SubscriptionVersion:
    return version._replace(subscription=_without_trial(version.subscription))


def _event_without_trial(event: Event) -> Event:
    if event.subscription is None:
        return event
    return replace(event, subscription=_without_trial(event.subscription))


def _invoice_without_trial(invoice: Invoice) -> Invoice:
    """Its lines that were free say what there was, and no longer that it was free."""
    lines = [
        replace(line, pricing=replace(line.pricing, unit_amount_decimal=None))
        if line.amount == 0 and line.pricing is not None
        else line
        for line in invoice.lines.data
    ]
    return replace(invoice, lines=replace(invoice.lines, data=lines))


def _without_trial(shown: Subscription) -> Subscription:
    status = "active" if shown.status == "trialing" else shown.status
    return replace(shown, status=status, trial_start=None, trial_end=None)


def state_of(rules: Mapping[str, str]) -> State:
    """As the ledger makes its own cells; ``rules`` are its settings."""
    policy = {key: text for key, text in rules.items() if key != "timezone"}
    return State(tuple(sorted(policy.items())), rules["timezone"])
