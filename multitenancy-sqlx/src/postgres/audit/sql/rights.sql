SELECT 's20_dangerous_privilege', name,
    format('grants %s to %s', string_agg(DISTINCT privilege, ', '), string_agg(DISTINCT grantee, ', ')),
    format('REVOKE %s ON %s FROM %s', string_agg(DISTINCT privilege, ', '), name, string_agg(DISTINCT grantee, ', '))
FROM relations JOIN grants USING (oid)
WHERE privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') GROUP BY name
UNION ALL
SELECT 's20_public_grant', name, 'is granted to PUBLIC, which is every role of the server',
    format('REVOKE ALL ON %s FROM PUBLIC', name)
FROM relations WHERE in_plane AND EXISTS (SELECT FROM grants WHERE oid = relations.oid AND grantee = 'PUBLIC')
UNION ALL
SELECT 's20_writable', name, 'may only be read, and units of work may write it',
    format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %s', name, string_agg(DISTINCT grantee, ', '))
FROM relations JOIN grants USING (oid)
WHERE (reference OR in_plane AND relname = 'multitenancy_marker' OR name = 'multitenancy.fences')
    AND privilege IN ('INSERT', 'UPDATE', 'DELETE') GROUP BY name
UNION ALL
SELECT 's20_rewritable', name, 'keeps the audit log, and units of work may change or remove its records',
    format('REVOKE UPDATE, DELETE ON %s FROM %s', name, string_agg(DISTINCT grantee, ', '))
FROM relations JOIN grants USING (oid)
WHERE in_plane AND relname = 'multitenancy_audit' AND privilege IN ('UPDATE', 'DELETE') GROUP BY name
UNION ALL
SELECT 's20_creates_in_schema', quote_ident(nspname), format('lets %s create in it: functions and operators see hidden rows', name),
    format('REVOKE CREATE ON SCHEMA %I FROM %s', nspname, name)
FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) AS acl
JOIN grantees ON grantee = grantees.oid
WHERE privilege_type = 'CREATE' AND nspname !~ '^pg_'
UNION ALL
SELECT 's20_creates_in_database', quote_ident(datname), format('grants %s to %s', privilege_type, name),
    format('REVOKE %s ON DATABASE %I FROM %s', privilege_type, datname, name)
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
JOIN grantees ON grantee = grantees.oid
WHERE datname = current_database() AND privilege_type IN ('CREATE', 'TEMPORARY')
UNION ALL
SELECT 's20_default_grant', 'default privileges' || coalesce(' in ' || quote_ident(nspname), ''),
    format('of %I give a table to %s as it is made, before it is protected', owner.rolname,
        string_agg(DISTINCT grantees.name, ', ')),
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON TABLES FROM %s', owner.rolname,
        ' IN SCHEMA ' || quote_ident(nspname), string_agg(DISTINCT grantees.name, ', '))
FROM pg_default_acl JOIN pg_roles AS owner ON owner.oid = defaclrole
LEFT JOIN pg_namespace AS n ON n.oid = defaclnamespace, aclexplode(defaclacl) AS acl JOIN grantees ON grantee = grantees.oid
WHERE defaclobjtype = 'r' AND owner.oid NOT IN (SELECT oid FROM app) GROUP BY owner.rolname, nspname
UNION ALL
SELECT 's12_setting_preset', coalesce(quote_ident(rolname), quote_ident(current_database())),
    format('presets %s, which only a unit of work may set', setting),
    format('ALTER %s RESET %s', concat_ws(' IN ',
        CASE WHEN setrole = 0 AND setdatabase = 0 THEN 'ROLE ALL' END, 'ROLE ' || quote_ident(rolname),
        CASE WHEN setdatabase <> 0 THEN format('DATABASE %I', current_database()) END), setting)
FROM pg_db_role_setting LEFT JOIN pg_roles ON pg_roles.oid = setrole,
    unnest(setconfig) AS entry, split_part(entry, '=', 1) AS setting
WHERE setting IN ('app.tenant_id', 'row_security', 'session_replication_role')
    AND (setrole = 0 OR setrole IN (SELECT oid FROM app))
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
