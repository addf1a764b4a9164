//! The duration of each group of tests, from the report of cargo-nextest, compared with the budget.

use std::{collections::BTreeMap, fs, path::Path};

use crate::process::Failure;

/// The budget in seconds of a daily run on two cores, from the documents. CI fails above one and a half times this.
pub const BUDGET: f64 = 600.0;

/// Seconds of work by test binary, and the number of tests.
#[derive(Default)]
pub struct Figures(BTreeMap<String, (usize, f64)>);

impl Figures {
    /// Adds the results of a JUnit report; adds nothing when there is no report.
    pub fn add(&mut self, report: &Path) {
        let Ok(report) = fs::read_to_string(report) else { return };
        for case in report.split("<testcase ").skip(1) {
            let attribute = |name: &str| case.split_once(name)?.1.split('"').next();
            let (Some(group), Some(Ok(seconds))) =
                (attribute("classname=\""), attribute("time=\"").map(str::parse::<f64>))
            else {
                continue;
            };
            let entry = self.0.entry(group.to_owned()).or_default();
            *entry = (entry.0 + 1, entry.1 + seconds);
        }
    }

    /// Prints the groups, the longest first: the total seconds of a group's tests, several of which run at once.
    pub fn print(&self) {
        let mut groups: Vec<_> = self.0.iter().collect();
        groups.sort_by(|one, other| other.1.1.total_cmp(&one.1.1));
        for (group, (tests, seconds)) in groups {
            println!("{seconds:>8.1} s  {tests:>4} tests  {group}");
        }
    }
}

/// Fails in CI when a daily run exceeds its budget by half; other machines may be busy or slow.
pub fn within_budget(seconds: f64, in_ci: bool) -> Result<(), Failure> {
    println!("the tests took {seconds:.0} s; their budget is {BUDGET:.0} s on two cores");
    if in_ci && seconds > BUDGET * 1.5 {
        return Err(Failure::new(format!(
            "the day's tests have outgrown their budget of {BUDGET:.0} s by half: move rounds into the night \
             (`smoke_or`), or make them faster"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ci_refuses_a_long_run() {
        assert!(within_budget(BUDGET * 1.4, true).is_ok());
        assert!(within_budget(BUDGET * 1.6, true).is_err());
        assert!(within_budget(BUDGET * 1.6, false).is_ok());
    }

    #[test]
    fn a_report_is_summed_by_group() {
        let directory = std::env::temp_dir().join(format!("figures-{}", std::process::id()));
        let report = "<testsuite name=\"a\"><testcase name=\"x\" classname=\"a\" time=\"1.5\"></testcase>\
                      <testcase name=\"y\" classname=\"a\" time=\"0.5\"></testcase></testsuite>";
        fs::write(&directory, report).expect("a file can be written");
        let mut figures = Figures::default();
        figures.add(&directory);
        fs::remove_file(&directory).expect("it is there");
        assert_eq!(figures.0.get("a"), Some(&(2, 2.0)));
    }
}
