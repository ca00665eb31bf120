DROP TRIGGER movements_come_after_closings;

DROP TRIGGER retractions_come_after_closings;

ALTER TABLE closings RENAME TO former_closings;

ALTER TABLE closed_figures RENAME TO former_closed_figures;

ALTER TABLE closed_rates RENAME TO former_closed_rates;

ALTER TABLE seals RENAME TO former_seals;

-- ``despite`` is why a month was closed although ``lacked`` (sentences) was missing.
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
) STRICT;

INSERT INTO closings (month, closed_at, run, movement, code_version, policy)
SELECT month, closed_at, run, movement, code_version, policy
FROM former_closings ORDER BY closed_at, rowid;

-- A closing that does not stand any more, and why.
CREATE TABLE withdrawals (
    closing      INTEGER PRIMARY KEY REFERENCES closings (id),
    withdrawn_at TEXT NOT NULL,
    reason       TEXT NOT NULL CHECK (reason <> '')
) STRICT;

-- Every window that ends with the month. base_* are the opening's customers alone.
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
) STRICT, WITHOUT ROWID;

INSERT INTO closed_figures (
    closing, currency, kind, first_day, end_day, opening_minor, new_minor,
    reactivation_minor, expansion_minor, contraction_minor, churn_minor, fx_minor,
    closing_minor, base_customers, base_kept, base_opening_minor, base_expansion_minor,
    base_contraction_minor, base_churn_minor, base_closing_minor, paying
)
SELECT
    id, currency, kind, first_day, end_day, opening_minor, new_minor,
    reactivation_minor, expansion_minor, contraction_minor, churn_minor, fx_minor,
    closing_minor, base_customers, base_kept, base_opening_minor, base_expansion_minor,
    base_contraction_minor, base_churn_minor, base_closing_minor, paying
FROM former_closed_figures JOIN closings USING (month);

CREATE TABLE closed_rates (
    closing  INTEGER NOT NULL REFERENCES closings (id),
    currency TEXT    NOT NULL,
    day      TEXT    NOT NULL,
    rate     TEXT    NOT NULL,  -- minor units of the total for one of this: 11/10
    PRIMARY KEY (closing, currency, day)
) STRICT, WITHOUT ROWID;

INSERT INTO closed_rates
SELECT id, currency, day, rate FROM former_closed_rates JOIN closings USING (month);

-- A hash for each closing and each withdrawal, chained.
CREATE TABLE seals (
    position      INTEGER PRIMARY KEY,  -- 1, 2, 3 …: in the order of sealing
    closing       INTEGER NOT NULL REFERENCES closings (id),
    is_withdrawal INTEGER NOT NULL CHECK (is_withdrawal IN (0, 1)),
    sealed_at     TEXT    NOT NULL,
    previous      TEXT    NOT NULL,     -- the hash before; '' of the first
    hash          TEXT    NOT NULL CHECK (length(hash) = 64),
    UNIQUE (closing, is_withdrawal)
) STRICT;

INSERT INTO seals
SELECT position, id, 0, sealed_at, previous, hash
FROM former_seals JOIN closings USING (month);

DROP TABLE former_seals;

DROP TABLE former_closed_rates;

DROP TABLE former_closed_figures;

DROP TABLE former_closings;

CREATE INDEX closings_by_moment ON closings (closed_at);

CREATE TRIGGER closings_are_never_edited BEFORE UPDATE ON closings
BEGIN SELECT RAISE(ABORT, 'closings are append-only; book a correction'); END;

CREATE TRIGGER closings_are_never_deleted BEFORE DELETE ON closings
BEGIN SELECT RAISE(ABORT, 'closings are append-only; book a correction'); END;

CREATE TRIGGER closings_are_never_replaced BEFORE INSERT ON closings
WHEN EXISTS (SELECT 1 FROM closings WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'closings are append-only; book a correction'); END;

CREATE TRIGGER withdrawals_are_never_edited BEFORE UPDATE ON withdrawals
BEGIN SELECT RAISE(ABORT, 'withdrawals are append-only; book a correction'); END;

CREATE TRIGGER withdrawals_are_never_deleted BEFORE DELETE ON withdrawals
BEGIN SELECT RAISE(ABORT, 'withdrawals are append-only; book a correction'); END;

CREATE TRIGGER withdrawals_are_never_replaced BEFORE INSERT ON withdrawals
WHEN EXISTS (SELECT 1 FROM withdrawals WHERE closing = NEW.closing)
BEGIN SELECT RAISE(ABORT, 'withdrawals are append-only; book a correction'); END;

CREATE TRIGGER closed_figures_are_never_edited BEFORE UPDATE ON closed_figures
BEGIN SELECT RAISE(ABORT, 'closed_figures are append-only; book a correction'); END;

CREATE TRIGGER closed_figures_are_never_deleted BEFORE DELETE ON closed_figures
BEGIN SELECT RAISE(ABORT, 'closed_figures are append-only; book a correction'); END;

CREATE TRIGGER closed_figures_are_never_replaced BEFORE INSERT ON closed_figures
WHEN EXISTS (SELECT 1 FROM closed_figures
             WHERE closing = NEW.closing AND currency = NEW.currency AND kind = NEW.kind)
BEGIN SELECT RAISE(ABORT, 'closed_figures are append-only; book a correction'); END;

CREATE TRIGGER closed_rates_are_never_edited BEFORE UPDATE ON closed_rates
BEGIN SELECT RAISE(ABORT, 'closed_rates are append-only; book a correction'); END;

CREATE TRIGGER closed_rates_are_never_deleted BEFORE DELETE ON closed_rates
BEGIN SELECT RAISE(ABORT, 'closed_rates are append-only; book a correction'); END;

CREATE TRIGGER closed_rates_are_never_replaced BEFORE INSERT ON closed_rates
WHEN EXISTS (SELECT 1 FROM closed_rates
             WHERE closing = NEW.closing AND currency = NEW.currency AND day = NEW.day)
BEGIN SELECT RAISE(ABORT, 'closed_rates are append-only; book a correction'); END;

CREATE TRIGGER seals_are_never_edited BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only; book a correction'); END;

CREATE TRIGGER seals_are_never_deleted BEFORE DELETE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only; book a correction'); END;

CREATE TRIGGER seals_are_never_replaced BEFORE INSERT ON seals
WHEN EXISTS (SELECT 1 FROM seals WHERE position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'seals are append-only; book a correction'); END;

CREATE TRIGGER closings_stand_alone BEFORE INSERT ON closings
WHEN EXISTS (SELECT 1 FROM closings WHERE month = NEW.month AND id IS NOT NEW.id
             AND id NOT IN (SELECT closing FROM withdrawals))
BEGIN SELECT RAISE(ABORT, 'the month is closed; withdraw that closing first'); END;

-- What is read as of a closing stays as it was: see m007_closings.
CREATE TRIGGER movements_come_after_closings BEFORE INSERT ON movements
WHEN (SELECT started_at FROM runs WHERE id = NEW.run)
     <= (SELECT max(closed_at) FROM closings)
BEGIN SELECT RAISE(ABORT, 'a month was closed since this run began'); END;

CREATE TRIGGER retractions_come_after_closings BEFORE INSERT ON retractions
WHEN (SELECT started_at FROM runs WHERE id = NEW.run)
     <= (SELECT max(closed_at) FROM closings)
BEGIN SELECT RAISE(ABORT, 'a month was closed since this run began'); END;
