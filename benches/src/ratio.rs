//! Ratios of throughputs, measured in turns.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

/// How long to measure. `cargo bench` measures; without `--bench` in the arguments, as under `cargo test`, each
/// benchmark only shows that it runs.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Measurements per side.
    pub rounds: usize,
    /// The duration of one measurement.
    pub slice: Duration,
    /// Whether this run measures; a smoke run does not.
    pub measures: bool,
}

impl Effort {
    /// The effort that the arguments of this process ask for.
    pub fn from_arguments() -> Self {
        match std::env::args().any(|argument| argument == "--bench") {
            true => Self { rounds: 15, slice: Duration::from_secs(1), measures: true },
            false => Self { rounds: 1, slice: Duration::from_millis(50), measures: false },
        }
    }
}

/// Two or more ways to do the same work, measured in turns, so that other load on the machine affects all of them.
pub struct Comparison {
    effort: Effort,
    tasks: usize,
    sides: Vec<Side>,
}

struct Side {
    name: String,
    /// Operations per second, one figure per round.
    rates: Vec<f64>,
    /// The 99th percentile in milliseconds, one figure per round.
    p99s: Vec<f64>,
}

impl Comparison {
    /// Measures with this many concurrent tasks.
    pub fn new(effort: Effort, tasks: usize) -> Self {
        Self { effort, tasks, sides: Vec::new() }
    }

    /// Adds the next figure of a side. `operation` is called by every task with the task's number, over and over.
    pub async fn measure<F, O>(&mut self, name: &str, operation: F)
    where
        F: Fn(usize) -> O + Clone + Send + Sync + 'static,
        O: Future<Output = ()> + Send,
    {
        let started = Instant::now();
        let deadline = started + self.effort.slice;
        let mut running = JoinSet::new();
        for task in 0..self.tasks {
            let operation = operation.clone();
            running.spawn(async move {
                let mut took = Vec::new();
                let mut begun = Instant::now();
                while begun < deadline {
                    operation(task).await;
                    let ended = Instant::now();
                    took.push((ended - begun).as_secs_f64() * 1000.0);
                    begun = ended;
                }
                took
            });
        }
        let mut took = running.join_all().await.concat();
        let rate = took.len() as f64 / started.elapsed().as_secs_f64();
        took.sort_by(f64::total_cmp);
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        match self.sides.iter_mut().find(|side| side.name == name) {
            Some(side) => {
                side.rates.push(rate);
                side.p99s.push(p99);
            }
            None => self.sides.push(Side { name: name.to_owned(), rates: vec![rate], p99s: vec![p99] }),
        }
    }

    /// Measurements per side.
    pub fn rounds(&self) -> usize {
        self.effort.rounds
    }

    /// Prints each side's median rate, the median over the rounds of its ratio to the first side's, with the quartiles,
    /// and the median of its 99th percentile.
    pub fn report(&self, title: &str) {
        println!("\n{title}");
        let Some(first) = self.sides.first() else { return };
        for side in &self.sides {
            let ratios = side.rates.iter().zip(&first.rates).map(|(rate, base)| rate / base);
            let (low, middle, high) = quartiles(ratios.collect());
            let (_, rate, _) = quartiles(side.rates.clone());
            let note = if self.effort.measures { "" } else { "  (smoke run: not a measurement)" };
            let (_, p99, _) = quartiles(side.p99s.clone());
            println!(
                "  {:<58} {rate:>9.0}/s   × {middle:.2}  [{low:.2} – {high:.2}]   p99 {p99:.2} ms{note}",
                side.name
            );
        }
    }
}

fn quartiles(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| {
        values.get(((values.len() - 1) as f64 * part).round() as usize).copied().unwrap_or_default()
    };
    (at(0.25), at(0.5), at(0.75))
}
