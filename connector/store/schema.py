"""Every table, trigger and view of the one SQLite file, each with its reason.

The mirror's tables hold Stripe's objects and may be rewritten at any time. The ledger's
tables are append-only, by triggers. Money is minor units, ``*_s`` is unix seconds, a
``day`` is ``YYYY-MM-DD`` in the reporting zone.
"""

# What each numbered migration creates. Never edit one that was released; add the next.
MIGRATIONS: dict[str, tuple[str, ...]] = {}

MIRRORED = (
    "products",
    "prices",
    "coupons",
    "customers",
    "subscriptions",
    "invoices",
    "invoice_items",
    "events",
)

MIGRATIONS["m001_mirror"] = (
    *(
        f"""
        CREATE TABLE stripe_{kind} (
            id         TEXT PRIMARY KEY,
            customer   TEXT,              -- whose history it belongs to, if anybody's
            created_s  INTEGER NOT NULL,
            fetched_us INTEGER NOT NULL,  -- when its request began, unix microseconds
            seen_s     INTEGER NOT NULL,  -- when what it says was first seen
            body       BLOB    NOT NULL   -- JSON: only what MRR needs
        ) STRICT
        """
        for kind in MIRRORED
    ),
    *(
        f"CREATE INDEX stripe_{kind}_of_customer ON stripe_{kind} (customer, created_s)"
        for kind in ("subscriptions", "invoices", "invoice_items", "events")
    ),
    # What a subscription was before: shows changes that no invoice shows.
    """
    CREATE TABLE subscription_versions (
        subscription TEXT    NOT NULL,
        seen_s       INTEGER NOT NULL,  -- first seen then
        body         BLOB    NOT NULL,
        PRIMARY KEY (subscription, seen_s)
    ) STRICT, WITHOUT ROWID
    """,
    # Who must be derived anew. Set in the transaction of the page that changed them.
    """
    CREATE TABLE dirty_customers (
        customer TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID
    """,
    # Who has a change ahead that Stripe will not announce (a coupon running out).
    """
    CREATE TABLE due_customers (
        customer TEXT PRIMARY KEY,
        due_s    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # How far an unfinished walk has come, so that the next run goes on from there.
    """
    CREATE TABLE walks (
        id          INTEGER PRIMARY KEY,
        started_us  INTEGER NOT NULL,
        finished_us INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE ranges (
        id        INTEGER PRIMARY KEY,
        walk      INTEGER NOT NULL REFERENCES walks (id),
        kind      TEXT    NOT NULL,
        from_s    INTEGER NOT NULL,  -- created in [from_s, to_s)
        to_s      INTEGER,           -- NULL: however new
        after     TEXT,              -- the last object's id; NULL before the first page
        reached_s INTEGER,           -- the oldest creation met
        done      INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
    ) STRICT
    """,
    # Until when Stripe's events were read and what they name was fetched: one row.
    """
    CREATE TABLE event_feed (
        only          INTEGER PRIMARY KEY CHECK (only = 1),
        read_until_us INTEGER NOT NULL
    ) STRICT
    """,
    # What was read of Stripe each day (UTC): it grants so many reads in 30 days.
    """
    CREATE TABLE reads (
        day      TEXT PRIMARY KEY,
        requests INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # What could not be valued; the current state, replaced with each derivation.
    """
    CREATE TABLE refusals (
        customer  TEXT NOT NULL,
        object_id TEXT NOT NULL,
        field     TEXT NOT NULL,
        value     TEXT NOT NULL,
        PRIMARY KEY (customer, object_id, field)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE settings (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)


def _append_only(table: str, *key: str) -> tuple[str, ...]:
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608
    refused = (
        ("edited", "UPDATE", ""),
        ("deleted", "DELETE", ""),
        ("replaced", "INSERT", there),  # REPLACE deletes without asking the one above
    )
    return tuple(
        f"""
        CREATE TRIGGER {table}_are_never_{done} BEFORE {verb} ON {table} {when}
        BEGIN SELECT RAISE(ABORT, '{table} are append-only; book a correction'); END
        """
        for done, verb, when in refused
    )


MIGRATIONS["m002_ledger"] = (
    # Why the ledger changed. A run without a movement, a retraction or an erasure leaves
    # no row.
    """
    CREATE TABLE runs (
        id           INTEGER PRIMARY KEY,
        started_at   TEXT NOT NULL,  -- UTC, ISO 8601 with microseconds
        cause        TEXT NOT NULL CHECK (cause IN
                     ('sync', 'webhook', 'policy change', 'manual')),
        code_version TEXT NOT NULL,
        policy       TEXT NOT NULL CHECK (json_valid(policy))
    ) STRICT
    """,
    *_append_only("runs", "id"),
    """
    CREATE TABLE customers (
        key     INTEGER PRIMARY KEY,
        id      TEXT NOT NULL UNIQUE,  -- Stripe's cus_...
        label   TEXT,                  -- for display; NULL where switched off
        country TEXT
    ) STRICT
    """,
    """
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
    ) STRICT
    """,
    "CREATE INDEX movements_of_customer ON movements (customer, currency, day)",
    *_append_only("movements", "id"),
    """
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
    ) STRICT, WITHOUT ROWID
    """,
    *_append_only("components", "movement", "position"),
    """
    CREATE TABLE retractions (
        movement INTEGER PRIMARY KEY REFERENCES movements (id),
        run      INTEGER NOT NULL REFERENCES runs (id),
        reason   TEXT    NOT NULL
    ) STRICT
    """,
    *_append_only("retractions", "movement"),
    # Posting twice is refused here too: one live movement a customer, currency and day.
    """
    CREATE TRIGGER movements_stand_alone BEFORE INSERT ON movements
    WHEN EXISTS (
        SELECT 1 FROM movements AS standing
        WHERE standing.customer = NEW.customer
          AND standing.currency = NEW.currency
          AND standing.day = NEW.day
          AND NOT EXISTS (SELECT 1 FROM retractions
                          WHERE retractions.movement = standing.id))
    BEGIN SELECT RAISE(ABORT, 'a live movement stands on this day; retract it first'); END
    """,
)

# For people who open the file with sqlite3, Datasette or a BI tool: the same formula.
_RETENTION_VIEW = """
    CREATE VIEW {name} AS
    WITH RECURSIVE
    span AS (
        SELECT currency, date(min(day), 'start of month') AS first,
               (SELECT date(max(day), 'start of month') FROM live_movements) AS last
        FROM live_movements GROUP BY currency
    ),
    windows (currency, month, first, last) AS (
        SELECT currency, first, first, last FROM span
        UNION ALL
        SELECT currency, date(month, '+1 month'), first, last
        FROM windows WHERE month < last
    ),
    balances AS (
        SELECT windows.currency, windows.month, customer,
               sum(CASE WHEN day < date(windows.month, '{back}')
                        THEN amount_minor ELSE 0 END) AS opening_minor,
               sum(amount_minor) AS closing_minor
        FROM windows JOIN live_movements
          ON live_movements.currency = windows.currency
         AND day < date(windows.month, '+1 month')
        GROUP BY windows.currency, windows.month, customer
    )
    SELECT currency, substr(month, 1, 7) AS month,
           count(*) FILTER (WHERE opening_minor > 0) AS customers,
           total(opening_minor) AS opening_minor,
           total(closing_minor) FILTER (WHERE opening_minor > 0) AS closing_minor,
           total(closing_minor) FILTER (WHERE opening_minor > 0)
               / nullif(total(opening_minor), 0) AS nrr,
           total(min(opening_minor, closing_minor))
               / nullif(total(opening_minor), 0) AS grr,
           1.0 * count(*) FILTER (WHERE opening_minor > 0 AND closing_minor > 0)
               / nullif(count(*) FILTER (WHERE opening_minor > 0), 0) AS crr
    FROM balances GROUP BY currency, month
"""

MIGRATIONS["m003_views"] = (
    """
    CREATE VIEW live_movements AS
    SELECT * FROM movements
    WHERE NOT EXISTS (SELECT 1 FROM retractions WHERE movement = movements.id)
    """,
    """
    CREATE VIEW mrr_by_day AS
    SELECT currency, day, sum(sum(amount_minor)) OVER (
               PARTITION BY currency ORDER BY day) AS mrr_minor
    FROM live_movements GROUP BY currency, day
    """,
    """
    CREATE VIEW mrr_by_month AS
    SELECT currency, substr(day, 1, 7) AS month, sum(sum(amount_minor)) OVER (
               PARTITION BY currency ORDER BY substr(day, 1, 7)) AS mrr_minor
    FROM live_movements GROUP BY currency, substr(day, 1, 7)
    """,
    _RETENTION_VIEW.format(name="nrr_by_month", back="+0 months"),
    _RETENTION_VIEW.format(name="nrr_trailing_12", back="-11 months"),
)

MIGRATIONS["m004_inbox"] = (
    # Webhook events as they arrived: hints which objects to fetch, never their content.
    """
    CREATE TABLE inbox (
        number      INTEGER PRIMARY KEY,      -- in order of arrival
        event       TEXT    NOT NULL UNIQUE,  -- the same event again is no second row
        type        TEXT    NOT NULL,
        names       TEXT    NOT NULL CHECK (json_valid(names)),  -- [[kind, id], …]
        received_us INTEGER NOT NULL,
        state       TEXT    NOT NULL DEFAULT 'waiting'
                    CHECK (state IN ('waiting', 'done', 'dead')),
        tries       INTEGER NOT NULL DEFAULT 0,  -- that ended in an error of its own
        due_us      INTEGER NOT NULL,            -- not to be tried before
        settled_us  INTEGER CHECK ((settled_us IS NULL) = (state = 'waiting')),
        error       TEXT                         -- of the last try
    ) STRICT
    """,
    "CREATE INDEX inbox_due ON inbox (due_us, number) WHERE state = 'waiting'",
    "CREATE INDEX inbox_settled ON inbox (state, settled_us) WHERE state <> 'waiting'",
)

# What reports read beside movements: the current state, replaced with each derivation.
MIGRATIONS["m005_agreements"] = (
    # Terms that ended, for renewal rates.
    """
    CREATE TABLE terms (
        customer     INTEGER NOT NULL REFERENCES customers (key),
        subscription TEXT    NOT NULL,
        day          TEXT    NOT NULL,
        currency     TEXT    NOT NULL,
        before_minor INTEGER NOT NULL CHECK (before_minor > 0),
        after_minor  INTEGER NOT NULL CHECK (after_minor >= 0),
        PRIMARY KEY (customer, subscription, day)
    ) STRICT, WITHOUT ROWID
    """,
    # Which price makes up most of a customer's MRR, from a day on; '' where none does.
    """
    CREATE TABLE plans (
        customer INTEGER NOT NULL REFERENCES customers (key),
        currency TEXT    NOT NULL,
        day      TEXT    NOT NULL,
        price    TEXT    NOT NULL,
        interval TEXT    NOT NULL,
        PRIMARY KEY (customer, currency, day)
    ) STRICT, WITHOUT ROWID
    """,
)

# As they were released: ``core.figures`` says which figures are summed today.
_WINDOW_SUMS = (
    *("opening_minor", "new_minor", "reactivation_minor", "expansion_minor"),
    *("contraction_minor", "churn_minor", "closing_minor", "paying"),
    *("base_customers", "base_kept", "base_expansion_minor"),
    *("base_contraction_minor", "base_churn_minor"),
    *("terms_ended", "terms_renewed", "terms_ended_minor", "terms_renewed_minor"),
)

MIGRATIONS["m006_window_sums"] = (
    # Figures of any other window read this index alone, each customer's days together.
    "DROP INDEX movements_of_customer",
    """
    CREATE INDEX movements_of_customer
    ON movements (customer, currency, day, kind, amount_minor)
    """,
    # The standard windows' figures, each as the difference to the window before it, so
    # that a report need not read the movements. Kept in the transaction that posts them;
    # `check` counts them again.
    f"""
    CREATE TABLE window_sums (
        currency TEXT NOT NULL,
        kind     TEXT NOT NULL,  -- month, quarter, year, trailing-12
        start    TEXT NOT NULL,
        "end"    TEXT NOT NULL,
        {", ".join(f"{name} INTEGER NOT NULL" for name in _WINDOW_SUMS)},
        PRIMARY KEY (currency, kind, start)
    ) STRICT, WITHOUT ROWID
    """,
)

_COMES_AFTER_CLOSINGS = """
    CREATE TRIGGER {table}_come_after_closings BEFORE INSERT ON {table}
    WHEN (SELECT started_at FROM runs WHERE id = NEW.run)
         <= (SELECT max(closed_at) FROM closings)
    BEGIN SELECT RAISE(ABORT, 'a month was closed since this run began'); END
"""

# A month's figures as they were reported; see closings for how they are read again.
MIGRATIONS["m007_closings"] = (
    """
    CREATE TABLE closings (
        month        TEXT PRIMARY KEY
                     CHECK (month GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]'),
        closed_at    TEXT    NOT NULL,  -- report --as-of this moment gives the figures
        run          INTEGER REFERENCES runs (id),       -- the newest by then
        movement     INTEGER REFERENCES movements (id),  -- likewise
        code_version TEXT    NOT NULL,
        policy       TEXT    NOT NULL CHECK (json_valid(policy))
    ) STRICT
    """,
    "CREATE INDEX closings_by_moment ON closings (closed_at)",
    *_append_only("closings", "month"),
    # Every window that ends with the month. base_* are the opening's customers alone.
    """
    CREATE TABLE closed_figures (
        month                  TEXT    NOT NULL REFERENCES closings (month),
        currency               TEXT    NOT NULL,
        kind                   TEXT    NOT NULL CHECK (kind IN
                               ('month', 'quarter', 'year', 'trailing-12')),
        first_day              TEXT    NOT NULL,  -- in
        end_day                TEXT    NOT NULL,  -- out
        opening_minor          INTEGER NOT NULL,
        new_minor              INTEGER NOT NULL,
        reactivation_minor     INTEGER NOT NULL,
        expansion_minor        INTEGER NOT NULL,
        contraction_minor      INTEGER NOT NULL,
        churn_minor            INTEGER NOT NULL,
        fx_minor               INTEGER NOT NULL,
        closing_minor          INTEGER NOT NULL,
        base_customers         INTEGER NOT NULL,
        base_kept              INTEGER NOT NULL,
        base_opening_minor     INTEGER NOT NULL,
        base_expansion_minor   INTEGER NOT NULL,
        base_contraction_minor INTEGER NOT NULL,
        base_churn_minor       INTEGER NOT NULL,
        base_closing_minor     INTEGER NOT NULL,
        paying                 INTEGER NOT NULL,  -- customers at the closing
        PRIMARY KEY (month, currency, kind)
    ) STRICT, WITHOUT ROWID
    """,
    *_append_only("closed_figures", "month", "currency", "kind"),
    # What is read as of a closing stays as it was: whatever is posted later belongs to a
    # run that began later, whatever the clock says.
    *(_COMES_AFTER_CLOSINGS.format(table=x) for x in ("movements", "retractions")),
)

# As of a past moment, too, figures are read from the index alone: it asks for runs.
MIGRATIONS["m008_runs_in_index"] = (
    "DROP INDEX movements_of_customer",
    """
    CREATE INDEX movements_of_customer
    ON movements (customer, currency, day, kind, amount_minor, run)
    """,
    # SQLite answers NOT IN on a key twice as fast as NOT EXISTS.
    "DROP VIEW live_movements",
    """
    CREATE VIEW live_movements AS
    SELECT * FROM movements WHERE id NOT IN (SELECT movement FROM retractions)
    """,
)

# A month that is not over, or of which something is missing, says so here too.
_COMPLETE_RETENTION_VIEW = _RETENTION_VIEW.replace(
    "AS crr\n",
    """AS crr,
           date(month, '+1 month') <= coalesce(
               (SELECT value FROM settings WHERE name = 'known_until'), '')
           AND NOT EXISTS (SELECT 1 FROM dirty_customers)
           AND NOT EXISTS (SELECT 1 FROM refusals) AS complete
""",
)

MIGRATIONS["m009_complete_windows"] = (
    "DROP VIEW nrr_by_month",
    "DROP VIEW nrr_trailing_12",
    _COMPLETE_RETENTION_VIEW.format(name="nrr_by_month", back="+0 months"),
    _COMPLETE_RETENTION_VIEW.format(name="nrr_trailing_12", back="-11 months"),
)

_WHOLE_RETENTION_VIEW = _COMPLETE_RETENTION_VIEW.replace(
    "SELECT 1 FROM refusals)", "SELECT 1 FROM refusals UNION SELECT 1 FROM set_aside)"
)

# Objects as Stripe shows them that do not fit: the current state, by name.
MIGRATIONS["m010_set_aside"] = (
    """
    CREATE TABLE set_aside (
        kind         TEXT    NOT NULL,  -- the mirror's table that it would be in
        id           TEXT    NOT NULL,
        customer     TEXT    NOT NULL,  -- '' where it names none
        subscription TEXT    NOT NULL,  -- likewise
        field        TEXT    NOT NULL,
        value        TEXT    NOT NULL,  -- fit to be shown
        fetched_us   INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID
    """,
    # Whose it is: as it says, else as its last good copy, else as its subscription.
    """
    CREATE VIEW set_aside_by_customer AS
    SELECT kind, id, coalesce(
        nullif(customer, ''),
        CASE kind
        WHEN 'subscriptions' THEN
            (SELECT s.customer FROM stripe_subscriptions AS s WHERE s.id = set_aside.id)
        WHEN 'invoices' THEN
            (SELECT i.customer FROM stripe_invoices AS i WHERE i.id = set_aside.id)
        WHEN 'invoice_items' THEN
            (SELECT i.customer FROM stripe_invoice_items AS i WHERE i.id = set_aside.id)
        END,
        (SELECT s.customer FROM stripe_subscriptions AS s
         WHERE s.id = set_aside.subscription),
        ''
    ) AS customer, field, value
    FROM set_aside
    """,
    # Where one is set aside, something is missing.
    *(f"DROP VIEW {name}" for name in ("nrr_by_month", "nrr_trailing_12")),
    _WHOLE_RETENTION_VIEW.format(name="nrr_by_month", back="+0 months"),
    _WHOLE_RETENTION_VIEW.format(name="nrr_trailing_12", back="-11 months"),
)

# At which rates the total of a reporting currency was closed: a file of rates changes.
MIGRATIONS["m011_closed_rates"] = (
    """
    CREATE TABLE closed_rates (
        month    TEXT NOT NULL REFERENCES closings (month),
        currency TEXT NOT NULL,
        day      TEXT NOT NULL,
        rate     TEXT NOT NULL,  -- minor units of the total for one of this: 11/10
        PRIMARY KEY (month, currency, day)
    ) STRICT, WITHOUT ROWID
    """,
    *_append_only("closed_rates", "month", "currency", "day"),
)

# What shows that the books were changed from outside, and which backup they are from.
MIGRATIONS["m012_seals"] = (
    # A hash for each closing, chained; see ``ledger.seals`` for what it covers. Months
    # closed before are sealed by the next closing.
    """
    CREATE TABLE seals (
        position  INTEGER PRIMARY KEY,  -- 1, 2, 3 …: in the order of closing
        month     TEXT NOT NULL UNIQUE REFERENCES closings (month),
        sealed_at TEXT NOT NULL,
        previous  TEXT NOT NULL,        -- the hash before; '' of the first
        hash      TEXT NOT NULL CHECK (length(hash) = 64)
    ) STRICT
    """,
    *_append_only("seals", "position"),
    # Of each stored object as it was written; none where that was before this table.
    """
    CREATE TABLE checksums (
        kind     TEXT    NOT NULL,  -- the object's table, without its prefix
        id       TEXT    NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID
    """,
    # Each time this ledger was put back from a backup.
    """
    CREATE TABLE restores (
        id          INTEGER PRIMARY KEY,
        restored_at TEXT NOT NULL,
        backup      TEXT NOT NULL,  -- the file it came from
        objections  TEXT NOT NULL CHECK (json_valid(objections)),
        despite     TEXT NOT NULL   -- why it was done all the same; '' without objections
    ) STRICT
    """,
    *_append_only("restores", "id"),
)

# Where every invoiced amount belongs: the current state, replaced with each derivation.
MIGRATIONS["m013_coverage"] = (
    # One row a customer, as it was derived: {currency: {month: {class: minor units}}}.
    # A row a class and month would cost more than all movements do.
    """
    CREATE TABLE invoiced (
        customer INTEGER PRIMARY KEY REFERENCES customers (key),
        sums     TEXT NOT NULL CHECK (json_valid(sums))
    ) STRICT
    """,
    # What reports read: everybody's rows added up, kept in the same transaction. `check`
    # adds them up again.
    """
    CREATE TABLE invoiced_sums (
        currency     TEXT    NOT NULL,
        month        TEXT    NOT NULL,  -- 2026-03, of the invoice's finalization
        class        TEXT    NOT NULL,
        amount_minor INTEGER NOT NULL,
        PRIMARY KEY (currency, month, class)
    ) STRICT, WITHOUT ROWID
    """,
    # Recurring money that is no MRR, by customer and reason.
    """
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
    ) STRICT, WITHOUT ROWID
    """,
)

# Two more causes, pause and resume: a check cannot be altered, so the table is made anew.
MIGRATIONS["m014_pauses"] = (
    "ALTER TABLE components RENAME TO components_before",
    """
    CREATE TABLE components (
        movement     INTEGER NOT NULL REFERENCES movements (id),
        position     INTEGER NOT NULL,
        cause        TEXT    NOT NULL CHECK (cause IN
                     ('plan', 'quantity', 'add_on', 'removal', 'price', 'discount',
                      'usage', 'start', 'end', 'pause', 'resume')),
        amount_minor INTEGER NOT NULL CHECK (amount_minor <> 0),
        subscription TEXT    NOT NULL,
        item         TEXT    NOT NULL,
        price        TEXT    NOT NULL,
        before       TEXT    NOT NULL,  -- the item's arithmetic on either side
        after        TEXT    NOT NULL,
        evidence     TEXT    NOT NULL CHECK (json_valid(evidence)),
        PRIMARY KEY (movement, position)
    ) STRICT, WITHOUT ROWID
    """,
    "INSERT INTO components SELECT * FROM components_before",
    "DROP TABLE components_before",  # and its triggers
    *_append_only("components", "movement", "position"),
)

# A month that was closed by mistake can be closed again; what was lacking is kept.
_BEFORE_WITHDRAWALS = ("closings", "closed_figures", "closed_rates", "seals")
_CLOSED_FIGURES = (
    "currency, kind, first_day, end_day, opening_minor, new_minor, reactivation_minor,"
    " expansion_minor, contraction_minor, churn_minor, fx_minor, closing_minor,"
    " base_customers, base_kept, base_opening_minor, base_expansion_minor,"
    " base_contraction_minor, base_churn_minor, base_closing_minor, paying"
)
MIGRATIONS["m015_withdrawals"] = (
    *(f"DROP TRIGGER {x}_come_after_closings" for x in ("movements", "retractions")),
    *(f"ALTER TABLE {x} RENAME TO former_{x}" for x in _BEFORE_WITHDRAWALS),
    # ``despite`` is why a month was closed although ``lacked`` (sentences) was missing.
    """
    CREATE TABLE closings (
        id           INTEGER PRIMARY KEY,
        month        TEXT    NOT NULL
                     CHECK (month GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]'),
        closed_at    TEXT    NOT NULL,  -- report --as-of this moment gives the figures
        run          INTEGER REFERENCES runs (id),       -- the newest by then
        movement     INTEGER REFERENCES movements (id),  -- likewise
        code_version TEXT    NOT NULL,
        policy       TEXT    NOT NULL CHECK (json_valid(policy)),
        despite      TEXT    NOT NULL DEFAULT '',
        lacked       TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(lacked))
    ) STRICT
    """,
    """
    INSERT INTO closings (month, closed_at, run, movement, code_version, policy)
    SELECT month, closed_at, run, movement, code_version, policy
    FROM former_closings ORDER BY closed_at, rowid
    """,
    # A closing that does not stand any more, and why.
    """
    CREATE TABLE withdrawals (
        closing      INTEGER PRIMARY KEY REFERENCES closings (id),
        withdrawn_at TEXT NOT NULL,
        reason       TEXT NOT NULL CHECK (reason <> '')
    ) STRICT
    """,
    # Every window that ends with the month. base_* are the opening's customers alone.
    """
    CREATE TABLE closed_figures (
        closing                INTEGER NOT NULL REFERENCES closings (id),
        currency               TEXT    NOT NULL,
        kind                   TEXT    NOT NULL CHECK (kind IN
                               ('month', 'quarter', 'year', 'trailing-12')),
        first_day              TEXT    NOT NULL,  -- in
        end_day                TEXT    NOT NULL,  -- out
        opening_minor          INTEGER NOT NULL,
        new_minor              INTEGER NOT NULL,
        reactivation_minor     INTEGER NOT NULL,
        expansion_minor        INTEGER NOT NULL,
        contraction_minor      INTEGER NOT NULL,
        churn_minor            INTEGER NOT NULL,
        fx_minor               INTEGER NOT NULL,
        closing_minor          INTEGER NOT NULL,
        base_customers         INTEGER NOT NULL,
        base_kept              INTEGER NOT NULL,
        base_opening_minor     INTEGER NOT NULL,
        base_expansion_minor   INTEGER NOT NULL,
        base_contraction_minor INTEGER NOT NULL,
        base_churn_minor       INTEGER NOT NULL,
        base_closing_minor     INTEGER NOT NULL,
        paying                 INTEGER NOT NULL,  -- customers at the closing
        PRIMARY KEY (closing, currency, kind)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    INSERT INTO closed_figures (closing, {_CLOSED_FIGURES})
    SELECT id, {_CLOSED_FIGURES} FROM former_closed_figures JOIN closings USING (month)
    """,  # noqa: S608
    """
    CREATE TABLE closed_rates (
        closing  INTEGER NOT NULL REFERENCES closings (id),
        currency TEXT    NOT NULL,
        day      TEXT    NOT NULL,
        rate     TEXT    NOT NULL,  -- minor units of the total for one of this: 11/10
        PRIMARY KEY (closing, currency, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO closed_rates
    SELECT id, currency, day, rate FROM former_closed_rates JOIN closings USING (month)
    """,
    # A hash for each closing and each withdrawal, chained.
    """
    CREATE TABLE seals (
        position      INTEGER PRIMARY KEY,  -- 1, 2, 3 …: in the order of sealing
        closing       INTEGER NOT NULL REFERENCES closings (id),
        is_withdrawal INTEGER NOT NULL CHECK (is_withdrawal IN (0, 1)),
        sealed_at     TEXT    NOT NULL,
        previous      TEXT    NOT NULL,     -- the hash before; '' of the first
        hash          TEXT    NOT NULL CHECK (length(hash) = 64),
        UNIQUE (closing, is_withdrawal)
    ) STRICT
    """,
    """
    INSERT INTO seals
    SELECT position, id, 0, sealed_at, previous, hash
    FROM former_seals JOIN closings USING (month)
    """,
    *(f"DROP TABLE former_{x}" for x in reversed(_BEFORE_WITHDRAWALS)),
    "CREATE INDEX closings_by_moment ON closings (closed_at)",
    *_append_only("closings", "id"),
    *_append_only("withdrawals", "closing"),
    *_append_only("closed_figures", "closing", "currency", "kind"),
    *_append_only("closed_rates", "closing", "currency", "day"),
    *_append_only("seals", "position"),
    """
    CREATE TRIGGER closings_stand_alone BEFORE INSERT ON closings
    WHEN EXISTS (SELECT 1 FROM closings WHERE month = NEW.month AND id IS NOT NEW.id
                 AND id NOT IN (SELECT closing FROM withdrawals))
    BEGIN SELECT RAISE(ABORT, 'the month is closed; withdraw that closing first'); END
    """,
    # What is read as of a closing stays as it was: see m007_closings.
    *(_COMES_AFTER_CLOSINGS.format(table=x) for x in ("movements", "retractions")),
)

# Whose name and metadata were erased: no sync stores them again.
MIGRATIONS["m016_forgotten"] = (
    """
    CREATE TABLE forgotten (
        customer TEXT PRIMARY KEY,  -- Stripe's cus_...
        run      INTEGER NOT NULL REFERENCES runs (id)
    ) STRICT, WITHOUT ROWID
    """,
    *_append_only("forgotten", "customer"),
)

# A month's MRR says, as its retention does, whether that is the end of it.
MIGRATIONS["m017_running_month"] = (
    "DROP VIEW mrr_by_month",
    """
    CREATE VIEW mrr_by_month AS
    SELECT currency, substr(day, 1, 7) AS month, sum(sum(amount_minor)) OVER (
               PARTITION BY currency ORDER BY substr(day, 1, 7)) AS mrr_minor,
           date(substr(day, 1, 7) || '-01', '+1 month') <= coalesce(
               (SELECT value FROM settings WHERE name = 'known_until'), '')
           AND NOT EXISTS (SELECT 1 FROM dirty_customers)
           AND NOT EXISTS (SELECT 1 FROM refusals UNION SELECT 1 FROM set_aside)
               AS complete
    FROM live_movements GROUP BY currency, substr(day, 1, 7)
    """,
)

CHUNK_BITS = 8  # how many customers' columns are packed together: 256

_PACKED_NO_MORE = """
    CREATE TRIGGER packed_no_more_by_{verb}_of_{table} AFTER {verb} ON {table}
    BEGIN DELETE FROM packed_columns WHERE chunk = {customer} >> 8; END
"""
_OF_RETRACTED = "(SELECT customer FROM movements WHERE id = NEW.movement)"

# Wide reports read columns, not rows: see ledger.columns. A cache: what is not here is
# read from the tables.
MIGRATIONS["m018_packed_columns"] = (
    # A row a currency of 256 customers, and one of currency '' that says it was done.
    """
    CREATE TABLE packed_columns (
        chunk             INTEGER NOT NULL,  -- a customer's key / 256
        currency          TEXT    NOT NULL,
        customer          BLOB    NOT NULL,  -- live movements by customer, day
        day               BLOB    NOT NULL,
        kind              BLOB    NOT NULL,
        amount_minor      BLOB    NOT NULL,
        term_customer     BLOB    NOT NULL,  -- terms by customer, subscription, day
        term_subscription BLOB    NOT NULL,
        term_day          BLOB    NOT NULL,
        term_before_minor BLOB    NOT NULL,
        term_after_minor  BLOB    NOT NULL,
        PRIMARY KEY (chunk, currency)
    ) STRICT
    """,
    *(
        _PACKED_NO_MORE.format(verb=verb, table=table, customer=customer)
        for verb, table, customer in (
            ("INSERT", "movements", "NEW.customer"),
            ("INSERT", "retractions", _OF_RETRACTED),
            ("INSERT", "terms", "NEW.customer"),
            ("DELETE", "terms", "OLD.customer"),
            ("UPDATE", "terms", "NEW.customer"),
        )
    ),
)

# What people noted of a month, and what they took back.
MIGRATIONS["m019_notes"] = (
    """
    CREATE TABLE notes (
        id       INTEGER PRIMARY KEY,
        month    TEXT NOT NULL CHECK (month GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]'),
        noted_at TEXT NOT NULL,
        customer TEXT NOT NULL,  -- Stripe's cus_..., '' where it is of nobody
        text     TEXT NOT NULL,  -- '' once its customer is forgotten
        url      TEXT NOT NULL   -- likewise; '' where there is none
    ) STRICT
    """,
    """
    CREATE TABLE note_withdrawals (
        note         INTEGER PRIMARY KEY REFERENCES notes (id),
        withdrawn_at TEXT NOT NULL
    ) STRICT
    """,
    # Of notes, one change alone is let through: what is of a forgotten customer goes.
    """
    CREATE TRIGGER notes_are_never_edited BEFORE UPDATE ON notes
    WHEN NEW.text <> '' OR NEW.url <> '' OR NEW.id <> OLD.id OR NEW.month <> OLD.month
         OR NEW.noted_at <> OLD.noted_at OR NEW.customer <> OLD.customer
         OR OLD.customer NOT IN (SELECT customer FROM forgotten)
    BEGIN SELECT RAISE(ABORT, 'notes are append-only; withdraw one'); END
    """,
    *_append_only("notes", "id")[1:],
    *_append_only("note_withdrawals", "note"),
)

# Causes and losses are counted over columns too; what was packed before is packed anew.
MIGRATIONS["m020_packed_components"] = (
    "DELETE FROM packed_columns",
    """
    CREATE TABLE packed_components (
        chunk             INTEGER NOT NULL,  -- as in packed_columns
        currency          TEXT    NOT NULL,
        movement          BLOB    NOT NULL,  -- the ids of its movements, in their order
        parts             BLOB    NOT NULL,  -- how many components each of them has
        part_cause        BLOB    NOT NULL,  -- all of these
        part_amount_minor BLOB    NOT NULL,
        PRIMARY KEY (chunk, currency)
    ) STRICT
    """,
    """
    CREATE TRIGGER packed_no_more_with_columns AFTER DELETE ON packed_columns
    BEGIN DELETE FROM packed_components WHERE chunk = OLD.chunk; END
    """,
)
