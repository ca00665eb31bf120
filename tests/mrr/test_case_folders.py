"""What every folder of fixtures/cases holds, whoever told the case."""

from collections.abc import Iterator
from itertools import chain, groupby
from operator import attrgetter

from connector.metrics.invariants import MOVEMENT_CHECKS
from tests.support import folders
from tests.support.cases import everyday, odd
from tests.support.folders import Look

EVERY = (*everyday.CASES, *odd.CASES)


def told() -> Iterator[tuple[folders.Case, list[Look]]]:
    """Each case with what its builder makes it show."""
    for case in everyday.CASES:
        yield case, [*everyday.played(case).looks]
    for each in odd.CASES:
        yield each, each().looks()


def test_every_folder_is_a_case() -> None:
    found = [
        path.parent.name
        for path in folders.CASES.glob("*/*/stripe.json")
        if path.parent.parent != folders.REPORTED
    ]
    assert sorted(found) == sorted(map(folders.name, EVERY))


def test_the_files_are_what_their_builder_makes() -> None:
    """Run ``python -m tests.support.cases.everyday``, or ``.odd``, where they differ."""
    different = [
        str((folders.place(case) / file).relative_to(folders.CASES))
        for case, looks in told()
        for file, text in folders.files(case, looks).items()
        if (folders.place(case) / file).read_text() != text
    ]
    assert different == []


def test_a_readme_says_what_happens_and_which_rule_it_shows() -> None:
    lines = {
        folders.name(case): len(folders.readme(case).splitlines()) for case in EVERY
    }
    assert {name: count for name, count in lines.items() if count != 2} == {}


WHOSE = attrgetter("customer", "currency")


def test_every_movement_is_explained_and_named() -> None:
    """The checks of the ledger find nothing: each component names its evidence."""
    found = [
        (folders.name(case), finding)
        for case in EVERY
        for _, own in groupby(sorted(folders.derived(case).movements, key=WHOSE), WHOSE)
        for finding in chain.from_iterable(
            check(told) for told in [list(own)] for check in MOVEMENT_CHECKS
        )
    ]
    assert found == []
