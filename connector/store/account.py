"""Which Stripe account, in which mode, the ledger is of: written by its first sync."""

import sqlite3

import msgspec

from connector.core.account import NOBODY, StripeIdentity
from connector.store.database import put_setting, setting

NAME = "stripe_account"


def ledger_account(connection: sqlite3.Connection) -> StripeIdentity | None:
    """None before the first sync that asked; the demo's is nobody's."""
    stored = setting(connection, NAME)
    return None if stored is None else msgspec.json.decode(stored, type=StripeIdentity)


def belong_to(connection: sqlite3.Connection, account: StripeIdentity) -> None:
    """Take down what is newly known of it; in the caller's transaction."""
    known = ledger_account(connection) or NOBODY
    text = msgspec.json.encode(known.completed(account)).decode()
    if text != setting(connection, NAME):
        put_setting(connection, NAME, text)
