-- Version 7. Readable with the sqlite3 shell, of a stopped hub's file or of a backup.
--
-- States: 1 missing, 2 open, 5 done, 6 failed, 7 skipped, 8 cancelled. An open task runs if it has
-- a lease, waits if something that it needs is not done, and is ready otherwise; these follow from
-- the rows, so nothing is written when a task becomes ready. The view task_list spells them out.

CREATE TABLE tasks (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    state         INTEGER NOT NULL,
    definition    INTEGER NOT NULL DEFAULT 0,  -- hash; equal definitions make a Create repeatable
    priority      INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,
    time_limit_ms INTEGER NOT NULL DEFAULT 0,
    attempt       INTEGER NOT NULL DEFAULT 0,  -- the newest that ended
    failures      INTEGER NOT NULL DEFAULT 0,
    reclaims      INTEGER NOT NULL DEFAULT 0,
    blame         INTEGER,                     -- of a skipped task: the failed or cancelled one
    created_ms    INTEGER NOT NULL,            -- since 1970
    needs         TEXT,                        -- ids, separated by commas
    command       TEXT,
    dir           TEXT,                        -- where it runs, if not where its worker does
    env           TEXT,                        -- JSON array of NAME=VALUE
    stdin         BLOB,                        -- what it reads
    held          INTEGER NOT NULL DEFAULT 0,  -- 1: not given out until a person says so
    sum           INTEGER                      -- of what is run, and of what it needs: store/sum.rs; NULL: from before version 6
);
CREATE INDEX tasks_undone  ON tasks (state, id) WHERE state <> 5;
CREATE INDEX tasks_skipped ON tasks (blame, id) WHERE blame IS NOT NULL;

CREATE TABLE workers (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    client    BLOB,                            -- 16 bytes; NULL: known by its name
    seen_ms   INTEGER NOT NULL,                -- first heard of, since 1970
    host      TEXT,                            -- the machine that it runs on, if it said so
    key       TEXT NOT NULL DEFAULT ''         -- its key: name#mark; empty: the owner's, or none was needed; ?: not known yet
);
CREATE UNIQUE INDEX workers_key ON workers (key, coalesce(client, name));

-- Who holds what now.
CREATE TABLE leases (
    task       INTEGER PRIMARY KEY,
    attempt    INTEGER NOT NULL,
    worker     INTEGER NOT NULL,
    client     BLOB,                           -- who asked, if not the worker's own id
    number     INTEGER NOT NULL,
    term_ms    INTEGER NOT NULL,               -- the term, never the deadline
    started_ms INTEGER NOT NULL                -- since 1970
);

-- What was: one row an attempt that ended. Outcomes: 1 done, 2 failed, 3 reclaimed, 4 cancelled.
CREATE TABLE attempts (
    task       INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    worker     INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,               -- since 1970
    run_ms     INTEGER NOT NULL,
    outcome    INTEGER NOT NULL,
    exit_code  INTEGER NOT NULL,
    reason     TEXT,
    output     BLOB,                           -- the end of it
    output_file TEXT,                          -- all of it, on the worker's machine
    left_behind INTEGER NOT NULL DEFAULT 0,    -- processes that were ended with it
    PRIMARY KEY (task, attempt)
) WITHOUT ROWID;

-- Requests that may be sent again: each copy is told all that they did together. Kept for an hour, which begins anew at a start.
CREATE TABLE requests (
    number INTEGER PRIMARY KEY,                -- later ones have larger numbers
    key    TEXT    NOT NULL,                   -- of who asked: name#mark; empty: the owner's, or none was needed
    token  BLOB    NOT NULL,                   -- what the client calls it, 16 bytes
    sum    INTEGER NOT NULL,                   -- checksum of what is asked
    upto   INTEGER NOT NULL,                   -- of a long one: the task that it has come to
    done   INTEGER NOT NULL,                   -- how many tasks it has changed, and with them more
    more   INTEGER NOT NULL,
    reply  BLOB                                -- what it was answered; NULL: it is under way
);

-- How many tasks are finished, so that a start need not count them.
CREATE TABLE totals (
    state INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
);
INSERT INTO totals VALUES (5, 0), (6, 0), (7, 0), (8, 0);

-- turn: the last one that the tables have. redo: which FILE.redo belongs to this file. clean: 1 if
-- that is not needed, as after a clean stop; else it has the turns that are missing here. checksums: 1
-- if the last eight bytes of each page are its checksum, as dhub alone writes them. log: which log of
-- SQLite's was begun last; log_before: which one was in the file by then. saved_from: of what a hub
-- saved when its file was gone, the redo of that one.
CREATE TABLE meta (
    key   TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('turn', 0), ('redo', 0), ('clean', 1);
