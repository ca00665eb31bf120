"""A folder of Stripe's objects in Parquet: a folder a kind, and a manifest.

``manifest.json`` says whose objects they are and until when they are known; a folder of
such folders is several accounts. ``shape`` is how much a body says:

    mirror    what `export --what mirror` writes: the fields that MRR needs, and versions
    objects   whole Stripe objects, as a pipeline keeps them in a column of raw JSON
    flat      tables of today's state, a column a field; the past is lost (``flat``)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from connector import __version__
from connector.core.account import NOBODY, StripeIdentity
from connector.core.errors import LakeUnusable
from connector.lake import parquet
from connector.lake.folders import folder_draft

MANIFEST = "manifest.json"
SCHEMA = 1  # of manifest and rows: a change of meaning raises it
CATALOGUE = ("products", "prices", "coupons")
OWNED = (
    *("customers", "subscriptions", "versions", "invoices", "invoice_items"),
    *("events", "set_aside"),
)
NEEDED = ("prices", "subscriptions", "invoices")
OF_TABLES = ("subscriptions", "subscription_items", "invoices", "invoice_line_items")
COLUMNS: parquet.Columns = {"id": str, "customer": str, "at": int, "body": str}
TOGETHER = 5_000  # bodies that are held at a time


class Manifest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``body`` is the column that holds the objects; ``rows``: how many of each kind."""

    schema: int
    shape: Literal["mirror", "objects", "flat"]
    known_until: Annotated[datetime, Meta(tz=True)]
    timezone: str | None = None
    account: StripeIdentity = NOBODY
    body: str = "body"
    code_version: str = ""
    rows: Mapping[str, int] = {}


class LakeSource(Struct, frozen=True, kw_only=True):
    """One account's folder; ``kinds`` are those that have files."""

    folder: Path
    manifest: Manifest
    kinds: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def known_until_s(self) -> int:
        return int(self.manifest.known_until.timestamp())

    @property
    def owned(self) -> tuple[str, ...]:
        """The kinds whose objects are a customer's."""
        return tuple(kind for kind in self.kinds if kind not in CATALOGUE)

    @property
    def zone(self) -> ZoneInfo | None:
        name = self.manifest.timezone
        return None if name is None else ZoneInfo(name)


def write_mirror(
    target: Path,
    manifest: Manifest,
    rows_of: Mapping[str, Callable[[], Iterable[parquet.Row]]],
) -> Manifest:
    """Write each kind's rows (see ``COLUMNS``) and the manifest; return it, counted."""
    with folder_draft(target, MANIFEST) as draft:
        counts = {}
        for kind, rows in rows_of.items():
            (draft / kind).mkdir()
            place = draft / kind / "part-0.parquet"
            counts[kind] = parquet.write(place, COLUMNS, rows(), TOGETHER)
        counted = replace(manifest, code_version=__version__, rows=counts)
        text = msgspec.json.format(msgspec.json.encode(counted), indent=2)
        (draft / MANIFEST).write_bytes(text + b"\n")
    return counted


def sources_in(folder: Path) -> list[LakeSource]:
    """The folder's account, or those of the folders in it, in order of their names.

    Raises ``LakeUnusable`` where there is none, or one lacks what MRR is made of.
    """
    folders = [folder] if (folder / MANIFEST).exists() else sorted(folder.glob("*/"))
    found = [_source(each) for each in folders if (each / MANIFEST).exists()]
    if not found:
        raise LakeUnusable(
            f"there is no {MANIFEST} in {folder}, nor in a folder of it",
            fix="write one with `stripe-nrr export --what mirror -o DIR`, or by hand as "
            "docs/lake.md shows",
        )
    _check_apart(found)
    return found


def _check_apart(sources: Sequence[LakeSource]) -> None:
    """Raise ``LakeUnusable`` where two are of one account, or of two modes."""
    of: dict[str, Path] = {}
    modes: dict[bool, Path] = {}
    for each in sources:
        whose = each.manifest.account
        if whose.id is not None and of.setdefault(whose.id, each.folder) != each.folder:
            raise LakeUnusable(
                f"{of[whose.id]} and {each.folder} are both of {whose.id}: it would count "
                "twice",
                fix=ONE_OF_THEM,
            )
        if whose.livemode is not None:
            modes.setdefault(whose.livemode, each.folder)
    if len(modes) > 1:
        raise LakeUnusable(
            f"{modes[True]} is of live mode and {modes[False]} of test mode, whose money "
            "is none: they do not add up",
            fix=ONE_OF_THEM,
        )


ONE_OF_THEM = "name one of them as SRC, or move the other one elsewhere"


def _source(folder: Path) -> LakeSource:
    manifest = _manifest(folder / MANIFEST)
    is_flat = manifest.shape == "flat"
    owned, needed = (OF_TABLES, (*NEEDED, *OF_TABLES)) if is_flat else (OWNED, NEEDED)
    kinds = [k for k in (*CATALOGUE, *owned) if any((folder / k).glob("*.parquet"))]
    lacking = [kind for kind in dict.fromkeys(needed) if kind not in kinds]
    if lacking:
        raise LakeUnusable(
            f"{folder} has no Parquet of {', '.join(lacking)}",
            fix="MRR is made of these: write a folder of each, with a file at least",
        )
    return LakeSource(folder=folder, manifest=manifest, kinds=tuple(kinds))


def _manifest(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        if manifest.timezone is not None:
            ZoneInfo(manifest.timezone)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise LakeUnusable(
            f"{path} is no manifest: {error}", fix="docs/lake.md shows what it says"
        ) from error
    if manifest.schema != SCHEMA:
        raise LakeUnusable(
            f"{path} is of schema {manifest.schema}, and this version reads {SCHEMA}",
            fix="upgrade stripe-nrr, or write the folder anew",
        )
    return manifest
