-- What reports read beside movements: the current state, replaced with each derivation.

-- Terms that ended, for renewal rates.
CREATE TABLE terms (
    customer     INTEGER NOT NULL REFERENCES customers (key),
    subscription TEXT    NOT NULL,
    day          TEXT    NOT NULL,
    currency     TEXT    NOT NULL,
    before_minor INTEGER NOT NULL CHECK (before_minor > 0),
    after_minor  INTEGER NOT NULL CHECK (after_minor >= 0),
    PRIMARY KEY (customer, subscription, day)
) STRICT, WITHOUT ROWID;

-- Which price makes up most of a customer's MRR, from a day on; '' where none does.
CREATE TABLE plans (
    customer INTEGER NOT NULL REFERENCES customers (key),
    currency TEXT    NOT NULL,
    day      TEXT    NOT NULL,
    price    TEXT    NOT NULL,
    interval TEXT    NOT NULL,
    PRIMARY KEY (customer, currency, day)
) STRICT, WITHOUT ROWID;
