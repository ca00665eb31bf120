-- At which rates the total of a reporting currency was closed: a file of rates changes.

CREATE TABLE closed_rates (
    month    TEXT NOT NULL REFERENCES closings (month),
    currency TEXT NOT NULL,
    day      TEXT NOT NULL,
    rate     TEXT NOT NULL,  -- minor units of the total for one of this: 11/10
    PRIMARY KEY (month, currency, day)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER closed_rates_are_never_edited BEFORE UPDATE ON closed_rates
BEGIN SELECT RAISE(ABORT, 'closed_rates are append-only; book a correction'); END;

CREATE TRIGGER closed_rates_are_never_deleted BEFORE DELETE ON closed_rates
BEGIN SELECT RAISE(ABORT, 'closed_rates are append-only; book a correction'); END;

CREATE TRIGGER closed_rates_are_never_replaced BEFORE INSERT ON closed_rates
WHEN EXISTS (SELECT 1 FROM closed_rates
             WHERE month = NEW.month AND currency = NEW.currency AND day = NEW.day)
BEGIN SELECT RAISE(ABORT, 'closed_rates are append-only; book a correction'); END;
