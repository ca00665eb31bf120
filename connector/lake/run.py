"""A run: a folder of its own with the tables, and ``run.json``, which tells of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from pyarrow import ArrowException
from pyarrow import parquet as pq

from connector.core.account import StripeIdentity
from connector.core.dates import local_day
from connector.core.errors import LakeUnusable, UnknownStripeShape
from connector.core.model import Refusal
from connector.core.policy import Rules
from connector.lake import parquet
from connector.lake.derive import LakeAccount, LakeTask
from connector.lake.flat import FLAT, flat_object
from connector.lake.folders import folder_draft, take_away
from connector.lake.objects import READERS
from connector.lake.source import CATALOGUE, SCHEMA, LakeSource
from connector.lake.tables import DERIVED, SOLD, WINDOWS
from connector.mrr.history import Catalogue
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
    refusals: list[Refusal] = []
    accounts = {
        str(n): LakeAccount(it.manifest.shape, _catalogue(it, refusals))
        for n, it in enumerate(sources)
    }
    until_s = min(each.known_until_s for each in sources)
    return Prepared(
        sources=sources,
        task=LakeTask(rules, until_s, accounts),
        refusals=sorted(set(refusals)),
    )


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
        (draft / "sold").mkdir()
        parquet.write(draft / "sold" / "part-0.parquet", SOLD, _sold(given))
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


def _sold(given: Prepared) -> Iterator[parquet.Row]:
    """Every price of a product that has a name."""
    for _, shared in given.task.accounts.values():
        for key, price in shared.prices.items():
            product = shared.products.get(ref(price.product))
            if product is not None and product.name:
                yield key, product.name


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


def write_windows(draft: Path, rows: Sequence[parquet.Row], given: Prepared) -> None:
    """The figures, each with how much its source shows."""
    (draft / "windows").mkdir()
    labelled = ((*row, given.shape) for row in rows)
    parquet.write(draft / "windows" / "part-0.parquet", WINDOWS, labelled)


def _count(folder: Path) -> int:
    try:
        return sum(pq.read_metadata(x).num_rows for x in folder.glob("*.parquet"))
    except (ArrowException, OSError) as error:
        raise parquet.unreadable(folder, error) from error


def newest(out: Path) -> tuple[Path, LakeRun]:
    """A run's folder, or the newest in a folder of runs; ``LakeUnusable`` for none."""
    is_run = (out / RUN).exists()
    places = [out] if is_run else sorted(it.parent for it in out.glob(f"run-*/{RUN}"))
    if not places:
        raise LakeUnusable(
            f"there is no run in {out}", fix="make one with `stripe-nrr lake SRC OUT`"
        )
    path = places[-1] / RUN
    try:
        run = msgspec.json.decode(path.read_bytes(), type=LakeRun)
    except (msgspec.MsgspecError, OSError) as error:
        raise parquet.unreadable(path, error) from error
    return places[-1], run


def not_derived(place: Path) -> dict[str, str]:
    """Whose history breaks the derivation, and why."""
    rows = parquet.read(place / "refusals", ["customer", "value", "why"])
    return {str(who): str(said) for who, said, why in rows if why == "not_derived"}
