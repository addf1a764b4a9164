-- The audit log of a plane. Units of work append to it and read it; they neither change nor remove a record.
CREATE TABLE multitenancy_audit (
    tenant_id     BLOB    NOT NULL,
    id            BLOB    NOT NULL,
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL,
    action        TEXT    NOT NULL,
    resource_kind TEXT    NOT NULL,
    resource_id   TEXT    NOT NULL,
    details       TEXT    NOT NULL,
    request_id    TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER multitenancy_audit_unchanged BEFORE UPDATE ON multitenancy_audit
BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END;
CREATE TRIGGER multitenancy_audit_unremoved BEFORE DELETE ON multitenancy_audit
BEGIN SELECT RAISE(ABORT, 'audit records are never removed'); END;
