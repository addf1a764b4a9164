use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use multitenancy_core::{Random, environment::SystemRandom};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Randomness that can be had again: two generators of one seed give the same.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    generator: Mutex<StdRng>,
}

impl SeededRandom {
    /// The variable that holds the seed to repeat a run with.
    pub const SEED_VARIABLE: &str = "TESTKIT_SEED";

    /// Randomness from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, generator: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// Randomness from [`TESTKIT_SEED`](Self::SEED_VARIABLE), or else from a fresh seed. Prints the seed, so that
    /// the report of a failing test tells how to repeat it.
    pub fn from_env() -> Self {
        let given = std::env::var(Self::SEED_VARIABLE).ok();
        let seed =
            given.map_or_else(fresh_seed, |text| text.parse().expect("TESTKIT_SEED must be a whole number"));
        println!("{}={seed}", Self::SEED_VARIABLE);
        Self::new(seed)
    }

    /// What it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number from `range`.
    pub fn number(&self, range: Range<u64>) -> u64 {
        self.generator().random_range(range)
    }

    /// Whether something happens that does so once in `times`.
    pub fn once_in(&self, times: u64) -> bool {
        self.number(0..times) == 0
    }

    /// Brings `items` into an order of chance.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        items.shuffle(&mut self.generator());
    }

    /// Waits for up to `longest`, often not at all.
    pub async fn pause(&self, longest: Duration) {
        if self.once_in(2) {
            return tokio::task::yield_now().await;
        }
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_micros(self.number(0..longest.max(1)))).await;
    }

    fn generator(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.generator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.generator().fill_bytes(bytes);
    }
}

fn fresh_seed() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
