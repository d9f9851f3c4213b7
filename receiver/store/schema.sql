-- What the migrations add up to; written by `make docs`, and run on a new database instead of them.
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE incidents (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL,
        state TEXT NOT NULL,
        severity TEXT NOT NULL,
        open INTEGER NOT NULL,
        opened_at REAL NOT NULL,
        ended_at REAL,
        seq INTEGER NOT NULL,
        wake_at REAL,
        body BLOB NOT NULL
    );
CREATE UNIQUE INDEX incidents_open ON incidents(target) WHERE open = 1;
CREATE INDEX incidents_by_state ON incidents(state, severity);
CREATE INDEX incidents_by_target ON incidents(target);
CREATE INDEX incidents_by_wake ON incidents(wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX incidents_by_end ON incidents(ended_at) WHERE open = 0;
CREATE TABLE alerts (
        n INTEGER PRIMARY KEY,
        fingerprint NOT NULL,
        starts_at INTEGER NOT NULL,
        status INTEGER NOT NULL,
        incident INTEGER,
        repeats INTEGER NOT NULL,
        seen_at REAL NOT NULL
    );
CREATE UNIQUE INDEX alerts_by_fingerprint ON alerts(fingerprint);
CREATE INDEX alerts_by_state ON alerts(status, incident);
CREATE TABLE texts (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE bodies (
        n INTEGER PRIMARY KEY,
        first_at REAL NOT NULL,
        last_at REAL NOT NULL,
        body BLOB NOT NULL
    );
CREATE TABLE quarantine (
        n INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        place TEXT NOT NULL,
        message TEXT NOT NULL,
        raw TEXT NOT NULL
    );
CREATE TABLE outbox (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        lane TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL UNIQUE,
        incident TEXT NOT NULL,
        payload BLOB NOT NULL,
        at REAL NOT NULL,
        state INTEGER NOT NULL DEFAULT 0,
        revision INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        again_at REAL NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT ''
    );
CREATE INDEX outbox_waiting ON outbox(lane, n) WHERE state = 0;
CREATE UNIQUE INDEX outbox_header ON outbox(lane, incident) WHERE kind = 'header' AND state = 0;
CREATE INDEX outbox_done ON outbox(state, at) WHERE state > 0;
CREATE TABLE posted (
        lane TEXT NOT NULL,
        incident TEXT NOT NULL,
        reference TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (lane, incident)
    ) WITHOUT ROWID
    ;
CREATE TABLE actions (
        id TEXT PRIMARY KEY,
        target TEXT NOT NULL,
        playbook TEXT NOT NULL,
        incident TEXT NOT NULL,
        step TEXT NOT NULL,
        kind TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        ok INTEGER
    ) WITHOUT ROWID
    ;
CREATE INDEX actions_by_start ON actions(started_at);
CREATE INDEX actions_under_way ON actions(started_at) WHERE ended_at IS NULL;
CREATE TABLE playbooks (version TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE named (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        key INTEGER NOT NULL,
        at REAL NOT NULL,
        type TEXT NOT NULL,
        version INTEGER NOT NULL,
        body BLOB NOT NULL
    );
CREATE UNIQUE INDEX events_by_key ON events(key);
INSERT INTO alembic_version SELECT '0003';
