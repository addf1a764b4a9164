-- The audit log of a plane. Units of work append to it and read it; they neither change nor remove a record.
CREATE TABLE multitenancy_audit (
    tenant_id     uuid        NOT NULL,
    id            uuid        NOT NULL,
    at            timestamptz NOT NULL,
    actor         text        NOT NULL,
    action        text        NOT NULL,
    resource_kind text        NOT NULL,
    resource_id   text        NOT NULL,
    details       text        NOT NULL,
    request_id    text,
    PRIMARY KEY (tenant_id, id)
);

SELECT multitenancy.protect('multitenancy_audit');
REVOKE UPDATE, DELETE ON multitenancy_audit FROM multitenancy_app;
