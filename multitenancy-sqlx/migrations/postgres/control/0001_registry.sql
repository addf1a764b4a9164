-- What only the control plane has. Work inside a tenant sees none of it.

CREATE TABLE multitenancy_tenants (
    id         uuid        NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    slug       text        NOT NULL UNIQUE,
    domain     text        UNIQUE,
    plan       text        NOT NULL,
    status     text        NOT NULL,
    isolation  text        NOT NULL,
    owner_id   uuid        NOT NULL,
    settings   text        NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE multitenancy_memberships (
    user_id    uuid        NOT NULL,
    tenant_id  uuid        NOT NULL REFERENCES multitenancy_tenants (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, tenant_id)
);

CREATE INDEX multitenancy_memberships_by_tenant ON multitenancy_memberships (tenant_id);

-- Which schema each tenant's storage was last brought to, so that those that are current are not even opened.
CREATE TABLE multitenancy_tenant_schemas (
    tenant_id   uuid        NOT NULL PRIMARY KEY,
    fingerprint text        NOT NULL,
    migrated_at timestamptz NOT NULL
);

SELECT multitenancy.protect_control('multitenancy_tenants');
SELECT multitenancy.protect_control('multitenancy_memberships');
SELECT multitenancy.protect_control('multitenancy_tenant_schemas');
