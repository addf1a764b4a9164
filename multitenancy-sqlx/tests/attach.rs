//! S123: the fate of a unit whose SQL attaches another file.
//!
//! SQLite itself permits it: neither SQLite nor sqlx has a safe way to forbid ATTACH on a connection, and SQLite
//! permits it inside a transaction. So the unit's own statements do reach the other file. The guarantee is that such
//! a unit cannot commit, and that no later writer finds the file attached.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::path::Path;

use common::open;
use multitenancy_core::Tenant;
use multitenancy_sqlx::{SqliteStore, SqliteTransaction};
use multitenancy_testkit::fixtures::{context, provisioned};

const WRITE: &str = "INSERT INTO notes (text) VALUES ('mine')";
const WRITE_OTHER: &str = "INSERT INTO other.notes (text) VALUES ('forged')";

async fn attach(tx: &mut SqliteTransaction, directory: &Path, tenant: &Tenant) -> sqlx::Result<()> {
    let path = directory.join("tenants").join(format!("{}.db", tenant.id));
    let attach = sqlx::query("ATTACH DATABASE $1 AS other").bind(path.to_str().unwrap().to_owned());
    attach.execute(tx.conn()).await.map(drop)
}

async fn run(tx: &mut SqliteTransaction, sql: &'static str) -> sqlx::Result<()> {
    sqlx::query(sql).execute(tx.conn()).await.map(drop)
}

/// The next unit that writes finds only its own file, with these notes.
async fn assert_notes(store: &SqliteStore, tenant: &Tenant, expected: &[&str]) {
    let mut tx = store.begin(&context(tenant)).await.unwrap();
    let files: Vec<String> =
        sqlx::query_scalar("SELECT name FROM pragma_database_list").fetch_all(tx.conn()).await.unwrap();
    assert_eq!(files, ["main"], "{}", tenant.slug);
    let notes: Vec<String> = sqlx::query_scalar("SELECT text FROM notes").fetch_all(tx.conn()).await.unwrap();
    assert_eq!(notes, expected, "{}", tenant.slug);
}

/// S123: a unit that has attached another tenant's file commits nothing, to either file, and leaves the file attached
/// for no writer, whether the unit is committed or dropped, and whichever statements surround the ATTACH.
#[tokio::test]
async fn s123_unit_with_attached_file_commits_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&common::url(&directory))).await;
    let (acme, globex) = (provisioned(&store, "acme").await, provisioned(&store, "globex").await);

    for commit in [true, false] {
        let mut tx = store.begin(&context(&acme)).await.unwrap();
        run(&mut tx, WRITE).await.unwrap();
        attach(&mut tx, directory.path(), &globex).await.unwrap();
        run(&mut tx, WRITE_OTHER).await.unwrap();
        if commit {
            let error = tx.commit().await.unwrap_err();
            assert!(format!("{error:?}").contains("another file is attached"), "{error:?}");
        } else {
            drop(tx);
        }
        assert_notes(&store, &acme, &[]).await;
        assert_notes(&store, &globex, &[]).await;

        // Ended without sqlx's knowledge, and begun again.
        let mut tx = store.begin(&context(&acme)).await.unwrap();
        run(&mut tx, "COMMIT").await.unwrap();
        attach(&mut tx, directory.path(), &globex).await.unwrap();
        run(&mut tx, "BEGIN").await.unwrap();
        run(&mut tx, WRITE_OTHER).await.unwrap();
        if commit {
            tx.commit().await.unwrap_err();
        } else {
            drop(tx);
        }
        assert_notes(&store, &acme, &[]).await;
        assert_notes(&store, &globex, &[]).await;
    }
}

/// S123: a read-only unit writes nothing, not even after it has made its connection writable.
#[tokio::test]
async fn s123_read_only_unit_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&common::url(&directory))).await;
    let (acme, globex) = (provisioned(&store, "acme").await, provisioned(&store, "globex").await);
    for commit in [true, false] {
        let mut tx = store.read(&context(&acme)).await.unwrap();
        // The file may be attached from the round before: a read connection is not checked.
        drop(attach(&mut tx, directory.path(), &globex).await);
        if commit {
            assert!(run(&mut tx, WRITE_OTHER).await.is_err(), "SQLite refuses");
        }
        run(&mut tx, "PRAGMA query_only = OFF").await.unwrap();
        run(&mut tx, WRITE).await.unwrap();
        run(&mut tx, WRITE_OTHER).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
        }
        assert_notes(&store, &acme, &[]).await;
        assert_notes(&store, &globex, &[]).await;
    }
}

/// S123: a unit whose transaction ended without sqlx's knowledge commits nothing more, and its connection is closed,
/// with every attached file.
#[tokio::test]
async fn s123_connection_closes_after_a_foreign_rollback() {
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(&common::url(&directory)).max_readers_per_tenant(1);
    let store = open(builder).await;
    let (acme, globex) = (provisioned(&store, "acme").await, provisioned(&store, "globex").await);
    let unit = async |write: bool| match write {
        true => store.begin(&context(&acme)).await.unwrap(),
        false => store.read(&context(&acme)).await.unwrap(),
    };
    // A mark that identifies the connection.
    let mark = "PRAGMA cache_size = 77";
    let marked = async |mut tx: SqliteTransaction| {
        sqlx::query_scalar::<_, i64>("PRAGMA cache_size").fetch_one(tx.conn()).await.unwrap() == 77
    };
    for ending in ["COMMIT", "ROLLBACK"] {
        for (write, attached) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut tx = unit(write).await;
            run(&mut tx, mark).await.unwrap();
            run(&mut tx, ending).await.unwrap();
            if attached {
                attach(&mut tx, directory.path(), &globex).await.unwrap();
            }
            assert_eq!(tx.commit().await.is_err(), write, "a unit that reads commits nothing");
            assert!(!marked(unit(write).await).await, "{ending}, write: {write}: the same connection");
            assert_notes(&store, &acme, &[]).await;
        }
    }
    // The control: a unit that ends normally leaves its connection to the next unit.
    for write in [true, false] {
        let mut tx = unit(write).await;
        run(&mut tx, mark).await.unwrap();
        tx.commit().await.unwrap();
        assert!(marked(unit(write).await).await, "write: {write}");
    }
}
