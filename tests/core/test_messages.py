"""Messages taken apart again: each by its own template, nested ones, several in one."""

import string

import pytest

from connector.core.language import speaking
from connector.core.messages import CONTEXT, spoken
from tests.support import catalogues

CASES = {
    "no message": ("disk on fire", "disk on fire"),
    "nothing": ("", ""),
    "a text": ("run `stripe-nrr sync`", "führen Sie `stripe-nrr sync` aus"),
    "what stands in it stays": (
        "no customer 'is not a month' in the ledger",
        "kein Kunde 'is not a month' im Ledger",
    ),
    "a day as the language writes it": (
        "rates.csv has no rate for USD on 2024-02-29",
        "rates.csv hat keinen Kurs für USD am 29.02.2024",
    ),
    "a month": (
        "2026-03 is not closed: there is nothing to withdraw",
        "März 2026 ist nicht abgeschlossen: es gibt nichts zurückzuziehen",
    ),
    "a number": (
        "12,345 movements are more than a page hands out",
        "12.345 Bewegungen sind mehr, als eine Seite herausgibt",
    ),
    "a count": (
        "3 customers could not be derived: cus_1, cus_2, cus_3",
        "nicht abgeleitet werden konnte: 3 Kunden (cus_1, cus_2, cus_3)",
    ),
    "one in another": (
        "a.toml cannot be read: [Errno 2] No such file or directory: 'a.toml'",
        (
            "a.toml lässt sich nicht lesen: [Errno 2] Datei oder Ordner nicht gefunden: "
            "'a.toml'"
        ),
    ),
    "several": (
        'workers is 0: give a path; timezone is 1: give a zone such as "Europe/Berlin"',
        (
            "workers ist 0: geben Sie einen Pfad an; timezone ist 1: geben Sie eine "
            'Zeitzone wie "Europe/Berlin" an'
        ),
    ),
    "several, of which one has a semicolon": (
        (
            "policy.chrun is not a setting of this program; did you mean policy.churn?; "
            "line 3 of a.csv is no pair of customer,account"
        ),
        (
            "policy.chrun ist keine Einstellung dieses Programms; meinten Sie "
            "policy.churn?; Zeile 3 von a.csv ist kein Paar customer,account"
        ),
    ),
    "one that ends in one with a semicolon": (
        "not checked: after the first sync; there is no ledger at nrr.db yet",
        (
            "nicht geprüft: nach der ersten Synchronisierung; in nrr.db gibt es noch kein "
            "Ledger"
        ),
    ),
    "whose it is": (
        '[[account]] uk: it has no name: give it one, such as name = "uk"',
        '[[account]] uk: es hat keinen Namen: geben Sie einen an, etwa name = "uk"',
    ),
    "one of another program": (
        "ledger.db cannot be used: database disk image is malformed",
        "ledger.db lässt sich nicht verwenden: database disk image is malformed",
    ),
}


@pytest.mark.parametrize(("english", "german"), CASES.values(), ids=CASES)
def test_a_message_is_told_in_the_language(english: str, german: str) -> None:
    assert spoken(english) == english
    with speaking("de"):
        assert spoken(english) == german


MESSAGES = {
    str(each.id): str(each.string)
    for each in catalogues.read("de")
    if each.id and each.context == CONTEXT
}


def fields_of(template: str) -> dict[str, str]:
    """Something for each field, quoted where the code quotes it."""
    return {
        name: f"Q{number}" if how is None else f"'Q{number}'"
        for number, (_, name, _, how) in enumerate(string.Formatter().parse(template))
        if name is not None
    }


class Quoted(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return self

    def __format__(self, _form: str) -> str:
        return str(self)


@pytest.mark.parametrize("template", MESSAGES)
def test_each_is_taken_apart_by_its_own_template(template: str) -> None:
    numbered = {
        name: "7" if f"{{{name}:number}}" in MESSAGES[template] else text
        for name, text in fields_of(template).items()
    }
    fields = {name: Quoted(text) for name, text in numbered.items()}
    with speaking("de"):
        assert spoken(template.format(**fields)) == MESSAGES[template].format(**fields)


@pytest.mark.parametrize("template", MESSAGES)
def test_nobody_knows_where_one_of_two_adjacent_fields_ends(template: str) -> None:
    pieces = list(string.Formatter().parse(template))
    assert all(literal for literal, name, *_ in pieces[1:] if name is not None)
