"""The same account through the stripe package, as one would write it: ``-m … URL FILE``.

Auto-paging yields its objects; sqlite-utils upserts the whole of each, a page at a time.
"""

import sys
from typing import Any

import sqlite_utils
import stripe

from connector.stripe_api.lists import LISTINGS, Listing
from tests.benchmarks.measure import KEY

SERVICES = {"invoiceitems": "invoice_items"}


def params(listing: Listing) -> dict[str, Any]:
    """As the package takes them: ``expand[]`` twice is a list."""
    found: dict[str, Any] = {"limit": 100}
    for name, value in listing.params:
        if name.endswith("[]"):
            found.setdefault(name[:-2], []).append(value)
        else:
            found[name] = value
    return found


def copy(url: str, file: str) -> None:
    client = stripe.StripeClient(KEY, base_addresses={"api": url})
    database = sqlite_utils.Database(file)
    for listing in LISTINGS.values():
        path = listing.path.rpartition("/")[2]
        service: Any = getattr(client.v1, SERVICES.get(path, path))
        things = service.list(params(listing)).auto_paging_iter()
        table: Any = database[path]
        table.upsert_all((thing.to_dict() for thing in things), pk="id", batch_size=100)
    database.close()


if __name__ == "__main__":
    copy(*sys.argv[1:])
