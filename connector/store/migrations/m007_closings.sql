-- A month's figures as they were reported; see closings for how they are read again.

CREATE TABLE closings (
    month        TEXT PRIMARY KEY
                 CHECK (month GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]'),
    closed_at    TEXT    NOT NULL,  -- report --as-of this moment gives the figures
    run          INTEGER REFERENCES runs (id),       -- the newest by then
    movement     INTEGER REFERENCES movements (id),  -- likewise
    code_version TEXT    NOT NULL,
    policy       TEXT    NOT NULL CHECK (json_valid(policy))
) STRICT;

CREATE INDEX closings_by_moment ON closings (closed_at);

CREATE TRIGGER closings_are_never_edited BEFORE UPDATE ON closings
BEGIN SELECT RAISE(ABORT, 'closings are append-only; book a correction'); END;

CREATE TRIGGER closings_are_never_deleted BEFORE DELETE ON closings
BEGIN SELECT RAISE(ABORT, 'closings are append-only; book a correction'); END;

CREATE TRIGGER closings_are_never_replaced BEFORE INSERT ON closings
WHEN EXISTS (SELECT 1 FROM closings WHERE month = NEW.month)
BEGIN SELECT RAISE(ABORT, 'closings are append-only; book a correction'); END;

-- Every window that ends with the month. base_* are the opening's customers alone.
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
) STRICT, WITHOUT ROWID;

CREATE TRIGGER closed_figures_are_never_edited BEFORE UPDATE ON closed_figures
BEGIN SELECT RAISE(ABORT, 'closed_figures are append-only; book a correction'); END;

CREATE TRIGGER closed_figures_are_never_deleted BEFORE DELETE ON closed_figures
BEGIN SELECT RAISE(ABORT, 'closed_figures are append-only; book a correction'); END;

CREATE TRIGGER closed_figures_are_never_replaced BEFORE INSERT ON closed_figures
WHEN EXISTS (SELECT 1 FROM closed_figures
             WHERE month = NEW.month AND currency = NEW.currency AND kind = NEW.kind)
BEGIN SELECT RAISE(ABORT, 'closed_figures are append-only; book a correction'); END;

-- What is read as of a closing stays as it was: whatever is posted later belongs to a
-- run that began later, whatever the clock says.
CREATE TRIGGER movements_come_after_closings BEFORE INSERT ON movements
WHEN (SELECT started_at FROM runs WHERE id = NEW.run)
     <= (SELECT max(closed_at) FROM closings)
BEGIN SELECT RAISE(ABORT, 'a month was closed since this run began'); END;

CREATE TRIGGER retractions_come_after_closings BEFORE INSERT ON retractions
WHEN (SELECT started_at FROM runs WHERE id = NEW.run)
     <= (SELECT max(closed_at) FROM closings)
BEGIN SELECT RAISE(ABORT, 'a month was closed since this run began'); END;
