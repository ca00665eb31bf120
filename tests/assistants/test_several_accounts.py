"""What an assistant is given of several accounts is what the commands add up."""

import shlex
from datetime import date, timedelta
from pathlib import Path

from tests.assistants.asked import Question, ask
from tests.assistants.test_server import as_printed
from tests.support.accounts import DEMO_AND_SHOP, demo_and_shop
from tests.support.commands import Workdir

ASKED: list[Question] = [
    ("retention", {"by": "account", "limit": 500}),
    ("retention", {"segment": ["account=shop"], "limit": 500}),
    ("explain_customer", {"customer": "Parent"}),
    ("movements", {"from": "2026-10-01", "limit": 500}),
    ("at_risk", {"limit": 500}),
    ("coverage", {"limit": 500}),
]


def test_an_assistant_is_given_the_sum_and_the_command_that_gives_it(
    tmp_path: Path,
) -> None:
    demo_and_shop(tmp_path)
    workdir = Workdir(tmp_path, key=None)
    _, results = ask(workdir, ASKED)
    for (name, _), result in zip(ASKED, results, strict=True):
        assert not result.is_error, result
        found = result.structured_content
        program, *command = shlex.split(found["command"])
        assert program == "stripe-nrr"
        told = workdir.call(*command).json
        shown = as_printed(found["result"])
        for key in {"generated_at"} & told.keys():
            del told[key], shown[key]
        assert shown == told, name
        assert told["accounts"]["names"] == ["demo", "shop"], name
    [one] = ask(workdir, ASKED[4:5], "--account", "shop")[1]
    assert "--account shop" in one.structured_content["command"]
    assert "accounts" not in one.structured_content["result"]


def test_the_headline_of_all_currencies_is_told_from_that_of_one(
    tmp_path: Path,
) -> None:
    demo_and_shop(tmp_path)
    days = (date(2023, 1, 2) + timedelta(days=each) for each in range(0, 1500, 5))
    rates = ["date,currency,rate", *(f"{day},eur,1.1" for day in days)]
    (tmp_path / "rates.csv").write_text("\n".join(rates))
    total = '[reporting]\ncurrency = "usd"\nrates = "rates.csv"\n'
    workdir = Workdir(tmp_path, key=None).configure(
        DEMO_AND_SHOP.replace("[[account]]", f"{total}[[account]]", 1)
    )
    [result] = ask(workdir, [("retention", {})])[1]
    assert not result.is_error, result
    said = result.structured_content["say"]
    for whose in ("all currencies as usd", "usd", "eur"):
        assert said.count(f"Headline in {whose},") == 1, said
