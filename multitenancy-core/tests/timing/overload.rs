//! S39: hashing is bounded: in the queue, in memory, and in what it takes from others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use multitenancy_core::{
    Environment, ErrorKind,
    auth::{HashingConfig, PasswordHasher},
    environment::monotonic,
};
use tokio::task::JoinSet;

use crate::support::alone;

/// A line of `/proc/self/status`, in MiB.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// S39: two thousand sign-ins at once: as many as have a place are dealt with, the others are told at once when to
/// come again; memory stays under two hashes, and other work goes on.
#[tokio::test(flavor = "multi_thread")]
async fn s39_an_onslaught_is_bounded() {
    const CALLERS: usize = 2_000;
    let _alone = crate::MACHINE.lock().await;
    if alone("overload::s39_an_onslaught_is_bounded", &[]).is_err() {
        return;
    }
    let hasher = PasswordHasher::new(&HashingConfig::default(), Environment::system()).unwrap();
    let hash = hasher.hash("a password of somebody".into()).await.unwrap();
    let before = status("VmRSS");

    let (busy, latencies) = (Arc::new(AtomicBool::new(true)), Arc::new(std::sync::Mutex::new(Vec::new())));
    let bystander = tokio::spawn({
        let (busy, latencies) = (busy.clone(), latencies.clone());
        async move {
            while busy.load(Ordering::Acquire) {
                let started = monotonic();
                tokio::time::sleep(Duration::from_millis(2)).await;
                latencies.lock().unwrap().push(started.elapsed().as_secs_f64() * 1000.0 - 2.0);
            }
        }
    });
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (hasher, hash) = (hasher.clone(), hash.clone());
        callers.spawn(async move { hasher.verify("not that password".into(), Some(hash)).await });
    }
    let outcomes = callers.join_all().await;
    busy.store(false, Ordering::Release);
    bystander.await.unwrap();

    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    for error in &refused {
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::Overloaded, Some(Duration::from_secs(1)))
        );
        assert!(error.is_retryable());
    }
    let done = CALLERS - refused.len();
    assert!((64..=200).contains(&done), "{done} of {CALLERS} were dealt with");
    let grown = status("VmHWM").zip(before).map(|(peak, before)| peak.saturating_sub(before));
    let mut latencies = latencies.lock().unwrap().clone();
    latencies.sort_by(f64::total_cmp);
    let p99 = latencies[latencies.len() * 99 / 100];
    println!(
        "S39: {done} of {CALLERS} done, {} refused; memory grew by {grown:?} MiB at its peak; others waited {p99:.1} ms (p99)",
        refused.len()
    );
    assert!(grown.is_none_or(|mebibytes| mebibytes < 100), "memory grew by {grown:?} MiB");
    assert!(p99 < 50.0, "others waited {p99} ms");

    hasher.verify("and then".into(), Some(hash)).await.expect("there is room again");
}

/// S39: who gives up waiting costs no hash.
#[tokio::test(flavor = "multi_thread")]
async fn s39_who_has_gone_is_not_worked_for() {
    let _alone = crate::MACHINE.lock().await;
    let config = HashingConfig { threads: 1, queue: 64, ..HashingConfig::default() };
    let hasher = PasswordHasher::new(&config, Environment::system()).unwrap();
    let started = monotonic();
    hasher.hash("one".into()).await.unwrap();
    let one = started.elapsed();
    let mut gone: Vec<_> = (0..60).map(|_| Box::pin(hasher.hash("many".into()))).collect();
    for work in &mut gone {
        assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    drop(gone);
    let started = monotonic();
    hasher.hash("the next".into()).await.unwrap();
    assert!(started.elapsed() < one * 20, "{:?} where one takes {one:?}", started.elapsed());
}

/// The threads end with the last clone, and what waits is finished first.
#[tokio::test]
async fn the_threads_end_with_the_last_clone() {
    let _alone = crate::MACHINE.lock().await;
    if alone("overload::the_threads_end_with_the_last_clone", &[]).is_err() {
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").map(Iterator::count).ok();
    let before = threads();
    let hasher =
        PasswordHasher::new(&HashingConfig { threads: 3, ..HashingConfig::default() }, Environment::system());
    let hasher = hasher.unwrap();
    let last = hasher.clone();
    drop(hasher);
    last.hash("still there".into()).await.unwrap();
    drop(last);
    let waited = monotonic();
    while threads() > before && waited.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(threads(), before);
}
