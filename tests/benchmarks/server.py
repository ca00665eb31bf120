"""Stripe's read API on loopback, for an account of any size: ``-m …server --help``.

Each object is encoded once, before the first request; a page is a slice of bytes, so that
one core sends many times what a client can read. It answers as Stripe does what a sync
asks (limit, starting_after, created, active, status) and shows every object as our lists
expand it, to whoever asks.

Prints one line of JSON when it is ready: its url, and how many objects of each kind.
"""

import argparse
import asyncio
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.benchmarks.account import PAID, Account
from tests.support.shapes import Json
from tests.support.simulator_rules import Refused, missing, no_such_url

DAY = 86_400


@dataclass(slots=True)
class Shelf:
    """One list, newest first: the objects as bytes, and what finds them."""

    noun: str
    ids: list[str]
    ages: list[int]  # minus the second of creation, so that they ascend
    bodies: list[bytes]
    position: dict[str, int]

    @classmethod
    def of(cls, noun: str, things: Iterable[Json]) -> "Shelf":
        ids, ages, bodies = [], [], []
        for thing in things:
            ids.append(thing["id"])
            created_s: int = thing.get("created") or thing["date"]
            ages.append(-created_s)
            bodies.append(msgspec.json.encode(thing))
        assert ages == sorted(ages), f"{noun}: newest first"
        return cls(noun, ids, ages, bodies, {it: i for i, it in enumerate(ids)})

    def page(self, asked: dict[str, list[str]], path: str) -> bytes:
        def one(name: str) -> str | None:
            return asked.get(name, [None])[-1]

        first, end = 0, len(self.ids)
        if (at := one("created[lte]")) is not None:
            first = max(first, bisect_left(self.ages, -int(at)))
        if (at := one("created[lt]")) is not None:
            first = max(first, bisect_right(self.ages, -int(at)))
        if (at := one("created[gte]")) is not None:
            end = min(end, bisect_right(self.ages, -int(at)))
        if (at := one("created[gt]")) is not None:
            end = min(end, bisect_left(self.ages, -int(at)))
        after = one("starting_after")
        if after is not None:
            place = self.position.get(after, -1)
            if not first <= place < end:
                raise missing(self.noun, after, "starting_after")
            first = place + 1
        last = min(end, first + min(100, int(one("limit") or 10)))
        more = b"true" if last < end else b"false"
        data = b",".join(self.bodies[first:last])
        head = b'{"object":"list","data":['
        return b"".join(
            (head, data, b'],"has_more":', more, b',"url":"', path.encode(), b'"}')
        )


def shelves(account: Account) -> dict[str, Shelf]:
    """By path, with the filter that chooses among the lists of one path."""
    invoices = account.invoices()
    subscriptions = list(account.subscriptions())
    living = [each for each in subscriptions if each["status"] != "canceled"]
    return {
        "products": Shelf.of("product", account.products),
        "prices": Shelf.of("price", account.prices.values()),
        "prices?active=false": Shelf.of("price", account.archived),
        "coupons": Shelf.of("coupon", [account.coupon]),
        "customers": Shelf.of("customer", account.customers()),
        "subscriptions": Shelf.of("subscription", living),
        "subscriptions?status=all": Shelf.of("subscription", subscriptions),
        "invoices": Shelf.of("invoice", invoices),
        "invoiceitems": Shelf.of("invoiceitem", account.pending()),
        "events": Shelf.of("event", account.events(invoices)),
        "events?others": Shelf.of("event", ()),
    }


def shelf_of(lists: dict[str, Shelf], kind: str, asked: dict[str, list[str]]) -> Shelf:
    """The list that the filters of a request choose."""
    if kind == "prices" and "false" in asked.get("active", ()):
        return lists["prices?active=false"]
    if kind == "subscriptions" and "all" in asked.get("status", ()):
        return lists["subscriptions?status=all"]
    types = [value for name, of in asked.items() if name[:5] == "types" for value in of]
    return lists["events?others" if types and PAID not in types else kind]


def answer(lists: dict[str, Shelf], target: str) -> tuple[int, bytes]:
    """The status and body for a path with its query."""
    url = urlsplit(target)
    asked = parse_qs(url.query)
    try:
        match url.path.strip("/").split("/"):
            case ["v1", kind] if kind in lists:
                return 200, shelf_of(lists, kind, asked).page(asked, url.path)
            case ["v1", kind, key] if kind in lists:
                for name, shelf in lists.items():
                    if name.partition("?")[0] == kind and key in shelf.position:
                        return 200, shelf.bodies[shelf.position[key]]
                raise missing(lists[kind].noun, key, "id")
        raise no_such_url("GET", url.path)
    except Refused as no:
        status, body = no.answer
        return status, msgspec.json.encode(body)


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, as far as a GET needs it."""

    transport: asyncio.Transport

    def __init__(self, lists: dict[str, Shelf], latency_s: float) -> None:
        self.lists, self.latency_s = lists, latency_s
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("ascii")
            if self.latency_s:
                asyncio.get_running_loop().call_later(
                    self.latency_s, self.reply, target
                )
            else:
                self.reply(target)

    def reply(self, target: str) -> None:
        if self.transport.is_closing():
            return
        status, body = answer(self.lists, target)
        word = "OK" if status == 200 else "Refused"
        head = (
            f"HTTP/1.1 {status} {word}\r\nContent-Type: application/json\r\n"
            f"Date: {formatdate(usegmt=True)}\r\nRequest-Id: req_benchmark\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)


async def serve(lists: dict[str, Shelf], latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(lists, latency_s), "127.0.0.1", 0, backlog=128
    )
    port = server.sockets[0].getsockname()[1]
    told: dict[str, Any] = {
        "url": f"http://127.0.0.1:{port}",
        "objects": {name: len(shelf.ids) for name, shelf in lists.items()},
        "invoice_bytes": sum(map(len, lists["invoices"].bodies))
        // len(lists["invoices"].ids),
    }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.server")
    parser.add_argument("--subscriptions", type=int, default=5_000)
    parser.add_argument("--latency-ms", type=float, default=0, help="of each answer")
    asked = parser.parse_args()
    today_s = int(time.time()) // DAY * DAY
    lists = shelves(Account(asked.subscriptions, today_s))
    asyncio.run(serve(lists, asked.latency_ms / 1_000))


if __name__ == "__main__":
    main()
