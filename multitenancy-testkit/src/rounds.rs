/// The variable that multiplies the rounds of every race.
const VARIABLE: &str = "TESTKIT_ROUNDS";

/// How often to run a race: `n` times, or `n` × `TESTKIT_ROUNDS` for a night's search.
pub fn rounds(n: usize) -> usize {
    let factor = std::env::var(VARIABLE)
        .ok()
        .map_or(1, |text| text.parse().expect("TESTKIT_ROUNDS must be a whole number"));
    n * factor
}
