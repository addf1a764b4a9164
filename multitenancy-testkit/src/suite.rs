//! The suites: every case by its name, and what runs them.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use multitenancy_core::Store;

use crate::{__bus_cases, __durable_cases, __mailer_cases, __store_cases};

/// Opens stores for [`conformance_suite!`](crate::conformance_suite).
///
/// What the stores need to live (a directory, a server) lives as long as the harness.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new, empty store that nobody else uses.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Opens stores that outlive their process for [`durable_suite!`](crate::durable_suite).
#[async_trait]
pub trait DurableHarness: Harness {
    /// Closes `store`, as far as that is up to anybody, and opens what it has kept, as the next process would.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

/// One clause of a port, to be tried on a store.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: fn(Arc<dyn Store>) -> Running,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Case {
    /// The module and the function, such as `session::rotate_1_lets_one_of_many_at_once_succeed`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Panics when `store`, which is new and empty, breaks the clause.
    pub async fn run(&self, store: Arc<dyn Store>) {
        (self.run)(store).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! table {
    ($($module:ident { $($case:ident)* })*) => {
        &[$($(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |store| Box::pin(crate::$module::$case(store)),
        },)*)*]
    };
}

macro_rules! names {
    ($($module:ident { $($case:ident)* })*) => {
        &[$($(concat!(stringify!($module), "::", stringify!($case)),)*)*]
    };
}

/// The cases of [`conformance_suite!`](crate::conformance_suite).
pub const CASES: &[Case] = __store_cases!([table]);

/// The names of the cases of [`durable_suite!`](crate::durable_suite).
pub const DURABLE_CASES: &[&str] = __durable_cases!([names]);

/// The names of the cases of [`mailer_suite!`](crate::mailer_suite).
pub const MAILER_CASES: &[&str] = __mailer_cases!([names]);

/// The names of the cases of [`bus_suite!`](crate::bus_suite).
pub const BUS_CASES: &[&str] = __bus_cases!([names]);

/// Makes a module `conformance` with a test for each of [`CASES`], of the stores that `$harness` opens.
#[macro_export]
macro_rules! conformance_suite {
    ($harness:expr) => {
        mod conformance {
            use super::*;

            fn harness() -> impl $crate::Harness {
                $harness
            }

            $crate::__store_cases! { [$crate::__store_tests] }
        }
    };
}

/// As [`conformance_suite!`](crate::conformance_suite), without the cases that concern the registry alone: for another
/// isolation of an engine that runs all of them with its first.
#[macro_export]
macro_rules! isolation_suite {
    ($harness:expr) => {
        mod conformance {
            use super::*;

            fn harness() -> impl $crate::Harness {
                $harness
            }

            $crate::__store_cases! { [$crate::__isolation_tests] }
        }
    };
}

/// Makes a module `durability` with a test for each of [`DURABLE_CASES`], of the stores that `$harness` opens.
#[macro_export]
macro_rules! durable_suite {
    ($harness:expr) => {
        mod durability {
            use super::*;

            fn harness() -> impl $crate::DurableHarness {
                $harness
            }

            $crate::__durable_cases! { [$crate::__harness_tests] }
        }
    };
}

/// Makes a module `mailing` with a test for each of [`MAILER_CASES`], of the mailers that `$harness` opens.
#[macro_export]
macro_rules! mailer_suite {
    ($harness:expr) => {
        mod mailing {
            use super::*;

            fn harness() -> impl $crate::MailerHarness {
                $harness
            }

            $crate::__mailer_cases! { [$crate::__harness_tests] }
        }
    };
}

/// Makes a module `publishing` with a test for each of [`BUS_CASES`], of the buses that `$harness` opens.
#[macro_export]
macro_rules! bus_suite {
    ($harness:expr) => {
        mod publishing {
            use super::*;

            fn harness() -> impl $crate::BusHarness {
                $harness
            }

            $crate::__bus_cases! { [$crate::__harness_tests] }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ($($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            $($crate::__store_test! { $module $case })*
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_test {
    ($module:ident $case:ident) => {
        #[test]
        fn $case() {
            $crate::suite::block_on(async {
                let harness = super::harness();
                let store = $crate::Harness::open(&harness).await;
                $crate::$module::$case(store).await;
            });
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __harness_tests {
    ($($module:ident { $($case:ident)* })*) => {$($(
        #[test]
        fn $case() {
            $crate::suite::block_on(async {
                let harness = harness();
                $crate::$module::$case(&harness).await;
            });
        }
    )*)*};
}

/// Runs a test on a runtime of its own with several threads, for as long as [`within_limit`](crate::within_limit)
/// of several waits allows.
#[doc(hidden)]
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(test);
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    /// S26: no adapter runs a shorter suite: a case that is removed is noticed here.
    #[test]
    fn s26_suite_has_all_its_cases() {
        assert_eq!(CASES.len(), 132);
    }

    /// No case is written and then forgotten in the lists, nor a module of cases as a whole.
    #[test]
    fn every_case_is_listed() {
        let listed = CASES
            .iter()
            .map(Case::name)
            .chain(DURABLE_CASES.iter().copied())
            .chain(MAILER_CASES.iter().copied())
            .chain(BUS_CASES.iter().copied());
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        let mut written = BTreeSet::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for file in files(&source) {
            let module = file.strip_prefix(&source).unwrap().with_extension("");
            let module = module.iter().next().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&file).unwrap();
            let cases = text.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('('));
            let cases =
                cases.filter(|(_, rest)| ["store: Arc<", "harness: "].iter().any(|by| rest.starts_with(by)));
            written.extend(cases.map(|(case, _)| format!("{module}::{case}")));
        }
        assert_eq!(listed, written);
    }

    /// Every file below a directory.
    fn files(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }
}
