-- Whose name and metadata were erased: no sync stores them again.

CREATE TABLE forgotten (
    customer TEXT PRIMARY KEY,  -- Stripe's cus_...
    run      INTEGER NOT NULL REFERENCES runs (id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER forgotten_are_never_edited BEFORE UPDATE ON forgotten
BEGIN SELECT RAISE(ABORT, 'forgotten are append-only; book a correction'); END;

CREATE TRIGGER forgotten_are_never_deleted BEFORE DELETE ON forgotten
BEGIN SELECT RAISE(ABORT, 'forgotten are append-only; book a correction'); END;

CREATE TRIGGER forgotten_are_never_replaced BEFORE INSERT ON forgotten
WHEN EXISTS (SELECT 1 FROM forgotten WHERE customer = NEW.customer)
BEGIN SELECT RAISE(ABORT, 'forgotten are append-only; book a correction'); END;
