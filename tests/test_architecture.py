"""Which room may know which: the house's plan as a table, and what must stay outside."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.books import lived, post
from tests.ledgers import empty_ledger

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "connector"

VOCABULARY = {"errors", "money", "periods", "model", "windows"}
HISTORY = VOCABULARY | {"stripe_objects", "history"}
EVIDENCE = HISTORY | {"charges"}
FIGURES = VOCABULARY | {"retention", "metrics", "causes", "benchmarks", "report"}
MIRRORED = {
    "stripe_objects",
    "ranges",
    "walks",
    "horizon",
    "copies",
    "mirror",
    "database",
}
MAY_IMPORT = {
    # the vocabulary: pure, and knows nobody but itself
    "errors": set(),
    "money": set(),
    "periods": set(),
    "model": {"money", "periods"},
    "windows": {"model", "periods"},
    # the derivation: pure, one customer at a time, and no stage knows the next
    "stripe_objects": VOCABULARY,
    "listings": {"stripe_objects"},
    "ranges": {"stripe_objects", "listings"},
    "hints": VOCABULARY | {"stripe_objects", "listings"},
    "history": VOCABULARY | {"stripe_objects"},
    "mrr": VOCABULARY | {"stripe_objects"},
    "charges": HISTORY | {"mrr"},
    "facts": EVIDENCE | {"mrr"},
    "changes": EVIDENCE | {"facts"},
    "spans": VOCABULARY,
    "trials": EVIDENCE | {"spans", "mrr"},
    "standing": EVIDENCE | {"spans", "trials"},
    "discount_places": EVIDENCE,
    "discounts": EVIDENCE | {"facts", "spans", "discount_places"},
    "taxes": EVIDENCE,
    "timeline": EVIDENCE
    | {
        "facts",
        "changes",
        "trials",
        "standing",
        "discount_places",
        "discounts",
        "taxes",
        "mrr",
    },
    "movements": VOCABULARY | {"mrr"},
    "terms": EVIDENCE,
    "derivation": HISTORY | {"rules", "timeline", "movements", "terms"},
    "risks": EVIDENCE | {"standing"},
    # the same without the past: what live objects imply, and why the ledger differs
    "implied": EVIDENCE
    | {"facts", "spans", "discount_places", "discounts", "taxes", "mrr"},
    "reconcile": EVIDENCE | {"implied"},
    # the figures: pure, and know the ledger's movements only
    "rates": VOCABULARY,
    "retention": VOCABULARY,
    "tallies": VOCABULARY | {"retention"},
    "conversion": VOCABULARY | {"retention"},
    "metrics": VOCABULARY | {"retention"},
    "segments": VOCABULARY | {"retention", "tallies"},
    "sums": VOCABULARY | {"retention"},
    "causes": VOCABULARY | {"retention"},
    "cohorts": VOCABULARY | {"retention"},
    "benchmarks": VOCABULARY,
    "checks": VOCABULARY | {"movements", "retention"},
    "variants": VOCABULARY | {"retention"},
    "drift": VOCABULARY | {"variants"},
    "contributions": VOCABULARY | {"movements", "retention"},
    "restatements": VOCABULARY,
    "switches": VOCABULARY,
    "report": VOCABULARY | {"retention", "metrics", "causes", "benchmarks"},
    # the figures, written down: pure, and nothing is worked out
    "columns": set(),
    "report_json": FIGURES,
    "footnotes": FIGURES,
    "tables": FIGURES | {"columns", "report_json", "footnotes"},
    "cohort_tables": VOCABULARY | {"columns", "cohorts", "report_json"},
    "movement_rows": VOCABULARY | {"segments"},
    "outlook": VOCABULARY | {"columns", "retention", "risks", "report_json"},
    # the figures as one page of HTML
    "charts": set(),
    "page_charts": FIGURES | {"charts"},
    "page_figures": FIGURES | {"tables", "page_charts"},
    "page_lists": VOCABULARY | {"cohort_tables", "outlook", "risks", "tables"},
    "page": FIGURES
    | {"cohort_tables", "footnotes", "outlook", "tables"}
    | {"page_charts", "page_figures", "page_lists"},
    # the stores: SQL, and no derivation
    "schema": set(),
    "database": VOCABULARY | {"schema"},
    "walks": VOCABULARY | {"listings", "ranges"},
    "horizon": set(),
    "copies": {"stripe_objects"},
    "refusals": VOCABULARY,
    "inbox": VOCABULARY | {"database"},
    "histories": {"stripe_objects", "history", "database"},
    "marks": set(),
    "mirror": VOCABULARY
    | {"stripe_objects", "history", "histories", "marks", "database"},
    "ledger": VOCABULARY,
    "posting": VOCABULARY | {"ledger", "database"},
    "customers": {"database"},
    "closings": VOCABULARY | {"ledger", "restatements", "retention"},
    "positions": VOCABULARY | {"ledger"},
    "agreements": VOCABULARY,
    "exports": VOCABULARY,
    "window_sums": VOCABULARY | {"retention", "sums"},
    # the shell: network, clock and files
    "config": VOCABULARY,
    "limiter": {"errors"},
    "stripe_clock": set(),
    "stripe_http": VOCABULARY | {"stripe_objects", "stripe_clock", "limiter"},
    "stripe_api": VOCABULARY | {"stripe_objects", "listings", "stripe_http", "limiter"},
    "crew": set(),
    "intake": MIRRORED | {"errors", "listings", "crew"},
    "refresh": MIRRORED | {"intake", "listings"},
    "sync": MIRRORED | {"errors", "listings", "intake", "refresh"},
    "upkeep": {"errors", "intake", "sync", "adoption", "recompute", "rules"},
    "schedule": set(),
    "status": {"model"},
    "symptoms": set(),
    "doctor": {"symptoms"},
    "rules": VOCABULARY,
    "poison": VOCABULARY,
    "adoption": {"errors", "rules", "marks", "database"},
    "processes": {"rules", "derivation", "histories", "history", "poison", "database"},
    "recompute": HISTORY
    | {
        "rules",
        "adoption",
        "derivation",
        "histories",
        "mirror",
        "marks",
        "poison",
        "processes",
    }
    | {"refusals", "posting", "customers", "database"}
    | {"agreements", "positions", "sums", "window_sums"},
    "comparison": HISTORY | {"rules", "switches", "timeline", "mirror", "marks"},
    # webhooks: the door, the thread that keeps, the thread that works off, the operator's
    "signatures": VOCABULARY,
    "group_commit": VOCABULARY | {"inbox", "database"},
    "webhook": VOCABULARY | {"hints", "inbox", "signatures"},
    "arrivals": VOCABULARY
    | {"listings", "inbox", "marks", "horizon", "database"}
    | {"rules", "adoption", "recompute", "poison", "intake", "refresh"},
    "worker": VOCABULARY | {"inbox", "database", "rules", "arrivals"},
    "pulse": VOCABULARY | {"inbox", "horizon", "database"},
    "prometheus": VOCABULARY | {"pulse"},
    "admin": VOCABULARY | {"pulse"},
    "server": VOCABULARY,
    "demo_rules": set(),
    "demo": VOCABULARY | {"demo_rules"},
    "terminal": VOCABULARY | {"segments"},
    "terminal_report": FIGURES | {"footnotes", "tables", "terminal"},
    "terminal_cohorts": VOCABULARY | {"cohort_tables"},
    "terminal_outlook": VOCABULARY | {"outlook", "terminal_report"},
}
PURE = {
    *VOCABULARY,
    *(
        "stripe_objects",
        "listings",
        "hints",
        "history",
        "mrr",
        "charges",
        "facts",
        "changes",
    ),
    *(
        "spans",
        "trials",
        "standing",
        "discount_places",
        "discounts",
        "taxes",
        "timeline",
        "movements",
        "derivation",
        "implied",
        "reconcile",
    ),
    *(
        "rates",
        "windows",
        "retention",
        "tallies",
        "checks",
        "report",
        "rules",
        "demo_rules",
    ),
    *("terms", "conversion", "metrics", "segments", "causes", "cohorts", "benchmarks"),
    *("report_json", "footnotes", "tables", "cohort_tables", "movement_rows"),
    *("risks", "outlook", "sums"),
    *("symptoms", "doctor", "ranges", "schedule"),
    *("charts", "page_charts", "page_figures", "page_lists"),
    *("variants", "drift", "contributions", "restatements", "switches", "columns"),
}
STORES = {
    *(
        "schema",
        "database",
        "marks",
        "mirror",
        "histories",
        "copies",
        "walks",
        "refusals",
    ),
    *("horizon", "posting", "customers"),
    *("inbox", "ledger", "closings", "positions", "agreements", "window_sums"),
    "exports",
}

WRITES_CSV = {"tables", "cohort_tables", "movement_rows", "outlook", "columns"}

# What lets the world in.
WORLD = {
    *("sqlite3", "sqlite_utils", "httpx", "stripe", "tenacity", "click", "rich"),
    *("os", "pathlib", "sys", "io", "tempfile", "shutil", "subprocess", "socket"),
    *("time", "logging", "threading", "asyncio", "random", "secrets", "urllib"),
}
CLOCK = {"now", "today", "utcnow", "time", "time_ns", "monotonic"}
CLOCK_OWNERS = {"datetime", "date", "time"}

# Who alone may import what.
ALONE = {
    "httpx": {"stripe_http", "stripe_api", "demo"},
    "tenacity": {"stripe_http"},
    "stripe": {"stripe_http", "signatures"},
    "starlette": {"webhook", "admin"},
    "uvicorn": {"server"},
    "prometheus_client": {"prometheus"},
    "sqlite_utils": {"database"},
    "babel": {"money"},
    "zoneinfo": {"config", "rules"},
    "jinja2": {"page"},
    "markupsafe": {"page"},
    "rich": {"terminal", "terminal_report", "terminal_cohorts", "terminal_outlook"},
    "click": set(),
}


def is_command(module: str) -> bool:
    """The command's own modules may know everybody, and nobody knows them."""
    return module.startswith(("cli", "__"))


MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
ROOMS = [module for module in MODULES if not is_command(module)]


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Every name that is imported, also inside functions and for types only."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "connector":
            yield from (f"connector.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "rooms are named in full"
            yield node.module


def doors(module: str) -> set[str]:
    """The rooms of ours that it opens on."""
    named = (name.split(".") for name in imports(module))
    return {name[1] for name in named if name[0] == "connector"}


def outside(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)}


# --- the rooms ---


def test_every_room_is_on_the_plan() -> None:
    assert set(ROOMS) == MAY_IMPORT.keys()


def test_the_plan_has_no_circle() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize("module", ROOMS)
def test_only_the_allowed_doors_are_open(module: str) -> None:
    assert doors(module) <= MAY_IMPORT[module]


@pytest.mark.parametrize("module", MODULES)
def test_a_room_says_on_its_first_line_what_it_is_for(module: str) -> None:
    told = ast.get_docstring(tree(module))
    assert told
    assert told.splitlines()[0].endswith((".", "?", ":"))


# --- the pure rooms ---


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_room_has_no_window(module: str) -> None:
    allowed = {"io"} if module in WRITES_CSV else set()  # a text in memory
    if module == "stripe_objects":
        allowed = {"threading"}  # a lock
    assert not outside(module) & (WORLD - allowed)


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_room_has_no_clock(module: str) -> None:
    nodes = list(ast.walk(tree(module)))
    named = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in CLOCK_OWNERS
    }
    assert not named & CLOCK
    # Told a moment and a zone it looks at no clock, told only a moment at the machine's.
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr != "fromtimestamp" or len(node.args) == 2


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_pure_room_opens_on_pure_rooms_only(module: str) -> None:
    assert doors(module) <= PURE


# --- who alone may do what ---


@pytest.mark.parametrize("library", ALONE)
def test_a_library_has_one_home(library: str) -> None:
    homes = {module for module in ROOMS if library in outside(module)}
    assert homes <= ALONE[library]


SQL = re.compile(
    r"\b(SELECT\b.+\bFROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM"
    r"|CREATE (TABLE|VIEW|INDEX|TRIGGER)|PRAGMA )",
    re.DOTALL,
)


def texts(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_only_the_stores_speak_sql() -> None:
    speakers = {module for module in MODULES if any(map(SQL.search, texts(module)))}
    assert speakers == STORES


def calls(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr


@pytest.mark.parametrize("module", sorted(set(ROOMS) - STORES))
def test_only_the_stores_ask_the_database(module: str) -> None:
    assert not {"execute", "executemany", "executescript"} & set(calls(module))


@pytest.mark.parametrize("module", ROOMS)
def test_only_the_command_prints(module: str) -> None:
    assert not {"print", "echo", "secho", "exit"} & set(calls(module))


HANDS_ON = {"crew"}  # to the thread that asked, which raises it


@pytest.mark.parametrize("module", sorted(set(ROOMS) - HANDS_ON))
def test_no_room_swallows_what_it_does_not_know(module: str) -> None:
    """``except Exception`` would turn a lost page into a wrong figure."""
    caught = [
        node.type.id if isinstance(node.type, ast.Name) else ""
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ExceptHandler)
        and not any(isinstance(each, ast.Raise) for each in node.body)
    ]
    assert not {"Exception", "BaseException"} & set(caught)


# --- what reading costs ---

HEAVY = (
    *("stripe", "httpx", "tenacity", "asyncio", "sqlite_utils", "rich", "babel"),
    *("starlette", "uvicorn", "prometheus_client", "jinja2"),
)
RUN = """
import sys
sys.argv = ["stripe-nrr", *sys.argv[1:]]
from connector.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with one customer, and a configuration that names it."""
    place = tmp_path_factory.mktemp("ledger")
    with empty_ledger() as connection:
        post(connection, lived("cus_1", "50 90"))
        connection.execute("VACUUM INTO ?", [str(place / "stripe-nrr.db")])
    (place / "config.toml").write_text("")
    return place


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("--help", id="help"),
        pytest.param("report --help", id="help of a command that reads"),
        pytest.param("sync --help", id="help of a command that asks Stripe"),
        pytest.param("report --format json", id="a report as JSON"),
        pytest.param("report --format csv", id="a report as CSV"),
        pytest.param("movements --format json", id="movements as JSON"),
        pytest.param("drift --format json", id="formula drift as JSON"),
        pytest.param("explain --window 2024-03 --format json", id="a window as JSON"),
        pytest.param("restatements --format json", id="restatements as JSON"),
    ],
)
def test_reading_imports_nothing_heavy(folder: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command.split()],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    imported = set(done.stderr.split())
    assert "connector.cli" in imported
    assert not imported & set(HEAVY)
