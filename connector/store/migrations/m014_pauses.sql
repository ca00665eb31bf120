-- Two more causes, pause and resume: a check cannot be altered, so the table is made anew.

ALTER TABLE components RENAME TO components_before;

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
) STRICT, WITHOUT ROWID;

INSERT INTO components SELECT * FROM components_before;

DROP TABLE components_before;

CREATE TRIGGER components_are_never_edited BEFORE UPDATE ON components
BEGIN SELECT RAISE(ABORT, 'components are append-only; book a correction'); END;

CREATE TRIGGER components_are_never_deleted BEFORE DELETE ON components
BEGIN SELECT RAISE(ABORT, 'components are append-only; book a correction'); END;

CREATE TRIGGER components_are_never_replaced BEFORE INSERT ON components
WHEN EXISTS (SELECT 1 FROM components
             WHERE movement = NEW.movement AND position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'components are append-only; book a correction'); END;
