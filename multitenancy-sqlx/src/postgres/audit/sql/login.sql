-- Rights of the roles in $1 that units of work must not have, held directly or through a role they can become.
WITH own AS (
    SELECT name, oid, rolsuper FROM unnest($1::text[]) AS name LEFT JOIN pg_roles ON rolname = name
), reach AS (
    SELECT own.name, own.oid AS own, r.*, r.oid = own.oid AS itself,
        CASE WHEN r.oid <> own.oid THEN format('can become %I, who ', r.rolname) ELSE '' END AS as_whom,
        (SELECT format('REVOKE %I FROM %I', granted.rolname, own.name)
         FROM pg_auth_members JOIN pg_roles AS granted ON granted.oid = roleid
         WHERE member = own.oid AND pg_has_role(roleid, r.oid, 'MEMBER') LIMIT 1) AS revoke
    FROM own JOIN pg_roles AS r ON pg_has_role(own.oid, r.oid, 'MEMBER')
    WHERE (r.oid = own.oid
        -- A superuser can become any role, and the rights of multitenancy_app are reported for that role.
        OR NOT own.rolsuper AND NOT EXISTS (
            SELECT FROM own AS app WHERE app.name = 'multitenancy_app' AND own.name <> app.name
                AND pg_has_role(app.oid, r.oid, 'MEMBER')))
        -- Reported as the owner of the database.
        AND r.rolname <> 'pg_database_owner'
), owned AS (
    SELECT relowner AS owner, format('%I.%I', nspname, relname) AS what
    FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL
    SELECT proowner, format('%I.%I()', nspname, proname) FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL
    SELECT nspowner, format('the schema %I', nspname) FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL
    SELECT datdba, format('the database %I', datname) FROM pg_database WHERE datname = current_database()
)
SELECT 's9_role_missing', name, 'does not exist', format('CREATE ROLE %I', name) FROM own WHERE oid IS NULL
UNION ALL
SELECT rule, name, as_whom || what, CASE WHEN itself THEN format('ALTER ROLE %I %s', name, fix) ELSE revoke END
FROM reach, LATERAL (VALUES
    ('s9_superuser', rolsuper, 'is a superuser', 'NOSUPERUSER'),
    ('s9_bypasses_row_security', rolbypassrls AND NOT rolsuper, 'bypasses row-level security', 'NOBYPASSRLS'),
    ('s9_makes_roles', rolcreaterole AND NOT rolsuper, 'makes roles, and so becomes others', 'NOCREATEROLE'),
    ('s9_replicates', rolreplication AND NOT rolsuper, 'replicates, and so reads everything', 'NOREPLICATION')
) AS attribute (rule, has, what, fix) WHERE has
UNION ALL
SELECT 's9_owner', name, as_whom || format('owns %s%s', min(what), CASE WHEN count(*) > 1 THEN ' and more' ELSE '' END),
    CASE WHEN itself THEN format('REASSIGN OWNED BY %I TO CURRENT_USER', name) ELSE revoke END
FROM reach JOIN owned ON owner = reach.oid WHERE NOT rolsuper GROUP BY name, as_whom, itself, revoke
UNION ALL
SELECT 'e5_predefined_role', name, format('is a member of %I', rolname), revoke
FROM reach WHERE rolname ~ '^pg_' AND NOT rolsuper
UNION ALL
SELECT 's9_admin_option', own.name, format('may give %I to others', granted.rolname),
    format('REVOKE ADMIN OPTION FOR %I FROM %I', granted.rolname, own.name)
FROM own JOIN pg_auth_members ON member = own.oid AND admin_option JOIN pg_roles AS granted ON granted.oid = roleid
WHERE NOT own.rolsuper
