use std::{future::Future, time::Duration};

use multitenancy_core::{Error, ErrorKind, Result};

use crate::rounds;

/// Longer than any wait a store is allowed, shorter than anybody's patience.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for `work`, and fails when it hangs: after a minute, times the [rounds](crate::rounds) asked for.
pub async fn within_limit<T>(what: &str, work: impl Future<Output = T>) -> T {
    let limit = LIMIT * u32::try_from(rounds(1)).unwrap_or(u32::MAX);
    let finished = tokio::time::timeout(limit, work).await;
    finished.unwrap_or_else(|_| panic!("{what}: not done after {limit:?}"))
}

/// Does `work` until it succeeds or fails for good: units that write may fail retryably instead of taking turns.
pub async fn retrying<T, W: Future<Output = Result<T>>>(mut work: impl FnMut() -> W) -> Result<T> {
    const TRIES: u32 = 1000;
    for _ in 0..TRIES {
        match work().await {
            Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(2)).await,
            outcome => return outcome,
        }
    }
    panic!("still failing retryably after {TRIES} tries")
}

/// Expects a failure of this kind and code.
#[track_caller]
pub fn assert_fails<T>(outcome: Result<T>, kind: ErrorKind, code: &str) {
    let error = failure(outcome);
    assert_eq!((error.kind(), error.code()), (kind, code), "{error:?}");
}

/// Expects a failure.
#[track_caller]
pub fn failure<T>(outcome: Result<T>) -> Error {
    match outcome {
        Ok(_) => panic!("succeeded, but must be refused"),
        Err(error) => error,
    }
}
