"""Options of the test run."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

# How long an example takes, or takes to be drawn, is the machine's business. The examples
# are the same everywhere; `--hypothesis-profile=chance` draws others.
settings.register_profile(
    "chance", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "steady", settings.get_profile("chance"), derandomize=True, database=None
)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept",
        action="store_true",
        help="rewrite fixtures/cases/*/*/expected.txt with what the connector derives now",
    )
    parser.addoption(
        "--lives",
        type=int,
        metavar="N",
        help="try N new random customers for each law, instead of the usual ones",
    )
    parser.addoption(
        "--schedules",
        type=int,
        metavar="N",
        help="sync through N new schedules of faults, instead of the usual ones",
    )
    parser.addoption(
        "--kills",
        type=int,
        metavar="N",
        help="kill commands at N new instants, instead of the usual ones",
    )


# Hypothesis draws numbers that stand in the modules imported so far, too: then a test
# without chance tries other examples whenever others run before it.
vars(providers)["_get_local_constants"] = Constants
