"""The policy switches, and what they explain of another tool's MRR."""

from collections.abc import Mapping
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from connector import config
from connector.core.dates import day_end_s, local_day, parse_day
from connector.core.policy import (
    POLICY_RULES,
    VALUES,
    Policy,
    PolicySwitch,
    Rules,
    policy_of,
)
from connector.metrics.what_if import Choice, changed, choices, closes, explained
from connector.mrr.timeline import timeline
from connector.reports.compare import mrr_under
from connector.store.ledger import queries
from connector.store.mirror import dirty_customers
from connector.store.mirror.catalogue import read_catalogue
from tests.support.ledgers import history_of, settle
from tests.support.synced import demo_now_s, walked_demo

BERLIN = {**Policy().settings(), "timezone": "Europe/Berlin"}
ONCE = PolicySwitch("once_coupon", "subtracted")
CHURN = PolicySwitch("churn", "requested")
TOKYO = PolicySwitch("timezone", "Asia/Tokyo")


def test_every_switch_of_the_policy_can_be_turned() -> None:
    assert tuple(POLICY_RULES) == Policy.__struct_fields__
    assert VALUES.keys() == BERLIN.keys()
    for rule, values in VALUES.items():
        if rule != "timezone":
            for value in values:
                text = f'[policy]\n{rule} = "{value}"'
                assert config.parse(text, {}).policy.settings()[rule] == value


def test_what_rules_do_not_say_is_the_default() -> None:
    """A ledger may be from before there was a switch."""
    assert policy_of({}) == Policy()
    assert choices({"timezone": "Europe/Berlin"}) == choices(BERLIN)


@pytest.mark.parametrize("choice", [(), *choices(BERLIN)], ids=str)
def test_texts_stand_for_their_policy(choice: Choice) -> None:
    texts = changed(BERLIN, choice)
    zone = texts["timezone"]
    assert {**policy_of(texts).settings(), "timezone": zone} == texts


def test_each_switch_alone_and_each_two_of_different_rules() -> None:
    found = choices(BERLIN)
    alone = [choice for choice in found if len(choice) == 1]
    assert len(alone) == sum(len(v) - 1 for v in VALUES.values()) + 1  # three zones
    assert (ONCE, CHURN) in found
    assert not any(len({s.rule for s in choice}) < len(choice) for choice in found)
    for parts in (
        each for each in found if len(each) > 1
    ):  # of which each is tried too
        assert all(tuple(s for s in parts if s != one) in found for one in parts)
    assert len(set(found)) == len(found)
    assert all((PolicySwitch(rule, BERLIN[rule]),) not in found for rule in BERLIN)


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        pytest.param(ONCE, "once coupons subtracted", id="a coupon"),
        pytest.param(TOKYO, "days in Asia/Tokyo", id="a zone"),
        pytest.param(
            PolicySwitch("past_due", "after_days:0"),
            "past due does not count",
            id="never",
        ),
        pytest.param(
            PolicySwitch("past_due", "after_days:30"),
            "past due counts for 30 days",
            id="days",
        ),
    ],
)
def test_a_switch_in_words(switch: PolicySwitch, words: str) -> None:
    assert switch.in_words == words


def test_what_leaves_least_of_the_gap_comes_first() -> None:
    """A pair that does no more than one of its two alone is not told."""
    mrr: Mapping[Choice, int] = {
        (ONCE,): 900,
        (CHURN,): 940,
        (TOKYO,): 1_000,
        (ONCE, CHURN): 840,
        (ONCE, TOKYO): 900,
    }
    found = explained(1_000, 842, mrr)
    told = [(len(e.choice), e.effect_minor, e.left_minor) for e in found]
    assert told == [(2, -160, 2), (1, -100, -58), (1, -60, -98)]
    assert not closes(found[0], -158)
    assert closes(found[0], -300)


# --- against the ledger ---

DAY = parse_day("2026-08-31")


@pytest.fixture(scope="module")
def under() -> Mapping[Choice, int]:
    """The demo's dollars under every choice; of it, some are derived in full below."""
    with walked_demo() as db:
        wanted = choices(BERLIN)
        zones = {s.value for c in wanted for s in c if s.rule == "timezone"}
        ends_s = {z: day_end_s(DAY, ZoneInfo(z)) for z in {*zones, "Europe/Berlin"}}
        return mrr_under(
            db, RULES, wanted, ends_s, worth={"usd": Fraction(1)}, now_s=demo_now_s()
        )


RULES = Rules(policy=Policy(), zone=ZoneInfo("Europe/Berlin"), code_version="test")


@pytest.mark.parametrize(
    "choice",
    [(), (ONCE,), (CHURN,), (TOKYO,), (ONCE, CHURN), (ONCE, TOKYO)],
    ids=lambda choice: " and ".join(s.in_words for s in choice) or "as it is",
)
def test_in_memory_is_what_a_ledger_under_that_policy_says(
    under: Mapping[Choice, int], choice: Choice
) -> None:
    texts = changed(BERLIN, choice)
    with walked_demo() as db:
        settle(db, demo_now_s(), texts["timezone"], policy_of(texts))
        flows = queries.flows(db, "usd")
        assert under[choice] == sum(f.amount_minor for f in flows if f.day <= DAY)


def test_a_switch_left_out_as_idle_would_have_changed_nothing(
    under: Mapping[Choice, int],
) -> None:
    """Every pair, derived in full for every customer, without the short way."""
    pairs = [c for c in choices(BERLIN) if len(c) == 2 and TOKYO.rule not in dict(c)]
    total = dict.fromkeys(pairs, 0)
    with walked_demo() as db:
        shared = read_catalogue(db)
        for customer in dirty_customers.everybody(db):
            history = history_of(db, customer, shared)
            for pair in pairs:
                policy = policy_of(changed(BERLIN, pair))
                worth = {}
                for step in timeline(history, policy, demo_now_s()).steps:
                    is_ours = step.currency == "usd"
                    if is_ours and local_day(step.at_s, RULES.zone) <= DAY:
                        worth[step.subscription, step.item] = step.mrr_minor
                total[pair] += sum(worth.values())
    assert total == {pair: under[pair] for pair in pairs}


def test_a_comparison_writes_nothing() -> None:
    with walked_demo() as db:
        before = db.serialize()
        ends_s = {"Europe/Berlin": day_end_s(DAY, RULES.zone)}
        mrr_under(
            db, RULES, [(ONCE,)], ends_s, worth={"usd": Fraction(1)}, now_s=demo_now_s()
        )
        assert db.serialize() == before
