"""The SQL that both engines read alike: objects as rows, whose they are, the windows.

Where an engine has no ``get_json_object`` it makes one. What is asked beside the source's
folders is in folders of a run's own (``names``):

    merged      former, survivor: ids that were left
    accounts    former, survivor: Accounts, with the customer that each is
    pairs       customer, company: as the configuration's file says
    named       account, customer, company: whose company is called how
    chained     account, company, owner: where a company is itself counted elsewhere
    asked       the windows that are asked for
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from connector.core.policy import NO_COMPANIES, CompanyRule
from connector.lake.flat import FLAT, PARTS
from connector.lake.parquet import Columns
from connector.lake.source import LakeSource
from connector.lake.sql.dialects import Dialect
from connector.mrr.companies import resolved, resolved_in_all

MERGED: Columns = {"former": str, "survivor": str}
PAIRS: Columns = {"customer": str, "company": str}
CHAINED: Columns = {"account": str, "company": str, "owner": str}


# Which customer an id is now: one that was left, an Account, an Account's that was left.
_NOW = """
    LEFT JOIN {merged} AS merged ON merged.former = {id}
    LEFT JOIN {accounts} AS accounts
           ON accounts.former = coalesce(merged.survivor, {id})
    LEFT JOIN {merged} AS later ON later.former = accounts.survivor
"""
_IS_NOW = "coalesce(later.survivor, accounts.survivor, merged.survivor, {id})"
_ROWS = """
    SELECT {owner} AS owner, it.account, it.kind, it.id, it.customer, it.at_s, it.body,
           CASE WHEN {owner} <> it.member THEN it.member ELSE '' END AS member
    FROM (
        SELECT it.*, {member} AS member FROM ({parts}) AS it {now}
        WHERE it.customer <> '' OR it.kind <> 'events'
    ) AS it
"""
_COMPANIES = """
    LEFT JOIN {named} AS named
           ON named.account = it.account AND named.customer = it.member
    LEFT JOIN {chained} AS chained
           ON chained.account = it.account
          AND chained.company = coalesce(named.company, it.member)
"""
_OWNER = "coalesce(chained.owner, named.company, it.member)"
# An Account is read as the customer that any object names beside it; should two customers
# share one, as that of the smaller id.
_ACCOUNTS = """
    SELECT former, min(customer) AS survivor FROM (
        SELECT customer, coalesce(get_json_object(body, '$.customer_account.id'),
                                  get_json_object(body, '$.customer_account')) AS former
        FROM ({parts}) AS it
        WHERE customer <> '' AND body LIKE '%"customer_account"%acct%'
    ) AS both_named
    WHERE former <> customer GROUP BY former
"""
# An id that was left has no company of its own.
_NAMED = """
    SELECT told.account, told.customer,
           min({named_now}) AS company
    FROM ({told}) AS told {now}
    LEFT JOIN {merged} AS left_one ON left_one.former = told.customer
    WHERE told.company <> '' AND left_one.former IS NULL
    GROUP BY told.account, told.customer
    HAVING min({named_now}) <> told.customer
"""
_BY_PAIRS = "SELECT '{account}' AS account, customer, company FROM {pairs} AS pairs"
_BY_METADATA = """
    SELECT it.account, it.customer, {metadata} AS company
    FROM ({customers}) AS it LEFT JOIN {pairs} AS pairs ON pairs.customer = it.customer
    WHERE pairs.customer IS NULL
"""
# Of those whose company is called how, who is somebody's company; and in which account.
_LINKS = """
    SELECT account, customer, company FROM {named} AS named
    WHERE customer IN (SELECT company FROM {named} AS others)
    UNION ALL
    SELECT DISTINCT account, '' AS customer, company FROM {named} AS named
    WHERE company IN (SELECT customer FROM {named} AS others)
"""
_MIRRORED = """
    SELECT '{account}' AS account, '{kind}' AS kind, it.id,
           coalesce(it.customer, '') AS customer, CAST(it.at AS BIGINT) AS at_s,
           CAST(it.{body} AS STRING) AS body
    FROM {named} AS it
"""
_WHOLE = """
    SELECT '{account}' AS account, '{kind}' AS kind,
           coalesce(get_json_object({body}, '$.id'), '') AS id,
           coalesce({owners}, '') AS customer, CAST({at_s} AS BIGINT) AS at_s,
           CAST({body} AS STRING) AS body
    FROM {named}
"""
# A row of a table as JSON; one that is part of another table's object is its customer's.
_FLAT = """
    SELECT '{account}' AS account, '{kind}' AS kind, it.id,
           coalesce({whose}.customer_id, '') AS customer, CAST({at_s} AS BIGINT) AS at_s,
           {as_json} AS body
    FROM {named} AS it
"""
_OF = "JOIN {parent} AS whole ON whole.id = it.{column}"
# Where a whole object says whose it is; an expanded object has the id inside.
_OWNERS = {
    "customers": ("$.id",),
    "events": ("$.data.object.customer.id", "$.data.object.customer"),
}
_ANY = ("$.customer.id", "$.customer", "$.customer_account.id", "$.customer_account")
_TOUCHED = """
    CASE WHEN get_json_object({body}, '$.data.object.object') = 'customer'
         THEN get_json_object({body}, '$.data.object.id') END
"""


class LakeQueries(NamedTuple):
    """What is asked of an engine about these sources; ``names`` is the tables' folder."""

    sources: Sequence[LakeSource]
    company: CompanyRule
    dialect: Dialect
    names: Path

    @property
    def rows(self) -> str:
        """Every customer's objects, each with its owner; in no order."""
        is_grouped = self.company != NO_COMPANIES
        rows = _ROWS.format(
            owner=_OWNER if is_grouped else "it.member",
            member=_IS_NOW.format(id="it.customer"),
            now=self._now("it.customer"),
            parts=_all(self._parts()),
        )
        of = _COMPANIES.format(**self._tables("named", "chained")) if is_grouped else ""
        return rows + of

    @property
    def accounts(self) -> str | None:
        """Accounts that are customers; None where no object can say so."""
        parts = _all(
            self._of_kind(n, kind)
            for n, source in enumerate(self.sources)
            if source.manifest.shape != FLAT
            for kind in source.owned
            if kind != "events"
        )
        return _ACCOUNTS.format(parts=parts) if parts else None

    @property
    def named(self) -> str:
        tables = self._tables("merged", "pairs")
        every = range(len(self.sources))
        told = [_BY_PAIRS.format(account=n, **tables) for n in every]
        if self.company.key:
            metadata = self.dialect.metadata(self.company.key)
            customers = _all(self._of_kind(n, "customers") for n in every)
            told.append(
                _BY_METADATA.format(customers=customers, metadata=metadata, **tables)
            )
        return _NAMED.format(
            named_now=_IS_NOW.format(id="told.company"),
            now=self._now("told.company"),
            told=_all(told),
            **tables,
        )

    @property
    def links(self) -> str:
        return _LINKS.format(**self._tables("named"))

    def windows(self, run: Path) -> str:
        """The formula over a run's tables."""
        own = {name: self.dialect.files(run / name) for name in ("movements", "terms")}
        tables = {**own, **self._tables("asked")}
        called = (f"{name} AS (SELECT * FROM {it})" for name, it in tables.items())  # noqa: S608
        return f"WITH {', '.join(called)} SELECT * FROM (\n{windows_query()}\n)"  # noqa: S608

    def first_day(self, run: Path) -> str:
        return f"SELECT min(day) FROM {self.dialect.files(run / 'movements')}"  # noqa: S608

    def _now(self, key: str) -> str:
        return _NOW.format(id=key, **self._tables("merged", "accounts"))

    def _tables(self, *names: str) -> dict[str, str]:
        return {name: self.dialect.files(self.names / name) for name in names}

    def _parts(self) -> Iterator[str]:
        for n, source in enumerate(self.sources):
            for kind in source.owned:
                yield self._of_kind(n, kind)

    def _of_kind(self, n: int, kind: str) -> str:
        """An account's objects of a kind, in the columns of rows."""
        source = self.sources[n]
        shape, body = source.manifest.shape, source.manifest.body
        named = self.dialect.files(source.folder / kind)
        asked = {"account": n, "kind": kind, "named": named, "body": body}
        asked |= {"at_s": source.known_until_s, "as_json": self.dialect.row_as_json}
        if shape == "mirror":
            return _MIRRORED.format(**asked)
        if shape != FLAT:
            return _WHOLE.format(**asked, owners=_owners(kind, body))
        if kind not in PARTS:
            return _FLAT.format(**asked, whose="it")
        of, column = PARTS[kind]
        parent = self.dialect.files(source.folder / of)
        joined = _OF.format(parent=parent, column=column)
        return _FLAT.format(**asked, whose="whole") + joined


def _all(parts: Iterable[str]) -> str:
    return " UNION ALL ".join(parts)


def _owners(kind: str, body: str) -> str:
    paths = _OWNERS.get(kind, _ANY)
    found = [f"get_json_object({body}, '{path}')" for path in paths]
    return ", ".join(
        [*found, *([_TOUCHED.format(body=body)] if kind == "events" else [])]
    )


def chained(
    links: Iterable[tuple[str, str, str]],
    accounts: Iterable[str],
    merge: Mapping[str, str],
) -> Iterator[tuple[str, str, str]]:
    """Links (``LakeQueries.links``) → rows of ``CHAINED``.

    A company's company is meant: first in its own account, then in all of them. Who has
    none in an account stays itself there, unless somebody's company ends with it.
    """
    own: dict[str, dict[str, str]] = {account: {} for account in accounts}
    said: set[tuple[str, str]] = set()
    for account, customer, company in links:
        if customer:
            own[account][customer] = company
        else:
            said.add((account, company))
    last_ones = {name for account, name in said if name not in own[account]}
    last_ones |= {*merge.values()}
    in_all = resolved_in_all(own.values(), merge)
    names = {name for each in own.values() for name in each}
    for account, named in own.items():
        here = resolved(named, merge)
        for name in sorted(names):
            if name in named or name in last_ones:
                last = here.get(name, name)
                yield account, name, in_all.get(last, last)


@cache
def windows_query() -> str:
    """The formula: see the file for what it reads."""
    return (files("connector.lake.sql") / "windows.sql").read_text(encoding="utf-8")
