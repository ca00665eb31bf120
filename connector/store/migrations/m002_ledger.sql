-- Why the ledger changed. A run without a movement, a retraction or an erasure leaves
-- no row.
CREATE TABLE runs (
    id           INTEGER PRIMARY KEY,
    started_at   TEXT NOT NULL,  -- UTC, ISO 8601 with microseconds
    cause        TEXT NOT NULL CHECK (cause IN
                 ('sync', 'webhook', 'policy change', 'manual')),
    code_version TEXT NOT NULL,
    policy       TEXT NOT NULL CHECK (json_valid(policy))
) STRICT;

CREATE TRIGGER runs_are_never_edited BEFORE UPDATE ON runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only; book a correction'); END;

CREATE TRIGGER runs_are_never_deleted BEFORE DELETE ON runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only; book a correction'); END;

CREATE TRIGGER runs_are_never_replaced BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'runs are append-only; book a correction'); END;

CREATE TABLE customers (
    key     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,  -- Stripe's cus_...
    label   TEXT,                  -- for display; NULL where switched off
    country TEXT
) STRICT;

CREATE TABLE movements (
    id           INTEGER PRIMARY KEY,
    customer     INTEGER NOT NULL REFERENCES customers (key),
    currency     TEXT    NOT NULL CHECK (length(currency) = 3),
    day          TEXT    NOT NULL
                 CHECK (day GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]'),
    kind         TEXT    NOT NULL CHECK (kind IN
                 ('new', 'reactivation', 'expansion', 'contraction', 'churn')),
    amount_minor INTEGER NOT NULL,  -- signed, minor units a month
    before_minor INTEGER NOT NULL CHECK (before_minor >= 0),
    after_minor  INTEGER NOT NULL CHECK (after_minor >= 0),
    run          INTEGER NOT NULL REFERENCES runs (id),
    CHECK (before_minor + amount_minor = after_minor),
    CHECK (CASE kind
           WHEN 'churn'       THEN after_minor = 0 AND before_minor > 0
           WHEN 'contraction' THEN after_minor > 0 AND before_minor > after_minor
           WHEN 'expansion'   THEN before_minor > 0 AND after_minor > before_minor
           ELSE before_minor = 0 AND after_minor > 0 END)
) STRICT;

CREATE INDEX movements_of_customer ON movements (customer, currency, day);

CREATE TRIGGER movements_are_never_edited BEFORE UPDATE ON movements
BEGIN SELECT RAISE(ABORT, 'movements are append-only; book a correction'); END;

CREATE TRIGGER movements_are_never_deleted BEFORE DELETE ON movements
BEGIN SELECT RAISE(ABORT, 'movements are append-only; book a correction'); END;

CREATE TRIGGER movements_are_never_replaced BEFORE INSERT ON movements
WHEN EXISTS (SELECT 1 FROM movements WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'movements are append-only; book a correction'); END;

CREATE TABLE components (
    movement     INTEGER NOT NULL REFERENCES movements (id),
    position     INTEGER NOT NULL,
    cause        TEXT    NOT NULL CHECK (cause IN
                 ('plan', 'quantity', 'add_on', 'removal', 'price', 'discount',
                  'usage', 'start', 'end')),
    amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0),
    subscription TEXT    NOT NULL,
    item         TEXT    NOT NULL,
    price        TEXT    NOT NULL,
    before       TEXT    NOT NULL,  -- the item's arithmetic on either side
    after        TEXT    NOT NULL,
    evidence     TEXT    NOT NULL CHECK (json_valid(evidence)),
    PRIMARY KEY (movement, position)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER components_are_never_edited BEFORE UPDATE ON components
BEGIN SELECT RAISE(ABORT, 'components are append-only; book a correction'); END;

CREATE TRIGGER components_are_never_deleted BEFORE DELETE ON components
BEGIN SELECT RAISE(ABORT, 'components are append-only; book a correction'); END;

CREATE TRIGGER components_are_never_replaced BEFORE INSERT ON components
WHEN EXISTS (SELECT 1 FROM components
             WHERE movement = NEW.movement AND position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'components are append-only; book a correction'); END;

CREATE TABLE retractions (
    movement INTEGER PRIMARY KEY REFERENCES movements (id),
    run      INTEGER NOT NULL REFERENCES runs (id),
    reason   TEXT    NOT NULL
) STRICT;

CREATE TRIGGER retractions_are_never_edited BEFORE UPDATE ON retractions
BEGIN SELECT RAISE(ABORT, 'retractions are append-only; book a correction'); END;

CREATE TRIGGER retractions_are_never_deleted BEFORE DELETE ON retractions
BEGIN SELECT RAISE(ABORT, 'retractions are append-only; book a correction'); END;

CREATE TRIGGER retractions_are_never_replaced BEFORE INSERT ON retractions
WHEN EXISTS (SELECT 1 FROM retractions WHERE movement = NEW.movement)
BEGIN SELECT RAISE(ABORT, 'retractions are append-only; book a correction'); END;

-- Posting twice is refused here too: one live movement a customer, currency and day.
CREATE TRIGGER movements_stand_alone BEFORE INSERT ON movements
WHEN EXISTS (
    SELECT 1 FROM movements AS standing
    WHERE standing.customer = NEW.customer
      AND standing.currency = NEW.currency
      AND standing.day = NEW.day
      AND NOT EXISTS (SELECT 1 FROM retractions
                      WHERE retractions.movement = standing.id))
BEGIN SELECT RAISE(ABORT, 'a live movement stands on this day; retract it first'); END;
