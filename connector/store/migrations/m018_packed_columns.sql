-- Wide reports read columns, not rows: see ledger.columns. A cache: what is not here is
-- read from the tables.

-- A row a currency of 256 customers, and one of currency '' that says it was done.
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
) STRICT;

CREATE TRIGGER packed_no_more_by_INSERT_of_movements AFTER INSERT ON movements
BEGIN DELETE FROM packed_columns WHERE chunk = NEW.customer >> 8; END;

CREATE TRIGGER packed_no_more_by_INSERT_of_retractions AFTER INSERT ON retractions
BEGIN
    DELETE FROM packed_columns
    WHERE chunk = (SELECT customer FROM movements WHERE id = NEW.movement) >> 8;
END;

CREATE TRIGGER packed_no_more_by_INSERT_of_terms AFTER INSERT ON terms
BEGIN DELETE FROM packed_columns WHERE chunk = NEW.customer >> 8; END;

CREATE TRIGGER packed_no_more_by_DELETE_of_terms AFTER DELETE ON terms
BEGIN DELETE FROM packed_columns WHERE chunk = OLD.customer >> 8; END;

CREATE TRIGGER packed_no_more_by_UPDATE_of_terms AFTER UPDATE ON terms
BEGIN DELETE FROM packed_columns WHERE chunk = NEW.customer >> 8; END;
