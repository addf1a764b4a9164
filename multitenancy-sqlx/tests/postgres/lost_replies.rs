//! Missing answers: to COMMIT, because the connection is lost; to BEGIN, because the caller was dropped.

use std::time::Duration;

use multitenancy_core::{ControlContext, ErrorKind, Isolation, TenantContext};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{
    cancellation::{CancelAfter, Cut, cancel_at_every_poll},
    fixtures::context,
    smoke_or,
};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    proxy::{FATES, Fate, Proxy},
    server::{server_url, url},
    stage::{Stage, builder, run, value},
    watch::{Watch, eventually},
};

/// S32: a COMMIT without an answer is reported as unknown, and not as retryable; it was done once or not at all, and
/// the next unit works. The control is included: with the same error, some were done and some were not.
#[tokio::test(flavor = "multi_thread")]
async fn s32_a_lost_answer_to_commit_is_unknown() {
    let stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Shared).await);
    let proxy = Proxy::start().await;
    let store = builder(&proxy.url(&stage.database)).connect().await.unwrap();
    let mut unknown = [0, 0];
    let rounds = smoke_or(20, 100);
    for round in 0..rounds {
        let fate = FATES[round % FATES.len()];
        let mut unit = store.begin(&acme).await.unwrap();
        run(unit.conn(), format!("INSERT INTO projects (name) VALUES ('{round}')")).await.unwrap();
        proxy.next(fate);
        let outcome = unit.commit().await;
        let mut next = store.read(&acme).await.unwrap();
        let rows: i64 = value(next.conn(), format!("SELECT count(*) FROM projects WHERE name = '{round}'"))
            .await
            .unwrap();
        match fate {
            Fate::Answered | Fate::CutShort => assert_eq!((outcome.ok(), rows), (Some(()), 1), "{fate:?}"),
            Fate::Unheard | Fate::Unanswered => {
                let error = outcome.unwrap_err();
                assert_eq!((error.kind(), error.code()), (ErrorKind::Unknown, "commit_unknown"), "{error:?}");
                assert!(!error.is_retryable());
                assert_eq!(rows, i64::from(fate == Fate::Unanswered), "{fate:?}");
                unknown[usize::from(rows == 1)] += 1;
            }
        }
    }
    assert_eq!(unknown, [rounds / 4, rounds / 4], "the error shows neither outcome");
}

/// S27: BEGIN cut off at every poll, on reused and on new connections, leaves no open transaction without an owner.
#[tokio::test(flavor = "multi_thread")]
async fn s27_a_cancelled_begin_leaves_no_transaction() {
    let stage = Stage::new().await;
    let mut cuts = 0;
    for lifetime in [3600, 0] {
        let store =
            stage.builder().max_connections(4).max_lifetime(Duration::from_secs(lifetime)).connect().await;
        let store = store.unwrap();
        for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
            let slug = format!("t{lifetime}-{}", isolation as u8);
            let acme = context(&stage.tenant(&slug, isolation).await);
            for writes in [true, false] {
                cuts += cancelled_begins(&store, &acme, writes).await;
            }
        }
    }
    assert!(cuts > 60, "{cuts}");
}

async fn cancelled_begins(store: &PgStore, context: &TenantContext, writes: bool) -> usize {
    let watch = tokio::sync::Mutex::new(Watch::of(store).await);
    let begin = async |_| {
        let unit = if writes { store.begin(context).await? } else { store.read(context).await? };
        drop(unit);
        Ok(())
    };
    let check = async |_, _| {
        let mut watch = watch.lock().await;
        eventually("no transaction is open", Duration::from_secs(5), async || {
            watch.count("state LIKE 'idle in transaction%'").await == 0
        })
        .await;
        let mut next = store.begin(context).await.unwrap();
        let mine: String = value(next.conn(), "SELECT current_setting('app.tenant_id')").await.unwrap();
        assert_eq!(mine, context.tenant().id.to_string());
        next.commit().await.unwrap();
    };
    cancel_at_every_poll(async |_| (), begin, check).await
}

/// The control: sqlx's own pool keeps them, and the same query to the server finds them.
#[tokio::test(flavor = "multi_thread")]
async fn s27_control_a_plain_pool_keeps_them() {
    let stage = Stage::new().await;
    let options: PgConnectOptions = url(&stage.database).parse().unwrap();
    let mut server = PgConnection::connect(&server_url()).await.unwrap();
    let mut leaked = 0;
    // Which poll leaves one is random.
    for attempt in 0..300 {
        let polls = 1 + attempt % 15;
        let name = format!("plain {} {attempt}", stage.database);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone().application_name(&name))
            .await;
        let pool = pool.unwrap();
        let begin = async { pool.begin().await.map(drop) };
        if CancelAfter::new(begin, polls, Cut::AtOnce).await.is_some() {
            continue;
        }
        // Back in the pool, which pings it.
        eventually("it is back", Duration::from_secs(5), async || {
            u32::try_from(pool.num_idle()).unwrap() == pool.size()
        })
        .await;
        let look = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND state LIKE 'idle in transaction%'"
        );
        leaked += value::<i64>(&mut server, look).await.unwrap();
        if leaked > 0 {
            break;
        }
    }
    assert!(leaked > 0, "the look at the server sees no leak");
}

/// The same holds for a unit on the control plane.
#[tokio::test]
async fn s32_lost_commit_answer_on_the_control_plane() {
    let stage = Stage::new().await;
    let proxy = Proxy::start().await;
    let store = builder(&proxy.url(&stage.database)).connect().await.unwrap();
    let unit = store.control(&ControlContext::system("test")).await.unwrap();
    proxy.next(Fate::Unanswered);
    assert_eq!(unit.commit().await.unwrap_err().kind(), ErrorKind::Unknown);
    store.control(&ControlContext::system("test")).await.unwrap().commit().await.unwrap();
}
