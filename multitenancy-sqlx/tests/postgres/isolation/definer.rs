//! S18: functions that run with their owner's rights.

use multitenancy_core::{ErrorKind, Store};

use super::*;

/// As an application might write it; a pinned search path does not make it safer.
const DEFINER: &str = "CREATE FUNCTION public.count_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER \
    SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM {table}'";

/// What A counts there by itself, and what the function counts for A; or which SQLSTATE refuses it.
async fn counts(pair: &Pair, table: &str) -> [Result<i64, String>; 2] {
    let mut counts = Vec::new();
    for sql in [format!("SELECT count(*) FROM {table}"), "SELECT public.count_all()".to_owned()] {
        let mut tx = pair.stage.store.read(&context(&pair.a)).await.unwrap();
        counts.push(value(tx.conn(), sql).await.map_err(|error| code(&error)));
    }
    counts.try_into().unwrap()
}

/// The control: the function shows A a row of B, which A itself does not see. The start refuses it by name. It is
/// served when it is fixed as the fault says, or when no unit of work may execute it.
#[tokio::test]
async fn s18_a_definer_function_shows_more_and_is_refused() {
    for isolation in [Isolation::Shared, Isolation::Schema] {
        let pair = Pair::new(isolation).await;
        let (schema, own) = match isolation {
            Isolation::Shared => ("tenants".to_owned(), 1),
            _ => (format!("tenant_{}", pair.b.id.as_uuid().simple()), 0),
        };
        let table = format!("{schema}.projects");
        let stage = &pair.stage;
        stage.sql(DEFINER.replace("{table}", &table)).await;
        assert_eq!(counts(&pair, &table).await, [Ok(own), Ok(own + 1)], "{isolation}: the control");

        let refused = stage.start().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.to_string().contains("- s18_definer_function: public.count_all() "), "{refused}");
        let [fault] = stage.store.audit().await.unwrap().try_into().unwrap();
        stage.sql(fault.fix.unwrap()).await;
        stage.start().await.unwrap();
        assert_eq!(counts(&pair, &table).await, [Ok(own), Ok(own)], "{isolation}: fixed");

        stage.sql("ALTER FUNCTION public.count_all() SECURITY DEFINER").await;
        stage.start().await.unwrap_err();
        stage.sql("REVOKE EXECUTE ON FUNCTION public.count_all() FROM PUBLIC").await;
        stage.start().await.unwrap();
        assert_eq!(
            counts(&pair, &table).await,
            [Ok(own), Err(REFUSED.to_owned())],
            "{isolation}: taken away"
        );
    }
}

/// A tenant's own database contains no other tenant's row, except the framework's internal rows. The database is
/// audited by the audit of all databases, and when the tenant is provisioned.
#[tokio::test]
async fn s18_tenant_database_refuses_definer_functions() {
    let pair = Pair::new(Isolation::Database).await;
    let table = "public.multitenancy_plane_migrations";
    run(&mut pair.owner(&pair.a).await, DEFINER.replace("{table}", table)).await.unwrap();
    let [by_itself, through] = counts(&pair, table).await;
    assert_eq!(by_itself, Err(REFUSED.to_owned()));
    assert!(through.as_ref().is_ok_and(|count| *count > 0), "the control: {through:?}");

    let [fault] = pair.stage.store.audit().await.unwrap().try_into().unwrap();
    assert_eq!((&*fault.rule, &*fault.object), ("s18_definer_function", "public.count_all()"));
    assert_eq!(fault.database, format!("tenant_{}", pair.a.id.as_uuid().simple()));
    let refused = pair.stage.store.provision(&pair.a).await.unwrap_err();
    assert!(refused.to_string().contains("- s18_definer_function: public.count_all() "), "{refused}");
    run(&mut pair.owner(&pair.a).await, fault.fix.unwrap()).await.unwrap();
    pair.stage.store.provision(&pair.a).await.unwrap();
    assert_eq!(counts(&pair, table).await, [Err(REFUSED.to_owned()), Err(REFUSED.to_owned())]);
}
