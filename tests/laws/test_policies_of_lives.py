"""Random customers under other policies: what the billing engine says they were worth."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.policy import Policy
from tests.laws.test_lives import USUAL_LIVES, ZONES, act, by_day, closings, lived
from tests.support.ledgers import Known, empty_ledger, look, settle
from tests.support.lives import Life, Lived, lives

SWITCHES = st.sampled_from([(True, False), (False, True), (True, True)])


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_LIVES, derandomize=not wanted, deadline=None
    )


def watched(played: Lived, zone: str, policy: Policy) -> Known:
    account = played.account
    kept = account.snapshot() | {"events": [event for _, event in account.events]}
    with empty_ledger() as connection:
        look(connection, kept, account.now)
        return settle(connection, account.now, zone, policy)


def is_known(life: Life, zone: str, *, from_payment: bool, trials_count: bool) -> bool:
    played = lived(life, is_watched=True)
    policy = Policy(
        active_from_payment=from_payment, trial_after_paying_counts=trials_count
    )
    [steps] = played.account.true_mrr_under(
        from_payment=from_payment, trials_count=trials_count
    ).values()
    return closings(watched(played, zone, policy)) == by_day(steps, zone)


def test_the_first_payment_and_a_trial_after_paying(trial: settings) -> None:
    """Whoever kept every event knows the truth under each of the two switches."""

    @trial
    @given(life=lives, zone=ZONES, switches=SWITCHES)
    def holds(life: Life, zone: str, switches: tuple[bool, bool]) -> None:
        from_payment, trials_count = switches
        assert is_known(
            life, zone, from_payment=from_payment, trials_count=trials_count
        )

    holds()


def test_what_was_sent_counts_from_its_payment() -> None:
    sent = [act("come_back", 0, 0, 11), act("pay_again", wait_s=40 * 86_400)]
    played = lived(Life("flexible", sent), is_watched=True)
    known = watched(played, "UTC", Policy(active_from_payment=True))
    assert [movement.day.isoformat() for movement in known.movements] == ["2023-03-11"]
