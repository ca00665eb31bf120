-- What shows that the books were changed from outside, and which backup they are from.

-- A hash for each closing, chained; see ``ledger.seals`` for what it covers. Months
-- closed before are sealed by the next closing.
CREATE TABLE seals (
    position  INTEGER PRIMARY KEY,  -- 1, 2, 3 …: in the order of closing
    month     TEXT NOT NULL UNIQUE REFERENCES closings (month),
    sealed_at TEXT NOT NULL,
    previous  TEXT NOT NULL,        -- the hash before; '' of the first
    hash      TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;

CREATE TRIGGER seals_are_never_edited BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only; book a correction'); END;

CREATE TRIGGER seals_are_never_deleted BEFORE DELETE ON seals
BEGIN SELECT RAISE(ABORT, 'seals are append-only; book a correction'); END;

CREATE TRIGGER seals_are_never_replaced BEFORE INSERT ON seals
WHEN EXISTS (SELECT 1 FROM seals WHERE position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'seals are append-only; book a correction'); END;

-- Of each stored object as it was written; none where that was before this table.
CREATE TABLE checksums (
    kind     TEXT    NOT NULL,  -- the object's table, without its prefix
    id       TEXT    NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Each time this ledger was put back from a backup.
CREATE TABLE restores (
    id          INTEGER PRIMARY KEY,
    restored_at TEXT NOT NULL,
    backup      TEXT NOT NULL,  -- the file it came from
    objections  TEXT NOT NULL CHECK (json_valid(objections)),
    despite     TEXT NOT NULL   -- why it was done all the same; '' without objections
) STRICT;

CREATE TRIGGER restores_are_never_edited BEFORE UPDATE ON restores
BEGIN SELECT RAISE(ABORT, 'restores are append-only; book a correction'); END;

CREATE TRIGGER restores_are_never_deleted BEFORE DELETE ON restores
BEGIN SELECT RAISE(ABORT, 'restores are append-only; book a correction'); END;

CREATE TRIGGER restores_are_never_replaced BEFORE INSERT ON restores
WHEN EXISTS (SELECT 1 FROM restores WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'restores are append-only; book a correction'); END;
