CREATE TABLE stripe_products (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_prices (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_coupons (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_customers (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_subscriptions (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_invoices (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_invoice_items (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE TABLE stripe_events (
    id         TEXT PRIMARY KEY,
    customer   TEXT,              -- whose history it belongs to, if anybody's
    created_s  INTEGER NOT NULL,
    fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
    seen_s     INTEGER NOT NULL,  -- when what it says was first seen
    body       BLOB    NOT NULL   -- JSON: only what MRR needs
) STRICT;

CREATE INDEX stripe_subscriptions_of_customer ON stripe_subscriptions (customer, created_s);

CREATE INDEX stripe_invoices_of_customer ON stripe_invoices (customer, created_s);

CREATE INDEX stripe_invoice_items_of_customer ON stripe_invoice_items (customer, created_s);

CREATE INDEX stripe_events_of_customer ON stripe_events (customer, created_s);

-- What a subscription was before: shows changes that no invoice shows.
CREATE TABLE subscription_versions (
    subscription TEXT    NOT NULL,
    seen_s       INTEGER NOT NULL,  -- first seen then
    body         BLOB    NOT NULL,
    PRIMARY KEY (subscription, seen_s)
) STRICT, WITHOUT ROWID;

-- Who must be derived anew. Set in the transaction of the page that changed them.
CREATE TABLE dirty_customers (
    customer TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Who has a change ahead that Stripe will not announce (a coupon running out).
CREATE TABLE due_customers (
    customer TEXT PRIMARY KEY,
    due_s    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far an unfinished walk has come, so that the next run goes on from there.
CREATE TABLE walks (
    id          INTEGER PRIMARY KEY,
    started_us  INTEGER NOT NULL,
    finished_us INTEGER
) STRICT;

CREATE TABLE ranges (
    id        INTEGER PRIMARY KEY,
    walk      INTEGER NOT NULL REFERENCES walks (id),
    kind      TEXT    NOT NULL,
    from_s    INTEGER NOT NULL,  -- created in [from_s, to_s)
    to_s      INTEGER,           -- NULL: however new
    after     TEXT,              -- the last object's id; NULL before the first page
    reached_s INTEGER,           -- the oldest creation met
    done      INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT;

-- Until when Stripe's events were read and what they name was fetched: one row.
CREATE TABLE event_feed (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    read_until_us INTEGER NOT NULL
) STRICT;

-- What was read of Stripe each day (UTC): it grants so many reads in 30 days.
CREATE TABLE reads (
    day      TEXT PRIMARY KEY,
    requests INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What could not be valued; the current state, replaced with each derivation.
CREATE TABLE refusals (
    customer  TEXT NOT NULL,
    object_id TEXT NOT NULL,
    field     TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (customer, object_id, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
