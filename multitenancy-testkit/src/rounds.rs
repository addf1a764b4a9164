/// The variable that multiplies the rounds of every race.
const VARIABLE: &str = "TESTKIT_ROUNDS";

/// How often to run a race: `n` times, or `n` × `TESTKIT_ROUNDS` for a night's search.
pub fn rounds(n: usize) -> usize {
    n * factor().unwrap_or(1)
}

/// How often to run a heavy race: `smoke` times by day, and `full` × `TESTKIT_ROUNDS` times where that is set.
///
/// `TESTKIT_ROUNDS=1` is the full figure. A smoke must be long enough for its negative control to fail.
pub fn smoke_or(smoke: usize, full: usize) -> usize {
    factor().map_or(smoke, |factor| full * factor)
}

fn factor() -> Option<usize> {
    let text = std::env::var(VARIABLE).ok()?;
    Some(text.parse().expect("TESTKIT_ROUNDS must be a whole number"))
}
