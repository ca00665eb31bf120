"""The packages and who may import whom, as a table; and what must stay outside."""

import ast
import re
from collections import Counter, defaultdict

import pytest

from connector.stripe_api import decoding, events, invoices, objects
from tests.support.source import (
    calls,
    inherits,
    keys,
    libraries,
    modules,
    ours,
    packages,
    texts,
)

# Each package may import those named, and itself. The order is that of the floors: none
# imports one below it in this table.
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "core": set(),
    "stripe_api": {"core"},
    "config": {"", "core"},
    "mrr": {"core", "stripe_api"},
    "valuation": {"core", "stripe_api", "mrr"},
    "metrics": {"core"},
    "store": {"core", "stripe_api", "mrr"},
    "lake": {"", "core", "stripe_api", "mrr", "metrics"},
    "pipeline": {
        *("core", "config"),
        *("stripe_api", "mrr", "metrics", "store"),
    },
    "reports": {
        "",
        "core",
        "config",
        "stripe_api",
        "mrr",
        "valuation",
        "metrics",
        "store",
        "pipeline",
    },
    "accounts": {"core", "config", "mrr", "metrics", "store", "reports"},
    "reconcile": {
        *("", "core", "config", "stripe_api", "mrr", "metrics", "store", "reports"),
    },
    "render": {"core", "mrr", "valuation", "metrics", "reports", "reconcile"},
    "digest": {"core", "mrr", "store", "pipeline", "reports", "render"},
    "webhooks": {"core", "config", "stripe_api", "store", "pipeline", "reports"},
    "dashboard": {
        *("", "core", "config", "mrr", "metrics", "store", "reports", "render"),
        *("webhooks", "accounts"),
    },
    "assistants": {
        *("", "core", "metrics", "store", "pipeline", "reports", "render"),
        "dashboard",
    },
    "cli": {
        *("", "core", "config", "stripe_api", "metrics", "store", "lake", "pipeline"),
        *("reports", "reconcile", "render", "digest", "webhooks", "dashboard"),
        *("accounts", "assistants"),
    },
    "__main__": {"cli"},
}
# Of what they may import of Stripe's API, these take the values alone.
VALUES = {
    *("decoding", "objects", "invoices", "events"),
    *("lists", "paging", "unfit", "shown_values", "faults"),
}
TAKE_VALUES = {"mrr", "valuation", "store", "lake", "reconcile"}

# No I/O and no clock: a value in, a value out.
PURE = {"core", "mrr", "valuation", "metrics", "render"}
PURE_MODULES = {
    *(f"stripe_api.{name}" for name in VALUES),
    *(
        f"reconcile.{name}"
        for name in ("files.headers", "cells", "leftovers", "model", "ratios", "shifts")
    ),
    "webhooks.payload",
}
# What lets the world in.
WORLD = {
    *("sqlite3", "sqlite_utils", "httpx", "stripe", "tenacity", "click", "logging"),
    *("os", "pathlib", "sys", "tempfile", "shutil", "subprocess", "socket"),
    *("time", "threading", "asyncio", "random", "secrets", "urllib"),
}
CLOCK = {"now", "today", "utcnow", "time", "time_ns", "monotonic"}

# Which package, or which module alone, may import a library.
HOMES = {
    "httpx": {"stripe_api.http", "stripe_api.client", "stripe_api.answer"},
    "tenacity": {"stripe_api.answer"},
    "stripe": {"stripe_api.http", "webhooks.endpoint"},
    "starlette": {"webhooks", "dashboard"},
    "uvicorn": {"webhooks.server"},
    "prometheus_client": {"webhooks.prometheus"},
    "sqlite_utils": {"store.opening"},
    "babel": {"core.money", "core.numbers"},
    "zoneinfo": {
        *(
            "config.settings",
            "config.values",
            "core.policy",
            "lake.source",
            "reports",
            "reconcile",
            "pipeline",
        ),
    },
    "jinja2": {"render.page"},
    "markupsafe": {"render.page"},
    "rich": {"render", "cli.forms", "cli.progress"},
    "click": {"cli"},
    "pyarrow": {"lake"},
    "duckdb": {"lake.duckdb"},
    "pyspark": {"lake.spark", "lake.workers"},
    "numpy": {"metrics.wide"},
    "xlsxwriter": {"render.workbook"},
    "mcp": set(),  # its types alone are used: its server brings a web server with it
    "mcp_types": {"assistants"},
}
HANDS_ON = {  # an error, to who asked, or to whose it is
    *(
        "pipeline.thread_pool",
        "stripe_api.answer",
        "cli.commands.ledger.sync",
        "assistants.protocol",
    ),
    *("webhooks.apply_events", "webhooks.worker", "lake.processes", "cli.accounts"),
}

SQL = re.compile(
    r"\b(SELECT\b.+\bFROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM"
    r"|CREATE (TABLE|VIEW|INDEX|TRIGGER)|PRAGMA )",
    re.DOTALL,
)


def package(module: str) -> str:
    return module.partition(".")[0]


def is_pure(module: str) -> bool:
    return package(module) in PURE or module in PURE_MODULES


def is_in(module: str, places: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{place}.") for place in places)


def test_every_package_is_in_the_table() -> None:
    assert {package(module) for module in modules()} == MAY_IMPORT.keys()


def test_data_flows_in_one_direction() -> None:
    floors = list(MAY_IMPORT)
    for name, others in MAY_IMPORT.items():
        assert all(floors.index(other) < floors.index(name) for other in others)


def test_no_two_modules_need_each_other() -> None:
    """A package's own ``__init__``, which hands names on, is left out."""
    needs = {m: {*ours(m)} - packages() - {m} for m in modules() if m not in packages()}
    while needs:  # take away what needs nothing that is left, until nothing is
        free = {module for module, others in needs.items() if not others}
        assert free, f"in a circle: {sorted(needs)}"
        needs = {m: others - free for m, others in needs.items() if m not in free}


def test_a_package_imports_only_what_the_table_allows() -> None:
    wrong = [
        (module, other)
        for module in modules()
        for other in ours(module)
        if package(other) not in {*MAY_IMPORT[package(module)], package(module)}
    ]
    assert wrong == []


def test_who_takes_values_of_stripe_alone_never_reaches_the_network() -> None:
    wrong = [
        (module, other)
        for module in modules()
        if package(module) in TAKE_VALUES
        for other in ours(module)
        if package(other) == "stripe_api" and other not in PURE_MODULES
    ]
    assert wrong == []


def test_no_command_imports_another() -> None:
    wrong = [
        (module, other)
        for module in modules()
        if package(module) == "cli"
        for other in ours(module)
        if other.startswith("cli.commands.")
    ]
    assert wrong == []


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    homes = {module for module in modules() if library in libraries(module)}
    assert {module for module in homes if not is_in(module, HOMES[library])} == set()


def test_a_pure_module_does_not_know_the_world() -> None:
    wrong = []
    for module in filter(is_pure, modules()):
        allowed = {"threading"} if module == "stripe_api.decoding" else set()  # a lock
        wrong += [(module, it) for it in libraries(module) & WORLD - allowed]
    assert wrong == []


def test_who_is_told_what_time_it_is_looks_at_no_clock() -> None:
    """Told a moment and a zone it needs none; told only a moment, the machine's zone."""
    wrong = []
    for module in modules():
        if not is_pure(module) and package(module) != "reports":
            continue
        nodes = list(ast.walk(modules()[module]))
        looks = (n for n in nodes if isinstance(n, ast.Attribute) and n.attr in CLOCK)
        owners = ("datetime", "date", "time")
        wrong += [(module, n.attr) for n in looks if ast.unparse(n.value) in owners]
        told = (n for n in nodes if isinstance(n, ast.Call) and len(n.args) != 2)
        names = (ast.unparse(n.func) for n in told)
        wrong += [(module, name) for name in names if name.endswith(".fromtimestamp")]
    assert wrong == []


def test_only_the_store_and_the_lake_speak_sql() -> None:
    asks = {"execute", "executemany", "executescript"}
    speakers = {
        module
        for module in modules()
        if any(map(SQL.search, texts(module))) or asks & calls(module)
    }
    assert {package(module) for module in speakers} == {"store", "lake"}


def test_only_commands_print() -> None:
    says = {"print", "echo", "secho", "exit"}
    wrong = {m for m in modules() if package(m) != "cli" and says & calls(m)}
    assert wrong == set()


def test_what_is_printed_passes_one_place() -> None:
    """Where control characters that came with a name are made visible."""
    printing = {
        module
        for module in modules()
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "click.echo"
    }
    assert printing == {"cli.output"}


def test_reports_switch_nothing_of_the_process() -> None:
    switches = {"disable", "enable", "setswitchinterval", "setrecursionlimit", "freeze"}
    assert {
        m for m in modules() if package(m) != "cli" and switches & calls(m)
    } == set()


def test_nobody_swallows_what_he_does_not_know() -> None:
    """``except Exception`` would turn a lost page into a wrong figure."""
    swallowing = {
        module
        for module in modules()
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id in ("Exception", "BaseException")
        and not any(isinstance(each, ast.Raise) for each in node.body)
    }
    assert swallowing <= HANDS_ON


def test_every_module_says_on_its_first_line_what_it_is_for() -> None:
    for module, tree in modules().items():
        told = ast.get_docstring(tree)
        assert told, module
        assert told.splitlines()[0].endswith((".", "?", ":")), module


def test_what_checks_the_derivation_is_not_built_of_it() -> None:
    """Both valuations share a price's arithmetic (``pricing``, ``tiers``) and no more."""
    shared = {"mrr.pricing", "mrr.tiers", "mrr.history"}
    apart = {m for m in modules() if package(m) == "valuation"} | shared
    own = {other for module in apart for other in ours(module)}
    assert {other for other in own if package(other) == "mrr"} <= shared


def test_a_class_name_means_one_thing() -> None:
    named = defaultdict(set)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                named[node.name].add(module)
    assert {name: at for name, at in named.items() if len(at) > 1} == {}


def test_a_folder_is_a_stage_of_at_most_fifteen_modules() -> None:
    inside = (m.rpartition(".")[0] for m in modules() if m not in packages())
    sizes = Counter(folder for folder in inside if folder)
    assert {folder: n for folder, n in sizes.items() if n > 15} == {}


# Of Stripe's words, those that are keys of ours too: of the rules, of benchmarks.toml, of
# an [[account]].
OWN_KEYS = {"timezone", "source", "name", "account"}


def test_only_four_modules_say_what_stripe_calls_its_fields() -> None:
    """All others know attributes, which mypy checks; SQL has to name some as texts."""
    shapes = {m for m in modules() if inherits(m, "Base")}
    assert shapes == {
        f"stripe_api.{name}" for name in ("decoding", "objects", "invoices", "events")
    }
    shapes.add("lake.flat")  # builds objects of tables, whose columns are called alike
    found = (
        each
        for module in (decoding, objects, invoices, events)
        for each in vars(module).values()
    )
    fields = {
        name
        for each in found
        if isinstance(each, type) and issubclass(each, decoding.Base)
        for name in each.__struct_fields__
    }
    wrong = [
        (module, key)
        for module in modules()
        if module not in shapes
        for key in keys(module)
        if key in fields - OWN_KEYS
    ]
    assert wrong == []
