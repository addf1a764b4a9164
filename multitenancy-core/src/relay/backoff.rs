use std::time::Duration;

use crate::environment::Environment;

/// The longest wait that a handler can ask for.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

const LONGEST: Duration = Duration::from_secs(3600);

/// How long to wait after the given number of failed attempts, in whole milliseconds: no store keeps all of a float.
pub(super) fn delay(first: Duration, attempts: u32, environment: &Environment) -> Duration {
    let doublings = attempts.saturating_sub(1).min(20);
    let delay = first.saturating_mul(1 << doublings).min(LONGEST);
    let jitter = f64::from(u16::from_le_bytes(environment.bytes())) / f64::from(u16::MAX);
    let millis = delay.mul_f64(1.0 + jitter / 4.0).as_millis();
    u64::try_from(millis).map_or(LONGEST, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_an_hour() {
        let environment = Environment::system();
        let seconds = |attempts| delay(Duration::from_secs(5), attempts, &environment).as_secs_f64();
        for (attempts, least) in
            [(1, 5.0), (2, 10.0), (3, 20.0), (10, 2560.0), (11, 3600.0), (u32::MAX, 3600.0)]
        {
            let seconds = seconds(attempts);
            assert!((least..=least * 1.25).contains(&seconds), "attempt {attempts}: {seconds}");
        }
    }
}
