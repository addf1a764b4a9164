//! Calls that are cut off at every point where they wait: what a client that hangs up does to a request.
//!
//! After each cut the next borrower of the store opens a unit, sees all of what was cut off or nothing of it, and
//! has its own write kept (`Store` 2, S28, S29).

mod accounts;
mod organizations;
mod storage;
mod storm;
mod units;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use multitenancy_core::{Context, EventId, Result, Store};
use tokio::task::JoinSet;

pub use self::{accounts::*, organizations::*, storage::*, storm::*, units::*};
use crate::{retrying, within_limit};

/// When a call that waits is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// At once: what it waits for is still under way.
    AtOnce,
    /// When what it waits for has come: nobody has taken note of it.
    WhenWoken,
}

/// Polls a future so many times and then drops it. `None` when that was before its end.
#[derive(Debug)]
pub struct CancelAfter<W> {
    work: Option<Pin<Box<W>>>,
    polls: usize,
    cut: Cut,
}

impl<W: Future> CancelAfter<W> {
    /// Drops `work` after so many `polls`.
    pub fn new(work: W, polls: usize, cut: Cut) -> Self {
        Self { work: Some(Box::pin(work)), polls, cut }
    }
}

impl<W: Future> Future for CancelAfter<W> {
    type Output = Option<W::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            self.work = None;
        }
        let Some(work) = self.work.as_mut() else {
            return Poll::Ready(None);
        };
        match work.as_mut().poll(context) {
            Poll::Ready(output) => {
                self.work = None;
                Poll::Ready(Some(output))
            }
            Poll::Pending => {
                self.polls -= 1;
                if self.polls == 0 && self.cut == Cut::AtOnce {
                    self.work = None;
                    return Poll::Ready(None);
                }
                Poll::Pending
            }
        }
    }
}

/// Cuts work off at its first wait, at its second and so on, until it comes to its end, in both ways; and after each
/// time, the last included, checks what must hold.
///
/// `prepare` is told the number of the attempt, is not cut off itself, and gives what `work` and `check` need; `check`
/// is told besides whether the work came to its end. Returns how often work was cut off.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use multitenancy_testkit::cancellation::cancel_at_every_poll;
///
/// let wait = async |_attempt| {
///     tokio::task::yield_now().await;
///     Ok(())
/// };
/// let cuts = cancel_at_every_poll(async |attempt| attempt, wait, async |_attempt, _finished| ()).await;
/// assert_eq!(cuts, 4, "before the work and at its one wait, in both ways");
/// # }
/// ```
pub async fn cancel_at_every_poll<T, P, W, C>(
    mut prepare: impl FnMut(usize) -> P,
    mut work: impl FnMut(T) -> W,
    mut check: impl FnMut(T, bool) -> C,
) -> usize
where
    T: Clone,
    P: Future<Output = T>,
    W: Future<Output = Result<()>>,
    C: Future<Output = ()>,
{
    const MOST: usize = 5_000;
    let (mut attempt, mut cuts) = (0, 0);
    for cut in [Cut::AtOnce, Cut::WhenWoken] {
        for polls in 0.. {
            assert!(polls < MOST, "the work does not come to its end within {MOST} polls");
            let prepared = prepare(attempt).await;
            let run = CancelAfter::new(work(prepared.clone()), polls, cut);
            let finished = match within_limit("work to be cut off", run).await {
                Some(Err(error)) if !error.is_retryable() => panic!("attempt {attempt}: {error:?}"),
                outcome => outcome.is_some_and(|outcome| outcome.is_ok()),
            };
            check(prepared, finished).await;
            attempt += 1;
            if finished {
                break;
            }
            cuts += 1;
        }
    }
    cuts
}

/// Cuts off as [`cancel_at_every_poll`] does, and after each time the next units on that plane find it in order.
async fn sweep<T, P, W, C>(
    store: &Arc<dyn Store>,
    plane: &Context,
    prepare: impl FnMut(usize) -> P,
    work: impl FnMut(T) -> W,
    mut check: impl FnMut(T, bool) -> C,
) where
    T: Clone,
    P: Future<Output = T>,
    W: Future<Output = Result<()>>,
    C: Future<Output = ()>,
{
    let check_both = |prepared, finished| {
        let checked = check(prepared, finished);
        async {
            for _ in 0..3 {
                borrow_next(store, plane).await;
            }
            checked.await;
        }
    };
    cancel_at_every_poll(prepare, work, check_both).await;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (store, plane) = (store.clone(), plane.clone());
        tasks.spawn(async move { borrow_next(&store, &plane).await });
    }
    within_limit("sixteen more at once", tasks.join_all()).await;
}

/// Opens a unit, writes a mark, commits, and finds it: a write that was acknowledged is there (S29).
async fn borrow_next(store: &Arc<dyn Store>, plane: &Context) {
    let mark = EventId::generate(store.environment());
    let write = || async {
        let mut unit = plane.begin(store).await?;
        assert_eq!(unit.plane(), plane.plane(), "on the plane of somebody else");
        assert!(unit.consumed().record("next", mark).await?);
        unit.commit().await
    };
    within_limit("the next one's write", retrying(write)).await.unwrap();
    let find = || async {
        let mut unit = plane.read(store).await?;
        unit.consumed().contains("next", mark).await
    };
    let found = within_limit("the next one's read", retrying(find)).await.unwrap();
    assert!(found, "an acknowledged write was lost");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_cut_off_after_so_many_polls_and_dropped() {
        let work = |polled: Arc<()>| async move {
            let polled = polled;
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            drop(polled);
        };
        for cut in [Cut::AtOnce, Cut::WhenWoken] {
            for polls in 0..=3 {
                let alive = Arc::new(());
                assert!(CancelAfter::new(work(alive.clone()), polls, cut).await.is_none(), "{polls}");
                assert_eq!(Arc::strong_count(&alive), 1, "dropped");
            }
            assert!(CancelAfter::new(work(Arc::new(())), 4, cut).await.is_some());
        }
    }
}
