//! Many at once, cut off at points of chance.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use multitenancy_core::{Context, Error, EventId, Result, Store};
use tokio::task::JoinSet;

use super::{CancelAfter, Cut};
use crate::{SeededRandom, fixtures::active_tenant, planes, smoke_or};

/// How many work at once.
const TASKS: usize = 16;
/// Work is cut off after fewer polls than this.
const POLLS: u64 = 14;

/// What came of work that was cut off at points of chance.
#[derive(Debug)]
pub struct Storm<T> {
    /// How often it was cut off.
    pub cancels: usize,
    /// What was acknowledged: the work came to its end, and this is what it said.
    pub acknowledged: Vec<T>,
    /// What failed, but for what was worth trying again.
    pub errors: Vec<Error>,
}

/// Has sixteen tasks do `work` over and over, each time cut off after a number of polls of chance, until it was cut off
/// so many times. Each time `work` is told another number. Prints its seed.
pub async fn cancel_at_random<T, W, F>(cancels: usize, work: W) -> Storm<T>
where
    T: Send + 'static,
    W: Fn(usize) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let random = Arc::new(SeededRandom::from_env());
    let (cut_off, number) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (random, cut_off, number, work) = (random.clone(), cut_off.clone(), number.clone(), work.clone());
        tasks.spawn(async move {
            let mut storm = Storm { cancels: 0, acknowledged: Vec::new(), errors: Vec::new() };
            while cut_off.load(Ordering::Relaxed) < cancels {
                let cut = if random.once_in(2) { Cut::AtOnce } else { Cut::WhenWoken };
                let polls = usize::try_from(random.number(0..POLLS)).expect("a small number");
                let attempt = work(number.fetch_add(1, Ordering::Relaxed));
                match CancelAfter::new(attempt, polls, cut).await {
                    None => {
                        storm.cancels += 1;
                        cut_off.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(Ok(said)) => storm.acknowledged.push(said),
                    Some(Err(error)) if error.is_retryable() => {}
                    Some(Err(error)) => storm.errors.push(error),
                }
            }
            storm
        });
    }
    let mut all = Storm { cancels: 0, acknowledged: Vec::new(), errors: Vec::new() };
    for storm in tasks.join_all().await {
        all.cancels += storm.cancels;
        all.acknowledged.extend(storm.acknowledged);
        all.errors.extend(storm.errors);
    }
    all
}

/// Two thousand times, by day four hundred (S28, S29): nobody works on another's plane, and what was acknowledged is there.
pub async fn storm(store: Arc<dyn Store>) {
    let another = Context::Tenant(active_tenant(&*store, "another").await);
    let planes: Arc<[Context]> = planes(&store).await.into_iter().chain([another]).collect();
    let (working, on) = (store.clone(), planes.clone());
    let work = move |number| {
        let (store, planes) = (working.clone(), on.clone());
        async move {
            let plane = number % planes.len();
            write(&store, &planes[plane]).await.map(|mark| (plane, mark))
        }
    };
    let storm = cancel_at_random(smoke_or(400, 2_000), work).await;
    assert!(storm.errors.is_empty(), "{} failed; the first: {:?}", storm.errors.len(), storm.errors[0]);
    assert!(!storm.acknowledged.is_empty(), "nothing came to its end");
    for (index, plane) in planes.iter().enumerate() {
        let mut unit = plane.read(&store).await.unwrap();
        for (of, mark) in &storm.acknowledged {
            let found = unit.consumed().contains("storm", *mark).await.unwrap();
            assert_eq!(found, *of == index, "{mark} of {of}, looked for on {index}");
        }
    }
}

async fn write(store: &Arc<dyn Store>, plane: &Context) -> Result<EventId> {
    let mark = EventId::generate(store.environment());
    let mut unit = plane.begin(store).await?;
    if unit.plane() != plane.plane() || !unit.consumed().record("storm", mark).await? {
        return Err(Error::internal("on the plane of somebody else"));
    }
    unit.commit().await?;
    let mut unit = plane.read(store).await?;
    match unit.consumed().contains("storm", mark).await? {
        true => Ok(mark),
        false => Err(Error::internal("an acknowledged write was lost")),
    }
}
