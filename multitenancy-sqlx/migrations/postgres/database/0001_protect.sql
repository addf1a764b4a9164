-- What every database has once, in the schema multitenancy: the tools that keep tenants apart by row-level security.
-- The role multitenancy_app is whom units of work run as. It owns nothing and bypasses nothing.

GRANT USAGE ON SCHEMA multitenancy TO PUBLIC;

-- Whom the transaction works for; NULL when nobody has said so.
CREATE FUNCTION multitenancy.tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant_id', true), '')::uuid;

-- Guards a table with policies, and only then gives it to units of work: rows are seen and written only where `condition`
-- holds.
CREATE FUNCTION multitenancy.guard(target regclass, condition text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sequence regclass;
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('DROP POLICY IF EXISTS multitenancy ON %s', target);
    EXECUTE format('CREATE POLICY multitenancy ON %s TO multitenancy_app USING (%s) WITH CHECK (%2$s)', target, condition);
    -- Holds whatever other policies are added.
    EXECUTE format('DROP POLICY IF EXISTS multitenancy_backstop ON %s', target);
    EXECUTE format(
        'CREATE POLICY multitenancy_backstop ON %s AS RESTRICTIVE TO multitenancy_app USING (%s) WITH CHECK (%2$s)',
        target, condition);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO multitenancy_app', target);
    FOR sequence IN
        SELECT objid::regclass FROM pg_depend JOIN pg_class ON oid = objid
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = target AND relkind = 'S'
    LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO multitenancy_app', sequence);
    END LOOP;
END
$$;

-- Makes a table a tenant's: `tenant_id` in every row, filled in by itself, and in every key; no statement of one tenant
-- reads or writes a row of another. Partitions and inheriting tables are protected with it. Doing it again changes nothing.
CREATE FUNCTION multitenancy.protect(target regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant smallint;
    own record;
    child regclass;
    fault text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = target AND relkind IN ('r', 'p')) THEN
        RAISE EXCEPTION '% is not a table', target;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = target AND attname = 'tenant_id' AND NOT attisdropped) THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN tenant_id uuid', target);
    END IF;
    EXECUTE format(
        'ALTER TABLE %s ALTER COLUMN tenant_id SET DEFAULT multitenancy.tenant_id(), ALTER COLUMN tenant_id SET NOT NULL',
        target);
    SELECT attnum INTO tenant FROM pg_attribute
    WHERE attrelid = target AND attname = 'tenant_id' AND atttypid = 'uuid'::regtype;
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'the column tenant_id of % is not a uuid', target;
    END IF;

    -- Foreign keys are checked without row-level security: unless the tenant_id of both sides is compared, one tenant's
    -- row refers to another's, and a cascade goes along.
    SELECT conrelid::regclass || '.' || conname INTO fault FROM pg_constraint
    WHERE contype = 'f'
        -- By what is indexed: with a thousand schemas there are many constraints.
        AND oid IN (SELECT oid FROM pg_constraint WHERE conrelid = target
                    UNION SELECT tgconstraint FROM pg_trigger WHERE tgrelid = target)
        AND (confrelid = target OR EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = confrelid AND attname = 'tenant_id' AND NOT attisdropped))
        AND NOT EXISTS (
            SELECT FROM unnest(conkey, confkey) AS pair (here, there)
            JOIN pg_attribute AS h ON h.attrelid = conrelid AND h.attnum = here AND h.attname = 'tenant_id'
            JOIN pg_attribute AS t ON t.attrelid = confrelid AND t.attnum = there AND t.attname = 'tenant_id');
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'the foreign key % leaves tenant_id out', fault
            USING HINT = 'Protect a table before others refer to it, then write '
                'FOREIGN KEY (tenant_id, other_id) REFERENCES other (tenant_id, id).';
    END IF;

    FOR own IN
        SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE conrelid = target AND contype IN ('p', 'u') AND NOT tenant = ANY (conkey)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s', target, own.conname,
            regexp_replace(own.definition, '\(', '(tenant_id, '));
    END LOOP;
    SELECT indexrelid::regclass::text INTO fault FROM pg_index
    LEFT JOIN pg_constraint ON conrelid = target AND conindid = indexrelid AND contype = 'x'
    WHERE indrelid = target AND (indisunique OR indisexclusion) AND NOT EXISTS (
        SELECT FROM unnest((indkey::smallint[])[0:indnkeyatts - 1]) WITH ORDINALITY AS key (attnum, place)
        WHERE attnum = tenant AND (NOT indisexclusion OR conexclop[place] = 'pg_catalog.=(uuid, uuid)'::regoperator));
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'the unique index or exclusion % leaves tenant_id out', fault
            USING HINT = 'Tell tenants apart in it: CREATE UNIQUE INDEX … ON … (tenant_id, …), '
                'or EXCLUDE USING gist (tenant_id WITH =, …).';
    END IF;

    PERFORM multitenancy.guard(target,
        'tenant_id = (SELECT nullif(current_setting(''app.tenant_id'', true), '''')::uuid)');
    FOR child IN SELECT inhrelid FROM pg_inherits WHERE inhparent = target LOOP
        PERFORM multitenancy.protect(child);
    END LOOP;
END
$$;

-- Makes a table the control plane's: work inside a tenant sees and writes none of it.
CREATE FUNCTION multitenancy.protect_control(target regclass) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM multitenancy.guard(target,
        '(SELECT current_setting(''app.tenant_id'', true)) = ''00000000-0000-0000-0000-000000000000''');
END
$$;

-- Lets units of work into a schema, and to those tables there that are nobody's, to read them.
CREATE FUNCTION multitenancy.grant_app(target name, reference text[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry text;
    relation regclass;
BEGIN
    -- Once: it is asked for with every migration of every schema.
    IF NOT has_schema_privilege('multitenancy_app', target, 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO multitenancy_app', target);
    END IF;
    FOREACH entry IN ARRAY reference LOOP
        CONTINUE WHEN entry LIKE '%.%' AND split_part(entry, '.', 1) <> target;
        relation := to_regclass(format('%I.%I', target, regexp_replace(entry, '^.*\.', '')));
        IF relation IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON %s FROM multitenancy_app', relation);
            EXECUTE format('GRANT SELECT ON %s TO multitenancy_app', relation);
        END IF;
    END LOOP;
END
$$;

-- The tenants that are suspended or canceled, of those whose rows are in this database. Units of work see their own tenant's
-- row, and write none.
CREATE TABLE multitenancy.fences (
    tenant_id uuid        NOT NULL PRIMARY KEY,
    id        uuid        NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now()
);
SELECT multitenancy.protect('multitenancy.fences');
REVOKE INSERT, UPDATE, DELETE ON multitenancy.fences FROM multitenancy_app;

-- Lets a transaction commit, unless there is a fence around its tenant.
CREATE FUNCTION multitenancy.pass_fence() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own CONSTANT uuid := current_setting('app.tenant_id');
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('multitenancy:fence:' || own, 0));
    -- Sees what was committed before the lock was got.
    IF EXISTS (SELECT FROM multitenancy.fences WHERE tenant_id = own) THEN
        RAISE EXCEPTION 'the tenant is closed' USING ERRCODE = 'MT117';
    END IF;
END
$$;

-- Raises one, after those who have passed have committed.
CREATE FUNCTION multitenancy.raise_fence(tenant uuid, fence uuid) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('multitenancy:fence:' || tenant, 0));
    INSERT INTO multitenancy.fences VALUES (tenant, fence)
        ON CONFLICT (tenant_id) DO UPDATE SET id = excluded.id, raised_at = excluded.raised_at;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA multitenancy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION multitenancy.tenant_id() TO PUBLIC;
GRANT EXECUTE ON FUNCTION multitenancy.pass_fence() TO multitenancy_app;

-- A temporary table outlives its unit of work, and a function of the caller's own sees what policies hide from them.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;

-- Large objects belong to a role, and so to all tenants alike. Who may not take them away, on a server of somebody else's,
-- finds them named in SECURITY.md.
DO $$ BEGIN
    REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(int), lo_from_bytea(oid, bytea), lo_put(oid, bigint, bytea),
        lo_open(oid, int), lo_get(oid), lo_get(oid, bigint, int), lowrite(int, bytea), loread(int, int), lo_unlink(oid)
        FROM PUBLIC;
EXCEPTION WHEN insufficient_privilege THEN NULL;
END $$;
