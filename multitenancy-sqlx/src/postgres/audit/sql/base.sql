-- The objects that the checks examine. $1: the roles that units of work run as or can become; $2: the listed reference tables.
WITH app AS (
    SELECT oid, quote_ident(rolname) AS name FROM pg_roles WHERE rolname = ANY ($1::text[])
), grantees AS (
    SELECT oid, name FROM app UNION ALL SELECT 0, 'PUBLIC'
), written AS MATERIALIZED (
    SELECT p.oid, polrelid, coalesce(attnum, 0) AS tenant,
        sha256(convert_to(polqual::text, 'UTF8')) AS used, sha256(convert_to(polwithcheck::text, 'UTF8')) AS checked
    FROM pg_policy AS p
    LEFT JOIN pg_attribute ON attrelid = polrelid AND attname = 'tenant_id' AND NOT attisdropped
), used AS (
    -- A thousand schemas share a few expressions, and printing one is slow.
    SELECT used, tenant, (
        -- Without the parts that differ between server versions.
        SELECT regexp_replace(pg_get_expr(polqual, polrelid), '::text| AS "?\w+"?', '', 'g')
        FROM pg_policy WHERE oid = min(written.oid)) AS text
    FROM written GROUP BY used, tenant
), checked AS (
    SELECT checked, tenant, (
        SELECT regexp_replace(pg_get_expr(polwithcheck, polrelid), '::text| AS "?\w+"?', '', 'g')
        FROM pg_policy WHERE oid = min(written.oid)) AS text
    FROM written GROUP BY checked, tenant
), policies AS MATERIALIZED (
    SELECT p.polrelid, polname, polpermissive,
        polcmd = '*' AND polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = 'multitenancy_app')]
            AND used.text = checked.text AS whole,
        CASE used.text
            WHEN '(tenant_id = ( SELECT (NULLIF(current_setting(''app.tenant_id'', true), ''''))::uuid))' THEN 'tenant'
            WHEN '(( SELECT current_setting(''app.tenant_id'', true)) = ''00000000-0000-0000-0000-000000000000'')'
                THEN 'control' ELSE 'other' END AS plane
    FROM pg_policy AS p
    JOIN written USING (oid)
    LEFT JOIN used ON used.used = written.used AND used.tenant = written.tenant
    LEFT JOIN checked ON checked.checked = written.checked AND checked.tenant = written.tenant
), relations AS MATERIALIZED (
    SELECT c.oid, relkind, relname, relrowsecurity, relforcerowsecurity, relispartition, relacl, relowner, reloptions,
        format('%I.%I', nspname, relname) AS name, tenant.attnum AS tenant, tenant.atttypid, tenant.attnotnull,
        nspname IN ('public', 'tenants') OR nspname ~ '^tenant_[0-9a-f]{32}$' AS in_plane,
        EXISTS (SELECT FROM app
            WHERE has_any_column_privilege(app.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
                OR has_table_privilege(app.oid, c.oid, 'DELETE, TRUNCATE, TRIGGER')) AS reachable,
        relname = ANY ($2::text[]) OR nspname || '.' || relname = ANY ($2::text[]) AS reference,
        nspname = 'public'
                AND relname IN ('multitenancy_tenants', 'multitenancy_memberships', 'multitenancy_tenant_schemas')
            OR EXISTS (SELECT FROM policies WHERE polrelid = c.oid AND plane = 'control') AS control,
        -- The histories of migrations.
        (SELECT count(*) = 3 FROM pg_attribute
         WHERE attrelid = c.oid AND attname IN ('checksum', 'installed_on', 'execution_time')) AS history
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = relnamespace
    LEFT JOIN pg_attribute AS tenant ON attrelid = c.oid AND attname = 'tenant_id' AND NOT attisdropped
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
), tables AS (
    -- The tables that need protection: all but the framework's internal, unreachable ones.
    SELECT *, CASE WHEN control THEN 'control' ELSE 'tenant' END AS plane,
        format('SELECT multitenancy.%s(%L)', CASE WHEN control THEN 'protect_control' ELSE 'protect' END, name) AS protect
    FROM relations
    WHERE relkind IN ('r', 'p') AND NOT reference AND NOT history AND (in_plane OR reachable)
        AND (reachable OR relrowsecurity OR relname NOT LIKE 'multitenancy\_%')
), grants AS (
    SELECT relations.oid, privilege_type AS privilege, grantees.name AS grantee
    FROM relations, aclexplode(relacl) JOIN grantees ON grantee = grantees.oid
    UNION
    SELECT attrelid, privilege_type, grantees.name
    FROM relations JOIN pg_attribute ON attrelid = relations.oid,
        aclexplode(attacl) JOIN grantees ON grantee = grantees.oid
    WHERE attacl IS NOT NULL
), revokes AS (
    SELECT oid, format('REVOKE ALL ON %s FROM %s', name, string_agg(DISTINCT grantee, ', ')) AS revoke
    FROM relations JOIN grants USING (oid) GROUP BY oid, name
)
