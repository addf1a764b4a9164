//! Databases that are made once in a run and then copied: making one takes ten times as long as copying it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::server::{execute, run, server_url, url};

/// Whether the server ends with the run, as `cargo xtask test` says of its own. Another one would keep the templates, also
/// those of yesterday's migrations.
pub fn kept() -> bool {
    std::env::var_os("TESTKIT_TEMPLATES").is_some()
}

/// Makes `database` a copy of the template of this kind, which the first caller in any process makes.
pub async fn copy(kind: &str, database: &str, make: impl AsyncFnOnce(&str)) {
    let mut connection = PgConnection::connect(&server_url()).await.unwrap();
    let template = format!("template_{kind}");
    sqlx::query("SELECT pg_advisory_lock(hashtext($1))")
        .bind(&template)
        .execute(&mut connection)
        .await
        .unwrap();
    let made = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(&template);
    if made.fetch_optional(&mut connection).await.unwrap().is_none() {
        // Under another name until it is whole: a test may be killed meanwhile.
        let begun = format!("{template}_begun");
        run(&mut connection, format!("DROP DATABASE IF EXISTS {begun} WITH (FORCE)")).await;
        run(&mut connection, format!("CREATE DATABASE {begun}")).await;
        make(&url(&begun)).await;
        end_connections(&mut connection, &begun).await;
        run(&mut connection, format!("ALTER DATABASE {begun} RENAME TO {template}")).await;
        run(&mut connection, format!("ALTER DATABASE {template} ALLOW_CONNECTIONS false")).await;
    }
    // Several may copy it at once.
    drop(connection.close().await);
    execute(&server_url(), format!("CREATE DATABASE {database} TEMPLATE {template} ALLOW_CONNECTIONS true"))
        .await;
    // A copy has the rights that a new database has.
    execute(&server_url(), format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")).await;
}

/// A store's connections may take a moment to end.
async fn end_connections(connection: &mut PgConnection, database: &str) {
    let end =
        format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'");
    sqlx::raw_sql(AssertSqlSafe(end)).execute(connection).await.unwrap();
}
