-- What every plane has: the control plane and each tenant. tenant_id stands in every row, and in every key but those of
-- the marker, of which a file has one, and of the outbox, whose rows the file counts; although each plane is a file of
-- its own. So a tenant's rows can move to a store that keeps many tenants in one table.
-- Instants are whole microseconds since 1970; identifiers are 16 bytes.

-- Whose file this is, and which schema it was last brought to: what does not fit is not served.
CREATE TABLE multitenancy_marker (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    tenant_id   BLOB NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;

CREATE TABLE multitenancy_users (
    tenant_id        BLOB    NOT NULL,
    id               BLOB    NOT NULL,
    email            TEXT    NOT NULL,
    email_key        TEXT    NOT NULL,
    password_hash    TEXT,
    profile          TEXT    NOT NULL,
    roles            TEXT    NOT NULL,
    is_owner         INTEGER NOT NULL,
    is_active        INTEGER NOT NULL,
    email_verified   INTEGER NOT NULL,
    platform_user_id BLOB,
    last_login_at    INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email_key),
    UNIQUE (tenant_id, platform_user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE multitenancy_sessions (
    tenant_id      BLOB    NOT NULL,
    id             BLOB    NOT NULL,
    user_id        BLOB    NOT NULL,
    refresh_digest BLOB    NOT NULL,
    created_at     INTEGER NOT NULL,
    last_used_at   INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    revoked_at     INTEGER,
    ip             TEXT,
    user_agent     TEXT,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, refresh_digest),
    FOREIGN KEY (tenant_id, user_id) REFERENCES multitenancy_users (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX multitenancy_sessions_by_user ON multitenancy_sessions (tenant_id, user_id);

-- AUTOINCREMENT: a sequence is never given twice, not even after its row is gone.
CREATE TABLE multitenancy_outbox (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id      BLOB    NOT NULL,
    event_id       BLOB    NOT NULL,
    event_type     TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    occurred_at    INTEGER NOT NULL,
    aggregate_kind TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    actor          TEXT    NOT NULL,
    correlation_id TEXT,
    payload        TEXT    NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0,
    not_before     INTEGER NOT NULL DEFAULT 0,
    lease          BLOB,
    lease_until    INTEGER NOT NULL DEFAULT 0,
    parked_at      INTEGER,
    error          TEXT,
    UNIQUE (tenant_id, event_id)
) STRICT;

CREATE INDEX multitenancy_outbox_by_aggregate
    ON multitenancy_outbox (tenant_id, aggregate_kind, aggregate_id, sequence) WHERE parked_at IS NULL;

CREATE TABLE multitenancy_consumed_events (
    tenant_id BLOB NOT NULL,
    consumer  TEXT NOT NULL,
    event_id  BLOB NOT NULL,
    PRIMARY KEY (tenant_id, consumer, event_id)
) STRICT, WITHOUT ROWID;
