-- What every plane has: the control plane, all tenants that share a schema, each tenant with a schema or a database of
-- its own. tenant_id stands in every key, so a tenant's rows can move between them as they are.

-- Which schema each tenant was last brought to: what does not fit is not served.
CREATE TABLE multitenancy_marker (
    tenant_id   uuid NOT NULL PRIMARY KEY,
    fingerprint text NOT NULL
);

CREATE TABLE multitenancy_users (
    tenant_id        uuid        NOT NULL,
    id               uuid        NOT NULL,
    email            text        NOT NULL,
    email_key        text        NOT NULL,
    password_hash    text,
    profile          text        NOT NULL,
    roles            text        NOT NULL,
    is_owner         boolean     NOT NULL,
    is_active        boolean     NOT NULL,
    email_verified   boolean     NOT NULL,
    platform_user_id uuid,
    last_login_at    timestamptz,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email_key),
    UNIQUE (tenant_id, platform_user_id)
);

CREATE TABLE multitenancy_sessions (
    tenant_id      uuid        NOT NULL,
    id             uuid        NOT NULL,
    user_id        uuid        NOT NULL,
    refresh_digest bytea       NOT NULL,
    created_at     timestamptz NOT NULL,
    last_used_at   timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    ip             text,
    user_agent     text,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, refresh_digest),
    FOREIGN KEY (tenant_id, user_id) REFERENCES multitenancy_users (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX multitenancy_sessions_by_user ON multitenancy_sessions (tenant_id, user_id);

CREATE TABLE multitenancy_outbox (
    tenant_id      uuid        NOT NULL,
    sequence       bigint      GENERATED ALWAYS AS IDENTITY,
    event_id       uuid        NOT NULL,
    event_type     text        NOT NULL,
    version        bigint      NOT NULL,
    occurred_at    timestamptz NOT NULL,
    aggregate_kind text        NOT NULL,
    aggregate_id   text        NOT NULL,
    actor          text        NOT NULL,
    correlation_id text,
    payload        text        NOT NULL,
    attempts       bigint      NOT NULL DEFAULT 0,
    not_before     timestamptz NOT NULL DEFAULT 'epoch',
    lease          uuid,
    lease_until    timestamptz NOT NULL DEFAULT 'epoch',
    parked_at      timestamptz,
    error          text,
    PRIMARY KEY (tenant_id, sequence),
    UNIQUE (tenant_id, event_id)
);

CREATE INDEX multitenancy_outbox_by_aggregate
    ON multitenancy_outbox (tenant_id, aggregate_kind, aggregate_id, sequence) WHERE parked_at IS NULL;

CREATE TABLE multitenancy_consumed_events (
    tenant_id uuid NOT NULL,
    consumer  text NOT NULL,
    event_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, consumer, event_id)
);

SELECT multitenancy.protect('multitenancy_marker');
SELECT multitenancy.protect('multitenancy_users');
SELECT multitenancy.protect('multitenancy_sessions');
SELECT multitenancy.protect('multitenancy_outbox');
SELECT multitenancy.protect('multitenancy_consumed_events');

-- Units of work read where they are, and never write it.
REVOKE INSERT, UPDATE, DELETE ON multitenancy_marker FROM multitenancy_app;
