SELECT 's14_foreign_key_without_tenant_id', format('%s.%I', child.name, conname),
    format('refers to %s without comparing tenant_id: rows refer to other tenants'' rows, and cascades reach them', parent.name),
    CASE WHEN child.reference OR child.tenant = ANY (conkey) OR parent.tenant = ANY (confkey)
            OR child.tenant IS NULL OR parent.tenant IS NULL
        THEN format('ALTER TABLE %s DROP CONSTRAINT %I', child.name, conname)
        ELSE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s', child.name, conname, regexp_replace(
            regexp_replace(definition, '^FOREIGN KEY \(', 'FOREIGN KEY (tenant_id, '),
            '\) REFERENCES (.+?)\(', ') REFERENCES \1(tenant_id, ')) END
FROM pg_constraint
JOIN relations AS child ON child.oid = conrelid
JOIN relations AS parent ON parent.oid = confrelid,
    LATERAL (SELECT pg_get_constraintdef(pg_constraint.oid) AS definition) AS written
WHERE contype = 'f' AND conparentid = 0
    AND (conrelid IN (SELECT oid FROM tables WHERE plane = 'tenant') AND NOT parent.reference
        OR confrelid IN (SELECT oid FROM tables WHERE plane = 'tenant'))
    AND NOT EXISTS (
        SELECT FROM unnest(conkey, confkey) AS pair (here, there) WHERE here = child.tenant AND there = parent.tenant)
UNION ALL
SELECT 's16_key_without_tenant_id', format('%s.%I', name, index.relname),
    'is unique over all tenants: a tenant can find out another tenant''s values by trying',
    CASE
        WHEN contype IN ('p', 'u') THEN protect
        WHEN contype = 'x' THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s', name, conname,
            regexp_replace(pg_get_constraintdef(pg_constraint.oid), '\(', '(tenant_id WITH =, '))
        ELSE format('DROP INDEX %s; %s', indexrelid::regclass,
            regexp_replace(pg_get_indexdef(indexrelid), '( USING \w+ \()', '\1tenant_id, ')) END
FROM pg_index
JOIN tables ON tables.oid = indrelid
JOIN pg_class AS index ON index.oid = indexrelid
LEFT JOIN pg_constraint ON conindid = indexrelid AND conrelid = indrelid AND contype IN ('p', 'u', 'x')
WHERE plane = 'tenant' AND tenant IS NOT NULL AND (indisunique OR indisexclusion) AND NOT index.relispartition
    AND NOT EXISTS (
        -- Columns of INCLUDE are not part of the key.
        SELECT FROM unnest((indkey::smallint[])[0:indnkeyatts - 1]) WITH ORDINALITY AS key (attnum, place)
        WHERE attnum = tenant AND (NOT indisexclusion OR conexclop[place] = 'pg_catalog.=(uuid, uuid)'::regoperator))
