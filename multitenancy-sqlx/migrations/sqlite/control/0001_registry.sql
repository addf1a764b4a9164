-- What only the control plane has.

CREATE TABLE multitenancy_tenants (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    slug       TEXT    NOT NULL UNIQUE,
    domain     TEXT    UNIQUE,
    plan       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    isolation  TEXT    NOT NULL,
    owner_id   BLOB    NOT NULL,
    settings   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE multitenancy_memberships (
    user_id    BLOB    NOT NULL,
    tenant_id  BLOB    NOT NULL REFERENCES multitenancy_tenants (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, tenant_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX multitenancy_memberships_by_tenant ON multitenancy_memberships (tenant_id);

-- Which schema each tenant's storage was last brought to, so that those that are current are not even opened.
CREATE TABLE multitenancy_tenant_schemas (
    tenant_id   BLOB    NOT NULL PRIMARY KEY,
    fingerprint TEXT    NOT NULL,
    migrated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
