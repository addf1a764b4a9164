SELECT 'changing', '', 'is no more', NULL FROM used WHERE used IS NOT NULL AND text IS NULL
UNION ALL
SELECT 'changing', '', 'is no more', NULL FROM checked WHERE checked IS NOT NULL AND text IS NULL
UNION ALL
SELECT CASE WHEN relispartition THEN 's19_partition_without_row_security' ELSE 's10_row_security_off' END, name,
    'has no row-level security: every reader sees all tenants',
    CASE WHEN EXISTS (SELECT FROM policies WHERE polrelid = oid AND polname = 'multitenancy')
        THEN format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name) ELSE protect END
FROM tables WHERE NOT relrowsecurity
UNION ALL
SELECT 's10_row_security_not_forced', name, 'does not force row-level security: its owner sees all tenants',
    format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name)
FROM tables WHERE relrowsecurity AND NOT relforcerowsecurity
UNION ALL
SELECT 's10_foreign_table', name, 'is a foreign table, which row-level security does not guard', revoke
FROM relations JOIN revokes USING (oid) WHERE relkind = 'f' AND NOT reference
UNION ALL
SELECT 's10_history_reachable', name, 'is a history of migrations, and units of work reach it', revoke
FROM relations JOIN revokes USING (oid) WHERE history
UNION ALL
SELECT 's11_policy_missing', name, 'lacks the policy multitenancy', protect
FROM tables
WHERE relrowsecurity AND NOT EXISTS (SELECT FROM policies WHERE polrelid = oid AND polname = 'multitenancy')
UNION ALL
SELECT 's11_policy_changed', name,
    'has a policy multitenancy that is not: all commands, TO multitenancy_app, USING and WITH CHECK its own plane', protect
FROM tables JOIN policies ON polrelid = oid AND polname = 'multitenancy'
WHERE NOT coalesce(polpermissive AND whole AND policies.plane = tables.plane, false)
UNION ALL
SELECT 's11_backstop_missing', name, 'lacks the restrictive policy multitenancy_backstop', protect
FROM tables
WHERE relrowsecurity AND NOT EXISTS (SELECT FROM policies WHERE polrelid = oid AND polname = 'multitenancy_backstop')
UNION ALL
SELECT 's11_backstop_changed', name,
    'has a policy multitenancy_backstop that is not: restrictive, all commands, TO multitenancy_app, its own plane', protect
FROM tables JOIN policies ON polrelid = oid AND polname = 'multitenancy_backstop'
WHERE NOT coalesce(NOT polpermissive AND whole AND policies.plane = tables.plane, false)
UNION ALL
SELECT 's11_policy_widens', name, format('has another permissive policy, %I: only restrictive ones may be added', polname),
    format('DROP POLICY %I ON %s', polname, name)
FROM tables JOIN policies ON polrelid = oid
WHERE polpermissive AND polname NOT IN ('multitenancy', 'multitenancy_backstop')
UNION ALL
SELECT 's11_tenant_id_missing', name, 'has no column tenant_id', protect
FROM tables WHERE plane = 'tenant' AND relrowsecurity AND tenant IS NULL
UNION ALL
SELECT 's11_tenant_id_type', name, 'has a column tenant_id that is not a uuid', NULL
FROM tables WHERE plane = 'tenant' AND atttypid <> 'uuid'::regtype
UNION ALL
SELECT 's11_tenant_id_nullable', name, 'has rows that may have no tenant_id',
    format('ALTER TABLE %s ALTER COLUMN tenant_id SET NOT NULL', name)
FROM tables WHERE plane = 'tenant' AND relrowsecurity AND NOT attnotnull
