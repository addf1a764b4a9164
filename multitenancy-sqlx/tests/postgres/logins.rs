//! The role that units of work log in as (S9): a privileged login is refused by name, a plain one needs no
//! preparation.

use multitenancy_core::{ErrorKind, Isolation};
use multitenancy_sqlx::{AuditOptions, PgStore, audit};
use multitenancy_testkit::fixtures::context;

use crate::{
    server::url,
    stage::{Stage, run, value},
};

/// Attributes of a login, extra statements for it (`{login}`), the rule that finds it, and the text of the error.
struct Bad(&'static str, &'static str, &'static str, &'static str);

const BAD: &[Bad] = &[
    Bad("SUPERUSER", "", "s9_superuser", "is a superuser"),
    Bad("BYPASSRLS", "", "s9_bypasses_row_security", "bypasses row-level security"),
    Bad("CREATEROLE", "", "s9_makes_roles", "makes roles"),
    Bad("REPLICATION", "", "s9_replicates", "replicates"),
    Bad("", "ALTER TABLE tenants.tasks OWNER TO {login}", "s9_owner", "owns tenants.tasks"),
    Bad("", "CREATE SCHEMA theirs AUTHORIZATION {login}", "s9_owner", "owns the schema theirs"),
    Bad("", "ALTER DATABASE {database} OWNER TO {login}", "s9_owner", "owns the database"),
    Bad("", "GRANT {other} TO {login}", "s9_bypasses_row_security", "can become {other}, who bypasses"),
    Bad(
        "NOINHERIT",
        "GRANT {other} TO {login}",
        "s9_bypasses_row_security",
        "can become {other}, who bypasses",
    ),
    Bad("", "GRANT {owner} TO {login}", "s9_owner", "can become {owner}, who owns tenants.projects"),
    Bad("", "GRANT pg_read_all_stats TO {login}", "e5_predefined_role", "is a member of pg_read_all_stats"),
    Bad("", "GRANT pg_monitor TO {login}", "e5_predefined_role", "is a member of pg_monitor"),
    Bad("", "GRANT pg_read_all_data TO {login}", "e5_predefined_role", "is a member of pg_read_all_data"),
    Bad(
        "",
        "GRANT multitenancy_app TO {login} WITH ADMIN OPTION",
        "s9_admin_option",
        "may give multitenancy_app",
    ),
];

async fn start(stage: &Stage, login: &str) -> multitenancy_core::Result<PgStore> {
    let builder = PgStore::builder(login).admin_url(&url(&stage.database)).allow_privileged_url(false);
    builder
        .tenant_migrations(crate::migrator::migrations(crate::stage::APPLICATION))
        .reference_table("countries")
        .connect()
        .await
}

/// Each is refused by name, and served once it is fixed as the error says.
#[tokio::test]
async fn s9_start_refuses_each_privileged_login() {
    let mut stage = Stage::new().await;
    let (other, _) = stage.login("BYPASSRLS").await;
    let (owner, _) = stage.login("").await;
    stage.sql(format!("ALTER TABLE tenants.projects OWNER TO {owner}")).await;
    for Bad(attributes, sql, rule, what) in BAD {
        let (login, address) = stage.login(attributes).await;
        let fill = |text: &str| {
            let text = text.replace("{login}", &login).replace("{other}", &other).replace("{owner}", &owner);
            text.replace("{database}", &stage.database)
        };
        if !sql.is_empty() {
            stage.sql(fill(sql)).await;
        }
        let refused = start(&stage, &address).await.expect_err(what);
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
        let said = refused.to_string();
        assert!(said.contains(&format!("{rule}: {login} {}", fill(what))), "{said}");
        assert!(said.contains("CREATE ROLE app LOGIN"), "{said}");

        let options = AuditOptions { login: Some(login.clone()), ..AuditOptions::default() };
        let faults = audit(&url(&stage.database), &options).await.unwrap();
        for fault in faults.iter().filter(|fault| fault.object == login) {
            let fix = fault.fix.clone().unwrap_or_else(|| panic!("{fault}"));
            assert!(said.contains(&fix), "{said}");
            stage.sql(fix).await;
        }
        if *attributes == "NOINHERIT" {
            let refused = start(&stage, &address).await.unwrap_err().to_string();
            assert!(refused.contains(&format!("ALTER ROLE {login} INHERIT")), "{refused}");
            continue;
        }
        start(&stage, &address).await.unwrap_or_else(|error| panic!("{login}: {error}"));
    }
    assert!(BAD.len() >= 4);
}

/// A plain login becomes a member of the role with the rights, and works in every isolation.
#[tokio::test]
async fn s9_plain_login_works_by_inheritance() {
    let mut stage = Stage::new().await;
    let (login, address) = stage.login("").await;
    let store = start(&stage, &address).await.unwrap();
    for (slug, isolation) in
        [("one", Isolation::Shared), ("two", Isolation::Schema), ("three", Isolation::Database)]
    {
        let tenant = stage.tenant(slug, isolation).await;
        let mut tx = store.begin(&context(&tenant)).await.unwrap();
        run(tx.conn(), "INSERT INTO projects (name) VALUES ('mine')").await.unwrap();
        assert_eq!(value::<String>(tx.conn(), "SELECT current_user::text").await.unwrap(), login);
        tx.commit().await.unwrap();
    }
    assert_eq!(store.audit().await.unwrap(), []);
    let admin: bool = value(
        &mut stage.connection().await,
        format!("SELECT admin_option FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member WHERE rolname = '{login}'"),
    )
    .await
    .unwrap();
    assert!(!admin);
}

/// Without an admin URL no role can grant the membership: the error states the remedy.
#[tokio::test]
async fn s9_error_states_how_to_grant_membership() {
    let mut stage = Stage::new().await;
    let (login, address) = stage.login("").await;
    let refused = PgStore::builder(&address).connect().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    let statement = format!("GRANT multitenancy_app TO {login}");
    assert!(refused.to_string().contains(&statement), "{refused}");
    stage.sql(statement).await;
    let builder =
        PgStore::builder(&address).tenant_migrations(crate::migrator::migrations(crate::stage::APPLICATION));
    builder.reference_table("countries").connect().await.unwrap();
}

/// When a privileged URL is allowed, units of work run as the restricted role. Otherwise it is refused.
#[tokio::test]
async fn s9_production_refuses_a_privileged_url() {
    let stage = Stage::new().await;
    let refused = stage.builder().allow_privileged_url(false).connect().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("s9_superuser"), "{refused}");

    let store = stage.builder().allow_privileged_url(true).connect().await.unwrap();
    let tenant = stage.tenant("acme", Isolation::Shared).await;
    let mut tx = store.begin(&context(&tenant)).await.unwrap();
    let (role, bypasses): (String, bool) = sqlx::query_as(
        "SELECT current_user::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(tx.conn())
    .await
    .unwrap();
    assert_eq!((role.as_str(), bypasses), ("multitenancy_app", false));
}
