//! A store does not start on an unsafe schema. The error states each fault and its fix (S10–S21).

use std::time::Duration;

use multitenancy_core::{ErrorKind, Isolation};
use multitenancy_sqlx::{AuditOptions, audit};
use multitenancy_testkit::{fixtures::context, smoke_or};

use crate::{
    server::url,
    stage::{Stage, run},
};

/// The change to a healthy database, the rule that finds it, and the object it names. `{tenant}` is the schema of one
/// tenant, `{database}` the database.
struct Sabotage(&'static str, &'static str, &'static str);

const MENDED: &[Sabotage] = &[
    // No role may call the function, and every role the aggregate.
    Sabotage(
        "CREATE FUNCTION public.peek(bigint, int) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM tenants.projects'; \
         REVOKE EXECUTE ON FUNCTION public.peek FROM PUBLIC; \
         CREATE AGGREGATE public.look(int) (SFUNC = public.peek, STYPE = bigint)",
        "s18_definer_function",
        "public.peek(bigint, integer)",
    ),
    Sabotage(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA tenants GRANT SELECT ON TABLES TO multitenancy_app",
        "s20_default_grant",
        "default privileges in tenants",
    ),
    Sabotage("CREATE TABLE tenants.forgotten (id int)", "s10_row_security_off", "tenants.forgotten"),
    Sabotage(
        "ALTER TABLE tenants.projects DISABLE ROW LEVEL SECURITY",
        "s10_row_security_off",
        "tenants.projects",
    ),
    Sabotage(
        "ALTER TABLE {tenant}.tasks DISABLE ROW LEVEL SECURITY",
        "s10_row_security_off",
        "{tenant}.tasks",
    ),
    Sabotage(
        "ALTER TABLE tenants.multitenancy_users DISABLE ROW LEVEL SECURITY",
        "s10_row_security_off",
        "tenants.multitenancy_users",
    ),
    Sabotage(
        "ALTER TABLE public.multitenancy_tenants DISABLE ROW LEVEL SECURITY",
        "s10_row_security_off",
        "public.multitenancy_tenants",
    ),
    Sabotage(
        "ALTER TABLE tenants.projects NO FORCE ROW LEVEL SECURITY",
        "s10_row_security_not_forced",
        "tenants.projects",
    ),
    Sabotage(
        "CREATE TABLE tenants.copy (LIKE tenants.projects INCLUDING ALL)",
        "s10_row_security_off",
        "tenants.copy",
    ),
    Sabotage(
        "CREATE SCHEMA aside; CREATE TABLE aside.all_of_them AS SELECT * FROM tenants.projects; GRANT SELECT ON aside.all_of_them TO multitenancy_app",
        "s10_row_security_off",
        "aside.all_of_them",
    ),
    Sabotage(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE tenants.far (id int) SERVER s; GRANT SELECT ON tenants.far TO multitenancy_app",
        "s10_foreign_table",
        "tenants.far",
    ),
    Sabotage(
        "GRANT SELECT ON tenants._sqlx_migrations TO multitenancy_app",
        "s10_history_reachable",
        "tenants._sqlx_migrations",
    ),
    Sabotage(
        "GRANT SELECT (version) ON public.multitenancy_plane_migrations TO multitenancy_app",
        "s10_history_reachable",
        "public.multitenancy_plane_migrations",
    ),
    Sabotage("DROP POLICY multitenancy ON tenants.projects", "s11_policy_missing", "tenants.projects"),
    Sabotage(
        "ALTER POLICY multitenancy ON tenants.projects USING (true)",
        "s11_policy_changed",
        "tenants.projects",
    ),
    Sabotage(
        "ALTER POLICY multitenancy ON tenants.projects WITH CHECK (true)",
        "s11_policy_changed",
        "tenants.projects",
    ),
    Sabotage(
        "ALTER POLICY multitenancy ON {tenant}.projects TO PUBLIC",
        "s11_policy_changed",
        "{tenant}.projects",
    ),
    Sabotage(
        "DROP POLICY multitenancy ON tenants.projects; CREATE POLICY multitenancy ON tenants.projects FOR SELECT TO multitenancy_app USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))",
        "s11_policy_changed",
        "tenants.projects",
    ),
    Sabotage(
        "ALTER POLICY multitenancy ON tenants.projects USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid) OR current_setting('app.admin', true) = 'on')",
        "s11_policy_changed",
        "tenants.projects",
    ),
    Sabotage(
        "ALTER POLICY multitenancy ON public.multitenancy_memberships USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))",
        "s11_policy_changed",
        "public.multitenancy_memberships",
    ),
    // A function of the same name as a built-in one, found first.
    Sabotage(
        "CREATE FUNCTION public.current_setting(text, boolean) RETURNS text LANGUAGE sql RETURN 'x'; SET search_path = public, pg_catalog; \
         ALTER POLICY multitenancy ON tenants.projects USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))",
        "s11_policy_changed",
        "tenants.projects",
    ),
    Sabotage(
        "DROP POLICY multitenancy_backstop ON tenants.projects",
        "s11_backstop_missing",
        "tenants.projects",
    ),
    Sabotage(
        "ALTER POLICY multitenancy_backstop ON tenants.projects USING (true)",
        "s11_backstop_changed",
        "tenants.projects",
    ),
    Sabotage(
        "CREATE POLICY support ON tenants.projects USING (true)",
        "s11_policy_widens",
        "tenants.projects",
    ),
    Sabotage(
        "CREATE TABLE tenants.loose (id int); SELECT multitenancy.protect('tenants.loose'); ALTER TABLE tenants.loose ALTER tenant_id DROP NOT NULL",
        "s11_tenant_id_nullable",
        "tenants.loose",
    ),
    Sabotage(
        "ALTER DATABASE {database} SET \"app.tenant_id\" = '00000000-0000-0000-0000-000000000000'",
        "s12_setting_preset",
        "{database}",
    ),
    Sabotage("ALTER DATABASE {database} SET row_security = off", "s12_setting_preset", "{database}"),
    Sabotage(
        "ALTER TABLE tenants.projects ADD CONSTRAINT alone UNIQUE (id); ALTER TABLE tenants.tasks ADD CONSTRAINT short FOREIGN KEY (project_id) REFERENCES tenants.projects (id) ON DELETE CASCADE",
        "s14_foreign_key_without_tenant_id",
        "tenants.tasks.short",
    ),
    Sabotage(
        "ALTER TABLE tenants.tasks ADD other uuid, ADD CONSTRAINT askew FOREIGN KEY (other, project_id) REFERENCES tenants.projects (tenant_id, id)",
        "s14_foreign_key_without_tenant_id",
        "tenants.tasks.askew",
    ),
    Sabotage(
        "ALTER TABLE tenants.countries ADD tenant_id uuid, ADD best uuid, ADD CONSTRAINT best FOREIGN KEY (best, tenant_id) REFERENCES tenants.projects (tenant_id, id)",
        "s14_foreign_key_without_tenant_id",
        "tenants.countries.best",
    ),
    Sabotage(
        "ALTER TABLE tenants.projects ADD CONSTRAINT one_name UNIQUE (name)",
        "s16_key_without_tenant_id",
        "tenants.projects.one_name",
    ),
    Sabotage(
        "CREATE UNIQUE INDEX one_title ON tenants.tasks (lower(title)) WHERE title <> ''",
        "s16_key_without_tenant_id",
        "tenants.tasks.one_title",
    ),
    Sabotage(
        "CREATE UNIQUE INDEX with_tenant ON {tenant}.tasks (title) INCLUDE (tenant_id)",
        "s16_key_without_tenant_id",
        "{tenant}.tasks.with_tenant",
    ),
    Sabotage(
        "CREATE EXTENSION btree_gist; ALTER TABLE tenants.tasks ADD during tstzrange, ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&)",
        "s16_key_without_tenant_id",
        "tenants.tasks.apart",
    ),
    Sabotage(
        "ALTER TABLE tenants.tasks ADD CONSTRAINT unequal EXCLUDE USING gist (tenant_id WITH <>, title WITH =)",
        "s16_key_without_tenant_id",
        "tenants.tasks.unequal",
    ),
    Sabotage(
        "CREATE VIEW tenants.peek AS SELECT * FROM tenants.projects; GRANT SELECT ON tenants.peek TO multitenancy_app",
        "s17_view_with_owners_rights",
        "tenants.peek",
    ),
    Sabotage(
        "ALTER VIEW {tenant}.named_projects SET (security_invoker = false)",
        "s17_view_with_owners_rights",
        "{tenant}.named_projects",
    ),
    Sabotage(
        "CREATE MATERIALIZED VIEW tenants.all_names AS SELECT name FROM tenants.projects; GRANT SELECT ON tenants.all_names TO multitenancy_app",
        "s17_materialized_view",
        "tenants.all_names",
    ),
    Sabotage(
        "CREATE RULE copies AS ON INSERT TO tenants.projects DO ALSO DELETE FROM tenants.tasks",
        "s17_rule",
        "tenants.projects",
    ),
    Sabotage(
        "CREATE FUNCTION public.count_all(text) RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN (SELECT count(*) FROM tenants.projects)",
        "s18_definer_function",
        "public.count_all(text)",
    ),
    Sabotage(
        "CREATE FUNCTION public.fires() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END'; REVOKE EXECUTE ON FUNCTION public.fires FROM PUBLIC; \
         CREATE TRIGGER fires BEFORE INSERT ON tenants.projects FOR EACH ROW EXECUTE FUNCTION public.fires()",
        "s18_definer_function",
        "public.fires()",
    ),
    Sabotage(
        "CREATE TABLE tenants.entries_2027 PARTITION OF tenants.entries FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
        "s19_partition_without_row_security",
        "tenants.entries_2027",
    ),
    Sabotage(
        "CREATE TABLE tenants.own_projects (own int) INHERITS (tenants.projects)",
        "s10_row_security_off",
        "tenants.own_projects",
    ),
    Sabotage(
        "GRANT TRUNCATE ON tenants.projects TO multitenancy_app",
        "s20_dangerous_privilege",
        "tenants.projects",
    ),
    Sabotage(
        "GRANT REFERENCES (id), TRIGGER ON tenants.tasks TO multitenancy_app",
        "s20_dangerous_privilege",
        "tenants.tasks",
    ),
    Sabotage("GRANT SELECT ON {tenant}.projects TO PUBLIC", "s20_public_grant", "{tenant}.projects"),
    Sabotage("GRANT INSERT ON tenants.countries TO multitenancy_app", "s20_writable", "tenants.countries"),
    Sabotage(
        "GRANT UPDATE ON tenants.multitenancy_marker TO multitenancy_app",
        "s20_writable",
        "tenants.multitenancy_marker",
    ),
    Sabotage(
        "GRANT DELETE ON multitenancy.fences TO multitenancy_app",
        "s20_writable",
        "multitenancy.fences",
    ),
    Sabotage(
        "GRANT UPDATE, DELETE ON tenants.multitenancy_audit TO multitenancy_app",
        "s20_rewritable",
        "tenants.multitenancy_audit",
    ),
    Sabotage("GRANT CREATE ON SCHEMA tenants TO multitenancy_app", "s20_creates_in_schema", "tenants"),
    Sabotage("GRANT CREATE ON SCHEMA public TO PUBLIC", "s20_creates_in_schema", "public"),
    Sabotage("GRANT TEMPORARY ON DATABASE {database} TO PUBLIC", "s20_creates_in_database", "{database}"),
    Sabotage(
        "GRANT CREATE ON DATABASE {database} TO multitenancy_app",
        "s20_creates_in_database",
        "{database}",
    ),
];

/// The start refuses each by name; the fix of the fault fixes it, and no other fault is found before or after.
#[tokio::test]
async fn s10_to_s20_start_refuses_each_unsafe_schema() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Schema).await;
    let schema = format!("tenant_{}", tenant.id.as_uuid().simple());
    assert_eq!(stage.store.audit().await.unwrap(), [], "a healthy database has no fault");
    for Sabotage(sql, rule, object) in MENDED {
        let fill = |text: &str| text.replace("{tenant}", &schema).replace("{database}", &stage.database);
        let (sql, object) = (fill(sql), fill(object));
        stage.sql(&sql).await;
        let refused = stage.start().await.expect_err(&sql);
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
        let said = refused.to_string();
        assert!(said.contains(&format!("- {rule}: {object} ")), "{sql}: {said}");
        // By the URL: with `row_security` preset, a new connection of the store reads no table.
        let options = AuditOptions { reference_tables: vec!["countries".into()], ..AuditOptions::default() };
        for fault in audit(&url(&stage.database), &options).await.unwrap() {
            let fix = fault.fix.clone().unwrap_or_else(|| panic!("{fault}"));
            assert!(said.contains(&fix), "{said}");
            run(&mut stage.connection().await, &fix).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        }
        assert_eq!(stage.store.audit().await.unwrap(), [], "after {sql}");
        stage.start().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert!(MENDED.len() >= 25);
}

/// No statement fixes a column of the wrong type: it is still named.
#[tokio::test]
async fn s11_a_tenant_id_of_another_type_is_refused() {
    let stage = Stage::new().await;
    let unprotected = "CREATE TABLE tenants.texts (tenant_id text NOT NULL); ALTER TABLE tenants.texts ENABLE ROW LEVEL SECURITY";
    stage.sql(unprotected).await;
    let refused = stage.start().await.unwrap_err().to_string();
    assert!(refused.contains("- s11_tenant_id_type: tenants.texts "), "{refused}");
}

/// `migrate` refuses a table that an application's migration leaves unprotected, and no tenant is served until it is
/// fixed.
#[tokio::test]
async fn s10_a_migration_that_protects_nothing_fails() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Shared).await;
    let careless: Vec<_> =
        crate::stage::APPLICATION.iter().copied().chain(["CREATE TABLE notes (text text)"]).collect();
    let builder = stage.builder().tenant_migrations(crate::migrator::migrations(&careless));
    let store = builder.connect().await.unwrap();
    let refused = store.migrate().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("SELECT multitenancy.protect('tenants.notes')"), "{refused}");
    let refused = store.begin(&context(&tenant)).await.map(drop).unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unavailable, "tenant_upgrading"));
    stage.sql("SELECT multitenancy.protect('tenants.notes')").await;
    store.migrate().await.unwrap();
    let mut tx = store.begin(&context(&tenant)).await.unwrap();
    run(tx.conn(), "INSERT INTO notes (text) VALUES ('mine')").await.unwrap();
    tx.commit().await.unwrap();
}

/// S10: an unsafe migration that is cut off at any point, also between the migration and its audit, leaves no tenant
/// served.
#[tokio::test]
async fn s10_interrupted_unsafe_migration_blocks_service() {
    let stage = Stage::new().await;
    let tenant = context(&stage.tenant("acme", Isolation::Shared).await);
    let careless = [crate::stage::APPLICATION, &["CREATE TABLE notes (text text)"]].concat();
    let builder = stage.builder().tenant_migrations(crate::migrator::migrations(&careless));
    let store = builder.connect().await.unwrap();
    // The audit takes tens of milliseconds, and in the workers' tasks no await can be chosen.
    for millis in 0.. {
        let finished = tokio::time::timeout(Duration::from_millis(millis), store.migrate()).await;
        let refused = store.begin(&tenant).await.map(drop).expect_err("served from an unaudited database");
        assert_eq!(refused.code(), "tenant_upgrading", "after {millis} ms");
        if let Ok(migrated) = finished {
            assert_eq!(migrated.unwrap_err().kind(), ErrorKind::Config);
            return;
        }
    }
}

/// A tenant's own database is audited when it is created, and by the audit of all databases.
#[tokio::test]
async fn s10_a_tenants_own_database_is_audited() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Database).await;
    let database = format!("tenant_{}", tenant.id.as_uuid().simple());
    assert_eq!(stage.store.audit().await.unwrap(), []);
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url(&database)).await.unwrap();
    run(&mut connection, "ALTER TABLE projects DISABLE ROW LEVEL SECURITY").await.unwrap();
    let faults = stage.store.audit().await.unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!((&*faults[0].rule, &faults[0].database), ("s10_row_security_off", &database));
    let refused = multitenancy_core::Store::provision(&stage.store, &tenant).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    run(&mut connection, faults[0].fix.clone().unwrap()).await.unwrap();
    multitenancy_core::Store::provision(&stage.store, &tenant).await.unwrap();
}

/// The same audit by URL, for an application's own tests; a table missing from the reference tables is a fault.
#[tokio::test]
async fn s10_a_database_is_audited_by_its_url() {
    let stage = Stage::new().await;
    let mut options =
        AuditOptions { reference_tables: vec!["countries".to_owned()], ..AuditOptions::default() };
    assert_eq!(audit(&url(&stage.database), &options).await.unwrap(), []);
    options.reference_tables.clear();
    let faults = audit(&url(&stage.database), &options).await.unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].object, "tenants.countries");
}

/// A concurrent change is no fault: many stores start at once, and one of them migrates.
#[tokio::test(flavor = "multi_thread")]
async fn audit_during_a_migration_finds_no_fault() {
    let stage = Stage::new().await;
    let mut migrating = stage.connection().await;
    let changes = tokio::spawn(async move {
        loop {
            let made =
                "CREATE TABLE tenants.passing (id int); SELECT multitenancy.protect('tenants.passing')";
            run(&mut migrating, made).await.unwrap();
            run(&mut migrating, "DROP TABLE tenants.passing").await.unwrap();
        }
    });
    for _ in 0..smoke_or(20, 100) {
        assert_eq!(stage.store.audit().await.unwrap(), []);
    }
    changes.abort();
}
