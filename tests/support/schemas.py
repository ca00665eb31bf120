"""The JSON that the commands write → JSON Schema files, as ``docs/schema`` holds them.

``python -m tests.support.schemas`` writes them anew, from what every command says of
several ledgers. Each key has a type in every one of them; new keys are always allowed.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from connector.assistants.server import declared
from connector.assistants.tools import TOOLS
from connector.cli.accounts import TAKES
from connector.core.model import JSON_SCHEMA
from tests.support.accounts import demo_and_shop
from tests.support.commands import Workdir
from tests.support.folders import ROOT
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.outside import SEEN, agency
from tests.support.spoiled import spoiled
from tests.support.synced import SEEN as SHOP_SEEN
from tests.support.synced import Wire, settled_demo, shop, sync

FOLDER = ROOT / "docs" / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
JSON_FORM = ["--format", "json"]

# What each file tells of: the command lines of its command.
ASKED: Mapping[str, Sequence[str]] = {
    "close": (  # first: a report tells of it
        "close 2026-06 --despite haste",
        "close 2026-06 --withdraw mistaken",
        "close 2026-06 --despite haste",
    ),
    "note": (
        "note 2026-06 raised --url https://example.com/why",
        "note 2026-06 mistaken",
        "note --withdraw 2",
    ),
    "notes": ("notes",),
    "digest": ("digest --peek", "digest --since 2026-06-01", "digest", "digest"),
    "report": (
        "report",
        "report --by plan --causes",
        "report --segment interval=month",
        "report --window year --arr",
    ),
    "cohorts": ("cohorts", "cohorts --by quarter"),
    "at-risk": ("at-risk",),
    "churn": ("churn", "churn --by plan"),
    "movements": ("movements",),
    "movements-by": ("movements --by plan",),
    "explain-window": (
        *("explain --window 2026-06", "explain --window ..2026-06"),
        "explain --window 2026-06 --metric crr --segment interval=month",
    ),
    "explain-customer": ("explain {customer}",),
    "drift": ("drift --to 2026-06", "drift --to 2026-06 --against 1.07"),
    "compare": ("compare --mrr 500 --on 2026-06-30",),
    "reconcile": ("reconcile theirs.csv",),
    "coverage": ("coverage",),
    "restatements": ("restatements",),
    "check": ("check",),
    "doctor": ("doctor --offline",),
    "inbox": ("inbox",),
    "recompute": ("recompute",),
    "lake": ("lake mirror lake",),
}
# What tells of several accounts added up, too, and what of each of them in a list.
ADDED_UP = (
    *("digest", "report", "cohorts", "at-risk", "churn", "movements", "movements-by"),
    *("explain-window", "explain-customer", "drift", "coverage"),
)
# What names the objects that could not be valued.
REFUSING = ("coverage", "digest", "recompute", "report")
LISTED = tuple(name for name, taking in TAKES.items() if taking in ("each", "named"))
# Objects whose keys are data: what stands under each of them is alike.
MAPS = {"policy", "rules", "failed", "reasons", "counts", "rows"}
MEANINGS = {
    "schema": "the version of all JSON: a change of meaning raises it",
    "known_until": "the last day that the ledger knows anything of",
    "complete": "over, and nothing of it is missing",
    "day_is_over": "the ledger knows all of it; false: so far",
    "missing": "what all figures lack",
    "from": "the first day, in",
    "to": "the first day after, out",
    "nrr": "net revenue retention with six decimals; null: nobody paid at the opening",
    "grr": "gross revenue retention with six decimals; null as NRR",
    "crr": "customer retention with six decimals; null as NRR",
    "currency": "an ISO code in small letters",
}


def ledgers(folder: Path) -> Iterator[Workdir]:
    """The demo's, and one with money outside subscriptions."""
    with settled_demo() as connection:
        yield _kept(connection, folder / "demo", 'timezone = "Europe/Berlin"\n')
    with empty_ledger() as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN, "UTC")
        yield _kept(connection, folder / "agency", 'timezone = "UTC"\n')


def with_refused(folder: Path) -> Workdir:
    """A ledger that lacks what an invoice bills, as it does not fit."""
    odd = shop().objects["invoices"][0]["id"]
    with empty_ledger() as connection:
        sync(connection, Wire(spoiled(shop(), odd, "lines", None), SHOP_SEEN))
        return _kept(connection, folder / "odd", 'timezone = "UTC"\n')


def _kept(connection: Any, folder: Path, config: str) -> Workdir:
    folder.mkdir()
    connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    return with_theirs(Workdir(folder).configure(config))


def with_theirs(workdir: Workdir) -> Workdir:
    """With another tool's MRR in theirs.csv: ours, but for two figures and a customer.

    And with its mirror as Parquet.
    """
    workdir.call("export", "--what", "mirror", "-o", "mirror")
    head, first, second, *rest = workdir.call(
        "export", "--what", "mrr"
    ).out.splitlines()
    amount = head.split(",").index("mrr_minor")
    odd = [
        _with_more(first, amount, "00"),
        _with_more(second, amount, "1"),
        "cus_unknown,usd,2026-05,500,1",
    ]
    text = "\n".join([head, *odd, *rest])
    (workdir.folder / "theirs.csv").write_text(text, encoding="utf-8")
    return workdir


def _with_more(line: str, place: int, digits: str) -> str:
    fields = line.split(",")
    fields[place] += digits
    return ",".join(fields)


def said(workdir: Workdir, name: str) -> list[Any]:
    """What a command says of a ledger, asked in each of its ways."""
    customer = workdir.call("movements", *JSON_FORM).json["movements"][-1]["customer"]
    lines = [line.format(customer=customer).split() for line in ASKED[name]]
    return [workdir.call(*words, *JSON_FORM).json for words in lines]


def schema_of(name: str, values: Sequence[Any]) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "title": f"stripe-nrr {name}, version {JSON_SCHEMA}",
        **shape(values, ""),
    }


def shape(values: Sequence[Any], key: str) -> dict[str, Any]:
    """What all of these are, as far as they are alike."""
    told: dict[str, Any] = {"description": MEANINGS[key]} if key in MEANINGS else {}
    if not told and key.endswith("_minor"):
        told = {"description": "whole minor units of the currency"}
    if key == "schema":
        return {**told, "const": JSON_SCHEMA}
    kinds = sorted({_kind(value) for value in values})
    if "number" in kinds:  # a ratio: 1 without decimals, null where it has no value
        kinds = sorted({"null", *kinds} - {"integer"})
    if kinds and kinds != ["null"]:  # of what is always null here nothing is known
        told["type"] = kinds[0] if len(kinds) == 1 else kinds
    if "object" in kinds:
        told |= _object([value for value in values if isinstance(value, dict)], key)
    if "array" in kinds:
        items = [item for value in values if isinstance(value, list) for item in value]
        if items:
            told["items"] = shape(items, key.removesuffix("s"))
    return told


def _object(values: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    keys = dict.fromkeys(name for value in values for name in value)
    if key in MAPS:
        every = [each for value in values for each in value.values()]
        return {"additionalProperties": shape(every, "")} if every else {}
    return {
        "properties": {
            name: shape([value[name] for value in values if name in value], name)
            for name in keys
        },
        "required": [name for name in keys if all(name in value for value in values)],
    }


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def made() -> dict[str, str]:
    """Each file and its text."""
    found: dict[str, list[Any]] = {name: [] for name in ASKED}
    with tempfile.TemporaryDirectory() as folder:
        for workdir in ledgers(Path(folder)):
            for name in ASKED:
                found[name] += said(workdir, name)
        odd = with_refused(Path(folder))
        for name in REFUSING:
            found[name] += said(odd, name)
        several = Path(folder) / "several"
        several.mkdir()
        demo_and_shop(several)
        for name in ADDED_UP:
            found[name] += said(Workdir(several), name)
    schemas = {name: schema_of(name, values) for name, values in found.items()}
    return {
        f"{name}.json": json.dumps(schema, indent=1) + "\n"
        for name, schema in {
            **schemas,
            "accounts": accounts_schema(),
            "mcp": mcp_schema(),
        }.items()
    }


def accounts_schema() -> dict[str, Any]:
    """What a command that takes several accounts one after the other tells of each."""
    text = {"type": "string"}
    own = {
        "account": {**text, "description": "its name in the configuration"},
        "exit_code": {"type": "integer", "description": "as of it alone"},
        "error": {**text, "description": "what failed, where it did"},
        "fix": {**text, "description": "what to do about it"},
    }
    commands = ", ".join(LISTED)
    return {
        "$schema": DIALECT,
        "title": f"stripe-nrr of several accounts, version {JSON_SCHEMA}",
        "description": f"{commands}: each account with what the command tells of one, "
        "as the file of its name has it, without schema",
        "type": "object",
        "properties": {
            "schema": {"description": MEANINGS["schema"], "const": JSON_SCHEMA},
            "accounts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": own,
                    "required": ["account", "exit_code"],
                },
            },
        },
        "required": ["schema", "accounts"],
    }


def mcp_schema() -> dict[str, Any]:
    """Of each tool: what it may be asked, and the structured content of its answer."""
    tools = {name: declared(name, tool) for name, tool in TOOLS.items()}
    return {
        "$schema": DIALECT,
        "title": f"stripe-nrr mcp, version {JSON_SCHEMA}",
        "$defs": {
            name: {
                "description": tool.description,
                "properties": {
                    "arguments": tool.input_schema,
                    "structuredContent": _told_by(tool.output_schema, name),
                },
            }
            for name, tool in tools.items()
        },
    }


def _told_by(schema: Any, name: str) -> dict[str, Any]:
    result = schema["properties"]["result"]
    like = {**result, "$ref": f"{TOOLS[name].like}.json"}
    return {**schema, "properties": {**schema["properties"], "result": like}}


def main() -> None:
    files = made()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
