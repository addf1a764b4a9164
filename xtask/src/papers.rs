//! What the papers say of the code: the README's program is the tracker's, and every test that is named as a proof
//! exists.

use crate::workspace::SourceFile;

const PROGRAM: &str = "examples/tracker/src/main.rs";

/// Papers whose tables name tests as proofs.
const PROVING: [&str; 2] = ["README.md", "SECURITY.md"];

/// Every statement of the papers that the code does not bear out, in words.
pub fn faults(papers: &[SourceFile], code: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for paper in papers.iter().filter(|paper| PROVING.contains(&paper.path.as_str())) {
        for test in named_tests(&paper.text) {
            let definition = format!("fn {test}(");
            if !code.iter().any(|file| file.text.contains(&definition)) {
                faults.push(format!("{}: names the test {test}, which does not exist", paper.path));
            }
        }
    }
    let readme = papers.iter().find(|paper| paper.path == "README.md");
    let program = code.iter().find(|file| file.path == PROGRAM);
    match (readme.and_then(|readme| first_program(&readme.text)), program) {
        (Some(shown), Some(program)) if shown.trim() == program.text.trim() => {}
        _ => faults.push(format!("README.md: its program is not {PROGRAM}")),
    }
    faults
}

/// The names in code quotes in the last column of a table, which have at least two words.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let last = rows.filter_map(|row| row.trim_end().trim_end_matches('|').rsplit('|').next());
    let quoted = last.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.filter(|name| name.contains('_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn first_program(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```rust\n")?;
    rest.split_once("\n```").map(|(program, _)| program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn what_the_code_bears_out_is_no_fault() {
        let readme = "| promise | `s1_it_holds`, and `Store` |\n```rust\nfn main() {}\n```\n";
        let code = [file(PROGRAM, "fn main() {}\n"), file("tests/a.rs", "async fn s1_it_holds() {}")];
        assert_eq!(faults(&[file("README.md", readme)], &code), Vec::<String>::new());
    }

    #[test]
    fn a_proof_that_is_gone_and_a_program_that_has_changed_are_faults() {
        let readme = "| promise | `s1_it_holds` |\n```rust\nfn main() {}\n```\n";
        let code =
            [file(PROGRAM, "fn main() { work() }\n"), file("tests/a.rs", "fn s1_it_holds_no_more() {}")];
        let faults = faults(&[file("README.md", readme)], &code);
        assert_eq!(
            faults,
            [
                "README.md: names the test s1_it_holds, which does not exist",
                "README.md: its program is not examples/tracker/src/main.rs"
            ]
        );
    }
}
