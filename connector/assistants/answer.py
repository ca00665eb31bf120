"""A command's JSON → what an assistant is given: the same, and what must be said with it.

Every window says whether it is final, long lists are cut and say what was left out, names
are left out where that is asked for, and no character of a text commands anything.
"""

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from connector.core.model import JSON_SCHEMA
from connector.core.text import printable
from connector.core.windows import Window, WindowKind, name_of
from connector.render.report.json_form import facts_json
from connector.render.report.missing import banner, outside_sentence
from connector.reports.ledger import Ledger
from connector.reports.ledger_facts import LedgerFacts, LedgerState

NAMES = {"label", "owner"}  # what people are called
# Stripe's ids; ``id`` is that of a proof, and of the account, which is none.
IDS = ("customer", "subscription", "item", "last_invoice", "id")
ADDED = ("is_over", "final", "say")  # to every window
SPAN = {"window", "from", "to"}

OTHER_RULES = (
    "The configuration asks for another policy or time zone than the ledger has; these "
    "are the ledger's own until `stripe-nrr recompute`."
)


class Made(NamedTuple):
    """``command`` are the words that give ``json``; ``lists`` are what is cut in it.

    ``facts`` is None where the command's own JSON does not carry them at its top.
    """

    json: Mapping[str, Any]
    command: Sequence[str]
    facts: LedgerFacts | None
    lists: Collection[str] = ()
    say: Sequence[str] = ()


class Shown(NamedTuple):
    """Which part of each long list, and whether people are named. Pages count from 1."""

    limit: int
    page: int
    names: bool


def answer(
    ledger: Ledger,
    made: Made,
    state: LedgerState,
    facts: LedgerFacts,
    shown: Shown,
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """The structured content; ``result`` is the command's JSON.

    ``options`` say which accounts the command is asked of.
    """
    told = {} if made.facts is None else facts_json(made.facts)
    left_out: list[dict[str, Any]] = []
    whole = {"schema": JSON_SCHEMA, **told, **made.json}
    result = _cut(_plain(whole), made.lists, shown, left_out, "result")
    known = facts_json(facts)
    _mark_windows(result, facts.today, is_whole=known["complete"])
    open_windows = [x for x in _windows(result) if not x["final"]]
    said = [
        f"Known until {facts.today}.",
        *made.say,
        *_about_windows(open_windows),
        *banner(facts),
        *_warnings(ledger),
        *(["Not all rows are shown: see left_out."] if left_out else []),
    ]
    found = {
        "say": " ".join(said),
        "complete": known["complete"] and not open_windows,
        **{key: known[key] for key in ("known_until", "missing")},
        "timezone": state.timezone,
        "policy": dict(state.policy),
        "command": shlex.join(
            ["stripe-nrr", *made.command, *options, "--format", "json"]
        ),
        "evidence": list(dict.fromkeys(_ids(result))),
        "left_out": left_out,
        "result": result,
    }
    plain: dict[str, Any] = _plain(found if shown.names else _nameless(found))
    return plain


def _warnings(ledger: Ledger) -> Iterator[str]:
    if ledger.has_other_rules:
        yield OTHER_RULES
    sentence = outside_sentence(ledger.outside(), ledger.config.locale)
    if sentence is not None:
        yield sentence


def _about_windows(unfinished: Sequence[Mapping[str, Any]]) -> list[str]:
    if not unfinished:
        return []
    names = list(dict.fromkeys(_name(each) for each in unfinished))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    listed = ", ".join(names[:3]) + more
    return [f"Not final, never a result, never compared with whole windows: {listed}."]


def _mark_windows(value: Any, today: date, *, is_whole: bool) -> None:
    """Beside each window: whether it is over, and whether its figures are final."""
    for each in _spans(value):
        is_over = date.fromisoformat(each["to"]) <= today
        final = is_over and is_whole and each.get("complete", True)
        each |= dict(
            zip(ADDED, (is_over, final, _sentence(each, is_over, final)), strict=True)
        )


def _sentence(window: Mapping[str, Any], is_over: bool, final: bool) -> str:  # noqa: FBT001
    if final:
        return f"{_name(window)} is over, and nothing of it is missing."
    if is_over:
        return f"{_name(window)} is over but not whole: say what is missing, first."
    return f"{_name(window)} is not over: say so far, or as scheduled; never as final."


def _name(window: Mapping[str, Any]) -> str:
    start, end = map(date.fromisoformat, (window["from"], window["to"]))
    return name_of(Window(WindowKind(window["window"]), start, end))


def _windows(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in _spans(value) if "final" in each)


def _spans(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in _dicts(value) if each.keys() >= SPAN)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside, the outer ones first."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for each in inner:
            yield from _dicts(each)


def _ids(value: Any) -> Iterator[str]:
    """Stripe's ids that a result rests on, as it names them."""
    for each in _dicts(value):
        if "livemode" not in each:
            yield from (each[key] for key in IDS if isinstance(each.get(key), str))


def _cut(
    value: Any, lists: Collection[str], shown: Shown, left_out: list[Any], place: str
) -> Any:
    """A page of each list of these names; what is on no such page is told."""
    if isinstance(value, list):
        return [
            _cut(each, lists, shown, left_out, f"{place}[{n}]")
            for n, each in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        where, rows = f"{place}.{key}", each
        if key in lists and isinstance(each, list):
            first = (shown.page - 1) * shown.limit
            rows = each[first : first + shown.limit]
            if len(rows) < len(each):
                last = first + len(rows)
                told = {"rows": len(each), "from_row": first, "shown": len(rows)}
                more = shown.page + 1 if last < len(each) else None
                left_out.append({"where": where, **told, "next_page": more})
        found[key] = _cut(rows, lists, shown, left_out, where)
    return found


def _each(value: Any, of_text: Callable[[str], str], without: Collection[str]) -> Any:
    match value:
        case str():
            return of_text(value)
        case dict():
            return {
                of_text(k): _each(v, of_text, without)
                for k, v in value.items()
                if k not in without
            }
        case list() | tuple():
            return [_each(each, of_text, without) for each in value]
    return value


def _plain(value: Any) -> Any:
    return _each(value, printable, ())


def _nameless(value: Any) -> Any:
    return _each(value, str, NAMES)
