//! The SQLite store passes the suites that every adapter runs.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use multitenancy_core::Store;
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::{DurableHarness, Harness, conformance_suite, durable_suite};
use tempfile::TempDir;

/// Opens each store in its own directory, which lives as long as the harness.
#[derive(Default)]
struct Sqlite {
    directories: Mutex<Vec<TempDir>>,
}

async fn open(url: &str) -> Arc<dyn Store> {
    Arc::new(SqliteStore::builder(url).connect().await.unwrap())
}

#[async_trait]
impl Harness for Sqlite {
    async fn open(&self) -> Arc<dyn Store> {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().display());
        self.directories.lock().unwrap().push(directory);
        open(&url).await
    }
}

#[async_trait]
impl DurableHarness for Sqlite {
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        let url = {
            let directories = self.directories.lock().unwrap();
            format!("sqlite:{}", directories.last().unwrap().path().display())
        };
        open(&url).await
    }
}

conformance_suite!(Sqlite::default());
durable_suite!(Sqlite::default());
