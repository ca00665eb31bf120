"""The SQL that both engines read alike: a source's objects as rows, and the windows.

Where an engine has no ``get_json_object`` it makes one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files

from connector.lake.flat import PARTS
from connector.lake.source import CATALOGUE, LakeSource

# Of a kind of an account: what it is called where it can be read.
Named = Callable[[int, str], str]

# An Account is read as the customer that any object names beside it; should two customers
# share one, as that of the smaller id. Spark must be told that few are named so.
_ROWS = """
    WITH parts AS ({parts}),
    account_customers AS (
        SELECT former, min(customer) AS survivor FROM (
            SELECT customer, coalesce(get_json_object(body, '$.customer_account.id'),
                                      get_json_object(body, '$.customer_account')) AS former
            FROM parts
            WHERE customer <> '' AND kind <> 'events'
              AND body LIKE '%"customer_account"%acct%'
        ) AS both_named
        WHERE former <> customer GROUP BY former
    )
    SELECT /*+ BROADCAST(account_customers) */
           coalesce(later.survivor, account_customers.survivor, merged.survivor,
                    it.customer) AS owner,
           it.account, it.kind, it.id, it.customer, it.at_s, it.body
    FROM parts AS it
    LEFT JOIN merged ON merged.former = it.customer
    LEFT JOIN account_customers
           ON account_customers.former = coalesce(merged.survivor, it.customer)
    LEFT JOIN merged AS later ON later.former = account_customers.survivor
    WHERE it.customer <> '' OR it.kind <> 'events'
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
_OWNER = ("$.customer.id", "$.customer", "$.customer_account.id", "$.customer_account")
_TOUCHED = """
    CASE WHEN get_json_object({body}, '$.data.object.object') = 'customer'
         THEN get_json_object({body}, '$.data.object.id') END
"""


def rows_query(sources: Sequence[LakeSource], named: Named, as_json: str) -> str:
    """Every customer's objects, each with its owner; in no order.

    ``as_json`` is how an engine writes a row that is called ``it``.
    """
    return _ROWS.format(parts=" UNION ALL ".join(_parts(sources, named, as_json)))


def _parts(sources: Sequence[LakeSource], named: Named, as_json: str) -> Iterator[str]:
    for n, source in enumerate(sources):
        body = source.manifest.body
        for kind in source.kinds:
            if kind in CATALOGUE:
                continue
            asked = {"account": n, "kind": kind, "named": named(n, kind), "body": body}
            at_s = source.known_until_s
            if source.manifest.shape == "mirror":
                yield _MIRRORED.format(**asked)
            elif source.manifest.shape == "objects":
                owners = _owners(kind, body)
                yield _WHOLE.format(**asked, at_s=at_s, owners=owners)
            elif kind in PARTS:
                of, column = PARTS[kind]
                table = _FLAT.format(**asked, at_s=at_s, whose="whole", as_json=as_json)
                yield table + _OF.format(parent=named(n, of), column=column)
            else:
                yield _FLAT.format(**asked, at_s=at_s, whose="it", as_json=as_json)


def _owners(kind: str, body: str) -> str:
    paths = _OWNERS.get(kind, _OWNER)
    found = [f"get_json_object({body}, '{path}')" for path in paths]
    return ", ".join(
        [*found, *([_TOUCHED.format(body=body)] if kind == "events" else [])]
    )


@cache
def windows_query() -> str:
    """The formula: see the file for what it reads."""
    return (files("connector.lake") / "windows.sql").read_text(encoding="utf-8")
