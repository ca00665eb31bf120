-- Where every invoiced amount belongs: the current state, replaced with each derivation.

-- One row a customer, as it was derived: {currency: {month: {class: minor units}}}.
-- A row a class and month would cost more than all movements do.
CREATE TABLE invoiced (
    customer INTEGER PRIMARY KEY REFERENCES customers (key),
    sums     TEXT NOT NULL CHECK (json_valid(sums))
) STRICT;

-- What reports read: everybody's rows added up, kept in the same transaction. `check`
-- adds them up again.
CREATE TABLE invoiced_sums (
    currency     TEXT    NOT NULL,
    month        TEXT    NOT NULL,  -- 2026-03, of the invoice's finalization
    class        TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL,
    PRIMARY KEY (currency, month, class)
) STRICT, WITHOUT ROWID;

-- Recurring money that is no MRR, by customer and reason.
CREATE TABLE not_counted (
    customer      INTEGER NOT NULL REFERENCES customers (key),
    currency      TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    item          TEXT    NOT NULL,  -- what tells it from others of this reason
    product       TEXT    NOT NULL,  -- '' where none is named
    monthly_minor INTEGER NOT NULL,  -- 0 once it has ceased
    since         TEXT    NOT NULL,
    last_invoice  TEXT    NOT NULL,
    PRIMARY KEY (customer, currency, item)
) STRICT, WITHOUT ROWID;
