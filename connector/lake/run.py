"""A run: a folder of its own with the tables, and ``run.json``, which tells of it."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct
from pyarrow import ArrowException
from pyarrow import parquet as pq

from connector.core.account import StripeIdentity
from connector.core.dates import local_day, month_start, months
from connector.core.errors import LakeUnusable, UnknownStripeShape
from connector.core.model import Refusal
from connector.core.policy import NO_COMPANIES, Rules, zone_of
from connector.core.windows import WindowKind, windows
from connector.lake import parquet
from connector.lake.derive import LakeTask
from connector.lake.flat import FLAT, flat_object
from connector.lake.folders import folder_draft, take_away
from connector.lake.histories import LakeAccount
from connector.lake.objects import READERS
from connector.lake.queries import (
    CHAINED,
    MERGED,
    PAIRS,
    Engine,
    LakeQueries,
    chained,
)
from connector.lake.source import CATALOGUE, SCHEMA, LakeSource
from connector.lake.tables import ASKED, DERIVED, SOLD, WINDOWS
from connector.mrr.history import Catalogue
from connector.mrr.several_accounts import renamed_prices
from connector.stripe_api.decoding import ref
from connector.stripe_api.unfit import UnfitObject

RUN = "run.json"
Moment = Annotated[datetime, Meta(tz=True)]


class LakeRun(Struct, frozen=True, kw_only=True):
    """``policy`` are the rules as texts, ``rows`` how many each table has."""

    schema: int
    started_at: Moment
    engine: str
    code_version: str
    policy: Mapping[str, str]
    known_until: Moment
    source_shape: str
    accounts: Sequence[StripeIdentity]
    rows: Mapping[str, int]


class Prepared(Struct, frozen=True, kw_only=True):
    """What an engine is given; ``refusals`` are the catalogue's own, nobody's."""

    sources: Sequence[LakeSource]
    task: LakeTask
    refusals: Sequence[Refusal]

    @property
    def shape(self) -> str:
        return "+".join(sorted({each.manifest.shape for each in self.sources}))

    @property
    def last_day(self) -> date:
        return local_day(self.task.until_s, self.task.rules.zone)


def prepared(sources: Sequence[LakeSource], rules: Rules) -> Prepared:
    """The catalogues read, and until when all of the accounts are known."""
    for each in sources if rules.company.key else ():
        if "customers" not in each.kinds:
            raise LakeUnusable(
                f"{each.folder} has no Parquet of customers, whose metadata say which "
                "company each is of",
                fix="write a folder of them (flat tables have none), or name the companies "
                "in a file: account_file under [customers]",
            )
    refusals: list[Refusal] = []
    known = [_catalogue(each, refusals) for each in sources]
    sold = {each.name: _sold(it) for each, it in zip(sources, known, strict=True)}
    names = renamed_prices(sold)
    accounts = {
        str(n): LakeAccount(each.manifest.shape, it, each.name, names[each.name])
        for n, (each, it) in enumerate(zip(sources, known, strict=True))
    }
    until_s = min(each.known_until_s for each in sources)
    return Prepared(
        sources=sources,
        task=LakeTask(rules, until_s, accounts),
        refusals=sorted(set(refusals)),
    )


def _sold(shared: Catalogue) -> dict[str, str]:
    """What each price sells, as its product is called; "" where nobody knows."""
    names = {key: product.name for key, product in shared.products.items()}
    return {k: names.get(ref(it.product)) or "" for k, it in shared.prices.items()}


def _catalogue(source: LakeSource, refusals: list[Refusal]) -> Catalogue:
    read = READERS[source.manifest.shape]
    found: dict[str, dict[str, Any]] = {}
    for kind in CATALOGUE:
        things = found[kind] = {}
        for body in _bodies(source, kind):
            try:
                thing = read(kind, body)
            except UnknownStripeShape:
                continue  # as the ledger has it: missing, and who uses it is named
            if isinstance(thing, UnfitObject):
                told = {"field": thing.field, "value": thing.value}
                refusals.append(Refusal(customer="", object_id=thing.id, **told))
            elif thing is not None:
                things[ref(thing)] = thing
    return Catalogue(**found)


def _bodies(source: LakeSource, kind: str) -> Iterator[bytes]:
    if source.manifest.shape != FLAT:
        for (body,) in parquet.read(source.folder / kind, [source.manifest.body]):
            yield str(body).encode()
        return
    for row in parquet.read_named(source.folder / kind):
        plain = {name: it for name, it in row.items() if not isinstance(it, datetime)}
        yield json.dumps(flat_object(kind, plain), default=str).encode()


def write_run(
    out: Path,
    given: Prepared,
    engine: str,
    now: datetime,
    fill: Callable[[Path], None],
) -> Path:
    """Have ``fill`` write every table into a folder, and keep it once it is whole."""
    take_away(out.glob(".run-*.draft"))
    place = _unused(out / f"run-{now:%Y%m%dT%H%M%SZ}")
    with folder_draft(place, RUN) as draft:
        fill(draft)
        _own_refusals(draft, given.refusals)
        _put(draft / "sold", SOLD, _names_sold(given))
        rules = given.task.rules
        run = LakeRun(
            schema=SCHEMA,
            started_at=now,
            engine=engine,
            code_version=rules.code_version,
            policy=rules.settings(),
            known_until=datetime.fromtimestamp(given.task.until_s, UTC),
            source_shape=given.shape,
            accounts=[each.manifest.account for each in given.sources],
            rows={table: _count(draft / table) for table in (*DERIVED, "windows")},
        )
        text = msgspec.json.format(msgspec.json.encode(run), indent=2)
        (draft / RUN).write_bytes(text + b"\n")
    return place


def fill_with(engine: Engine, given: Prepared, draft: Path) -> None:
    """Write every table of a run; ``LakeUnusable`` says what could not be read."""
    rules, names = given.task.rules, draft / "names"
    asked = LakeQueries(given.sources, rules.company, engine.dialect, names)
    _put(names / "merged", MERGED, rules.merge.items())
    if asked.accounts is None:
        _put(names / "accounts", MERGED, ())
    else:
        engine.keep(asked.accounts, names / "accounts")
    if rules.company != NO_COMPANIES:
        _put(names / "pairs", PAIRS, rules.company.pairs.items())
        engine.keep(asked.named, names / "named")
        links = engine.ask(asked.links)
        rows = chained(links, given.task.accounts, rules.merge)
        _put(names / "chained", CHAINED, rows)
    engine.derive(given.task, asked.rows, draft)
    [[first]] = engine.ask(asked.first_day(draft))
    _put(names / "asked", ASKED, windows_asked(first, given.last_day))
    figures = engine.ask(asked.windows(draft))
    _put(draft / "windows", WINDOWS, ((*row, given.shape) for row in figures))
    shutil.rmtree(names)


def windows_asked(first: date | None, last: date) -> list[parquet.Row]:
    """Every standard window of the months from ``first`` to ``last``, month by month.

    First is the day of the first movement: without one there is nothing to ask for.
    """
    if first is None:
        return []
    since, until = month_start(first), max(month_start(last), month_start(first))
    return [
        (kind.value, start, end, f"{month:%Y-%m}")
        for kind in WindowKind
        for kind, start, end in windows(kind, since, until)
        for month in months(start, end)
    ]


def _put(folder: Path, columns: parquet.Columns, rows: Iterable[parquet.Row]) -> None:
    folder.mkdir(parents=True)
    parquet.write(folder / "part-0.parquet", columns, rows)


def _names_sold(given: Prepared) -> Iterator[parquet.Row]:
    """Every price of a product that has a name."""
    for account in given.task.accounts.values():
        for key, name in _sold(account.catalogue).items():
            if name:
                yield account.prices.get(key, key), name


def _unused(place: Path) -> Path:
    """Of two runs in one second the later is named so that it is read as the newest."""
    names = (place.with_name(f"{place.name}-{n}") for n in range(2, 1_000))
    return next(each for each in (place, *names) if not each.exists())


def _own_refusals(draft: Path, refusals: Sequence[Refusal]) -> None:
    if refusals:
        parquet.write(
            draft / "refusals" / "catalogue.parquet",
            DERIVED["refusals"],
            (
                (x.customer, x.object_id, x.field, x.value, "set_aside")
                for x in refusals
            ),
        )


def _count(folder: Path) -> int:
    try:
        return sum(pq.read_metadata(x).num_rows for x in folder.glob("*.parquet"))
    except (ArrowException, OSError) as error:
        raise parquet.unreadable(folder, error) from error


class KeptRun(NamedTuple):
    place: Path
    told: LakeRun

    @property
    def zone(self) -> tzinfo:
        return zone_of(self.told.policy)


def newest(out: Path, until: datetime | None = None) -> KeptRun:
    """A run, or the newest in a folder of runs, or of those begun by a moment.

    Raises ``LakeUnusable`` where there is none.
    """
    is_run = (out / RUN).exists()
    places = [out] if is_run else sorted(it.parent for it in out.glob(f"run-*/{RUN}"))
    oldest = None
    for place in reversed(places):
        oldest = KeptRun(place, _told(place / RUN))
        if until is None or oldest.told.started_at <= until:
            return oldest
    if until is None or oldest is None:
        raise LakeUnusable(
            f"there is no run in {out}", fix="make one with `stripe-nrr lake SRC OUT`"
        )
    raise LakeUnusable(
        f"there is no run of before {_second(until)} in {out}: the oldest is of "
        f"{_second(oldest.told.started_at)}",
        fix="a run has no past of its own: name a later moment, or read a ledger",
    )


def _second(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _told(path: Path) -> LakeRun:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LakeRun)
    except (msgspec.MsgspecError, OSError) as error:
        raise parquet.unreadable(path, error) from error


def not_derived(place: Path) -> dict[str, str]:
    """Whose history breaks the derivation, and why."""
    rows = parquet.read(place / "refusals", ["customer", "value", "why"])
    return {str(who): str(said) for who, said, why in rows if why == "not_derived"}
