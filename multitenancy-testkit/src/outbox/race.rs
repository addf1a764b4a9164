use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use multitenancy_core::{Context, EventId, Result, Store, UnitOfWorkExt, environment::monotonic};
use tokio::task::JoinSet;

use super::number;
use crate::{
    SeededRandom, TestEvent,
    fixtures::{after, instant, lease},
    planes, retrying, rounds, within_limit,
};

const WRITERS: u64 = 16;
const RELAYS: usize = 2;
/// How many events of its own aggregate a writer appends at once.
const OWN: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(3);

/// Sixteen writers append, with pauses of chance before their commits, while two relays take what is due, deliver
/// it or now and then give it back: nothing is lost, nothing comes twice that was delivered, and the events of one
/// aggregate come in their order (S94, S96).
pub async fn race_of_writers_and_relays_loses_nothing(store: Arc<dyn Store>) {
    let random = Arc::new(SeededRandom::from_env());
    let each = u64::try_from(rounds(12)).unwrap_or(u64::MAX);
    for plane in planes(&store).await {
        let race = Arc::new(Race::new(&store, plane, &random));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let race = race.clone();
            writers.spawn(async move { race.write(writer, each).await });
        }
        let mut relays = JoinSet::new();
        for _ in 0..RELAYS {
            let race = race.clone();
            relays.spawn(async move { race.relay().await });
        }
        within_limit("writing", writers.join_all()).await;
        race.written.store(true, Ordering::Release);
        within_limit("relaying", relays.join_all()).await;

        let delivered = race.delivered.lock().unwrap();
        let expected: Vec<u64> = (0..each * OWN).collect();
        for writer in 0..WRITERS {
            let numbers = delivered.get(&format!("own-{writer}")).map(Vec::as_slice);
            assert_eq!(numbers, Some(expected.as_slice()), "of writer {writer}");
        }
        let shared: usize =
            delivered.iter().filter(|(of, _)| of.starts_with("shared")).map(|(_, all)| all.len()).sum();
        assert_eq!(shared as u64, WRITERS * each, "of the aggregates that all write to");
    }
}

struct Race {
    store: Arc<dyn Store>,
    plane: Context,
    random: Arc<SeededRandom>,
    written: AtomicBool,
    /// The numbers delivered of each aggregate, in the order of their delivery.
    delivered: Mutex<BTreeMap<String, Vec<u64>>>,
    /// The events that a relay is working on.
    working: Mutex<HashSet<EventId>>,
}

impl Race {
    fn new(store: &Arc<dyn Store>, plane: Context, random: &Arc<SeededRandom>) -> Self {
        Self {
            store: store.clone(),
            plane,
            random: random.clone(),
            written: AtomicBool::new(false),
            delivered: Mutex::default(),
            working: Mutex::default(),
        }
    }

    async fn write(&self, writer: u64, count: u64) {
        for number in 0..count {
            let append = || async {
                let mut unit = self.plane.begin(&self.store).await?;
                for own in 0..OWN {
                    unit.publish(TestEvent::new(format!("own-{writer}"), number * OWN + own)).await?;
                }
                let shared = self.random.number(0..4);
                unit.publish(TestEvent::new(format!("shared-{shared}"), number)).await?;
                self.random.pause(Duration::from_millis(1)).await;
                unit.commit().await
            };
            retrying(append).await.unwrap();
            self.random.pause(Duration::from_millis(1)).await;
        }
    }

    /// Relays until everything is delivered, or nothing has been due for a while: then something is lost.
    async fn relay(&self) {
        let mut idle_since = monotonic();
        loop {
            let written = self.written.load(Ordering::Acquire);
            let taken = retrying(|| self.relay_once()).await.unwrap();
            if taken > 0 || !written {
                idle_since = monotonic();
            } else {
                let mut unit = self.plane.read(&self.store).await.unwrap();
                if unit.outbox().pending().await.unwrap() == 0 || idle_since.elapsed() > PATIENCE {
                    return;
                }
            }
            self.random.pause(Duration::from_millis(1)).await;
        }
    }

    async fn relay_once(&self) -> Result<usize> {
        let lease = lease();
        let mut unit = self.plane.begin(&self.store).await?;
        let claim = unit.outbox().claim(lease, instant(), after(3600), 8).await?;
        unit.commit().await?;
        for event in &claim.events {
            let first = self.working.lock().unwrap().insert(event.envelope.event_id);
            assert!(first, "an event is held by two relays at once");
        }
        self.random.pause(Duration::from_millis(1)).await;
        let failed: Vec<bool> = claim.events.iter().map(|_| self.random.once_in(8)).collect();
        let settle = || async {
            let mut unit = self.plane.begin(&self.store).await?;
            for (event, failed) in claim.events.iter().zip(&failed) {
                let id = event.envelope.event_id;
                let held = if *failed {
                    unit.outbox().retry(lease, id, instant(), "no").await?
                } else {
                    unit.outbox().delivered(lease, id).await?
                };
                assert!(held, "a lease that goes on for an hour was lost");
            }
            // Before the commit: from it on the next relay may hold them.
            for event in &claim.events {
                self.working.lock().unwrap().remove(&event.envelope.event_id);
            }
            unit.commit().await
        };
        // Told before it is settled: from then on the next one of its aggregate may be told.
        for (event, _) in claim.events.iter().zip(&failed).filter(|(_, failed)| !**failed) {
            let (of, number) = number(&event.envelope);
            self.delivered.lock().unwrap().entry(of).or_default().push(number);
        }
        retrying(settle).await?;
        Ok(claim.events.len())
    }
}
