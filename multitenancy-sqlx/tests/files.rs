//! The data directory: one process, one file per plane, private secrets.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use common::{open, url};
use multitenancy_core::{
    ControlContext, ControlTransaction, ErrorKind, Store, TenantId, store::change_status,
    tenant::TenantStatus,
};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::fixtures::{context, provisioned, tenant};

#[tokio::test]
async fn one_store_at_a_time_uses_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(SqliteStore::builder(&url(&directory))).await;
    let second = SqliteStore::builder(&url(&directory)).connect().await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Config);
    assert!(second.to_string().contains("is in use by another process"), "{second}");
    drop(first);
    open(SqliteStore::builder(&url(&directory))).await;
}

#[tokio::test]
async fn a_secret_is_made_once_and_kept_private() {
    use secrecy::ExposeSecret;
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let secret = store.local_secret("jwt").unwrap().unwrap();
    assert!(secret.expose_secret().len() >= 64);
    assert_ne!(store.local_secret("other").unwrap().unwrap().expose_secret(), secret.expose_secret());
    drop(store);
    let store = open(SqliteStore::builder(&url(&directory))).await;
    assert_eq!(store.local_secret("jwt").unwrap().unwrap().expose_secret(), secret.expose_secret());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &str| directory.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets"), mode("secrets/jwt"), mode("tenants")), (0o700, 0o600, 0o700));
    }
}

/// S51: a secret that is truncated or readable by others is refused with a remedy.
#[tokio::test]
async fn s51_a_spoilt_secret_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    store.local_secret("jwt").unwrap();
    let path = directory.path().join("secrets/jwt");
    let refusal = || {
        let error = store.local_secret("jwt").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for mode in [0o644, 0o640, 0o602] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(refusal().contains("chmod 600"), "{}", refusal());
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        store.local_secret("jwt").unwrap();
    }
    for spoilt in ["", "\n", "0123456789abcdef", &format!("short{}", " ".repeat(64))] {
        std::fs::write(&path, spoilt).unwrap();
        assert!(refusal().contains("delete it to have a new one made"), "{}", refusal());
    }
}

/// S123: a tenant's file is named only by its id.
#[tokio::test]
async fn s123_a_file_is_named_by_the_id_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let acme = provisioned(&store, "acme").await;
    let files = || {
        let entries = std::fs::read_dir(directory.path().join("tenants")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".db")).collect::<Vec<_>>()
    };
    assert_eq!(files(), [format!("{}.db", acme.id)]);
    for hostile in
        ["../control", "..%2f..%2fetc%2fpasswd", "a/b", "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a1/", "\0"]
    {
        assert!(hostile.parse::<TenantId>().is_err(), "{hostile:?} must not become an id");
    }
    store.deprovision(&acme).await.unwrap();
    assert_eq!(files(), Vec::<String>::new());
}

/// S123: no statement of this crate attaches another file.
#[test]
fn s123_no_statement_attaches_a_file() {
    let mut sources = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    sources.push(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations").into());
    let mut read = 0;
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(&path).unwrap().to_uppercase();
            assert!(!text.contains("ATTACH DATABASE") && !text.contains("ATTACH '"), "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 10, "only {read} files were read");
}

/// Closing waits for the running unit, refuses later ones, and leaves complete files without a WAL.
#[tokio::test(flavor = "multi_thread")]
async fn closing_leaves_nothing_beside_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let acme = provisioned(&store, "acme").await;
    let beside = || {
        let mut paths = vec![directory.path().join("control.db-wal")];
        paths.push(directory.path().join("tenants").join(format!("{}.db-wal", acme.id)));
        paths.into_iter().filter(|path| path.exists()).count()
    };
    let mut tx = store.begin(&context(&acme)).await.unwrap();
    sqlx::query("INSERT INTO notes (text) VALUES ('late')").execute(tx.conn()).await.unwrap();
    // An idle reader, which is closed with the others.
    drop(store.read(&context(&acme)).await.unwrap());
    assert_eq!(beside(), 2, "the WALs are there as long as the store is open");

    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!closing.is_finished(), "the unit is still under way");
    tx.commit().await.unwrap();
    closing.await.unwrap();
    assert_eq!(beside(), 0);
    assert_eq!(store.read(&context(&acme)).await.map(drop).unwrap_err().code(), "storage_closed");
    assert_eq!(store.ping().await.unwrap_err().code(), "storage_closed");

    drop(store);
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let mut tx = store.read(&context(&acme)).await.unwrap();
    let notes: Vec<String> = sqlx::query_scalar("SELECT text FROM notes").fetch_all(tx.conn()).await.unwrap();
    assert_eq!(notes, ["late"]);
}

/// A file in another file's place is refused, on read and write connections.
#[tokio::test]
async fn swapped_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let (acme, globex) = (provisioned(&store, "acme").await, provisioned(&store, "globex").await);
    drop(store);
    let file = |id: TenantId| directory.path().join("tenants").join(format!("{id}.db"));
    std::fs::copy(file(acme.id), file(globex.id)).unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    store.begin(&context(&acme)).await.unwrap();
    for refused in [store.begin(&context(&globex)).await, store.read(&context(&globex)).await] {
        let error = refused.map(drop).unwrap_err();
        assert!(format!("{error:?}").contains("belongs to another plane"), "{error:?}");
    }
}

/// S6: a reused slug gets a new file, although the old tenant's connections were open; the old tenant's context opens
/// nothing any more.
#[tokio::test]
async fn s6_a_freed_slug_gets_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let old = provisioned(&store, "acme").await;
    let note = "INSERT INTO notes (text) VALUES ('of the old tenant')";
    let mut tx = store.begin(&context(&old)).await.unwrap();
    sqlx::query(note).execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    drop(store.read(&context(&old)).await.unwrap());
    // A unit that is running when its tenant is removed.
    let mut late = store.begin(&context(&old)).await.unwrap();
    sqlx::query(note).execute(late.conn()).await.unwrap();

    let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
    let changed = change_status(&store, &mut unit, &old, TenantStatus::Provisioning, old.updated_at).await;
    assert!(changed.unwrap().is_some());
    assert!(unit.tenants().withdraw(old.id).await.unwrap());
    store.deprovision(&old).await.unwrap();
    unit.commit().await.unwrap();
    let new = provisioned(&store, "acme").await;
    assert_ne!(new.id, old.id);
    drop(late.commit().await);

    let files = std::fs::read_dir(directory.path().join("tenants")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with(&new.id.to_string()), "{name} is left");
    }
    for refused in [store.begin(&context(&old)).await, store.read(&context(&old)).await] {
        assert_eq!(refused.map(drop).unwrap_err().code(), "tenant_storage_missing");
    }
    let mut tx = store.read(&context(&new)).await.unwrap();
    let notes: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notes").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(notes, 0);
}

/// A tenant whose file is missing is an error, not an empty tenant, for requests and for migrations.
#[tokio::test]
async fn a_missing_file_does_not_come_back_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let acme = provisioned(&store, "acme").await;
    drop(store);
    let file = directory.path().join("tenants").join(format!("{}.db", acme.id));
    std::fs::remove_file(&file).unwrap();

    let more = common::migrations(&["CREATE TABLE other (id INTEGER PRIMARY KEY)"]);
    let store = SqliteStore::builder(&url(&directory)).tenant_migrations(more).connect().await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(error.to_string().contains(&acme.id.to_string()), "{error}");
    let error = store.begin(&context(&acme)).await.map(drop).unwrap_err();
    assert_eq!(error.code(), "tenant_storage_missing");
    assert!(!file.exists());
    let never = tenant(&store, "never-provisioned");
    assert_eq!(store.read(&context(&never)).await.map(drop).unwrap_err().code(), "tenant_storage_missing");
}

/// A file removed while it is open accepts no more writes: they would be acknowledged and lost.
#[tokio::test]
async fn a_file_removed_while_open_takes_no_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&url(&directory))).await;
    let acme = provisioned(&store, "acme").await;
    store.begin(&context(&acme)).await.unwrap().commit().await.unwrap();
    std::fs::remove_file(directory.path().join("tenants").join(format!("{}.db", acme.id))).unwrap();
    let error = store.begin(&context(&acme)).await.map(drop).unwrap_err();
    assert_eq!(error.code(), "tenant_storage_missing");
}
