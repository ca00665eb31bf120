-- What people noted of a month, and what they took back.

CREATE TABLE notes (
    id       INTEGER PRIMARY KEY,
    month    TEXT NOT NULL CHECK (month GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]'),
    noted_at TEXT NOT NULL,
    customer TEXT NOT NULL,  -- Stripe's cus_..., '' where it is of nobody
    text     TEXT NOT NULL,  -- '' once its customer is forgotten
    url      TEXT NOT NULL   -- likewise; '' where there is none
) STRICT;

CREATE TABLE note_withdrawals (
    note         INTEGER PRIMARY KEY REFERENCES notes (id),
    withdrawn_at TEXT NOT NULL
) STRICT;

-- Of notes, one change alone is let through: what is of a forgotten customer goes.
CREATE TRIGGER notes_are_never_edited BEFORE UPDATE ON notes
WHEN NEW.text <> '' OR NEW.url <> '' OR NEW.id <> OLD.id OR NEW.month <> OLD.month
     OR NEW.noted_at <> OLD.noted_at OR NEW.customer <> OLD.customer
     OR OLD.customer NOT IN (SELECT customer FROM forgotten)
BEGIN SELECT RAISE(ABORT, 'notes are append-only; withdraw one'); END;

CREATE TRIGGER notes_are_never_deleted BEFORE DELETE ON notes
BEGIN SELECT RAISE(ABORT, 'notes are append-only; book a correction'); END;

CREATE TRIGGER notes_are_never_replaced BEFORE INSERT ON notes
WHEN EXISTS (SELECT 1 FROM notes WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'notes are append-only; book a correction'); END;

CREATE TRIGGER note_withdrawals_are_never_edited BEFORE UPDATE ON note_withdrawals
BEGIN SELECT RAISE(ABORT, 'note_withdrawals are append-only; book a correction'); END;

CREATE TRIGGER note_withdrawals_are_never_deleted BEFORE DELETE ON note_withdrawals
BEGIN SELECT RAISE(ABORT, 'note_withdrawals are append-only; book a correction'); END;

CREATE TRIGGER note_withdrawals_are_never_replaced BEFORE INSERT ON note_withdrawals
WHEN EXISTS (SELECT 1 FROM note_withdrawals WHERE note = NEW.note)
BEGIN SELECT RAISE(ABORT, 'note_withdrawals are append-only; book a correction'); END;
