//! Checks the documents' claims about the code: a program they show is the program that runs, and a test they name
//! exists.

use crate::{
    checklist::{self, CHECKLIST},
    named_tests::{Definitions, quoted, rows},
    workspace::SourceFile,
};

const PROGRAM: &str = "examples/tracker/src/main.rs";

/// Documents that show the whole program.
const TUTORIAL: &str = "examples/tracker/README.md";

/// Documents that show an excerpt of the program.
const README: &str = "README.md";

/// Documents whose tables name tests in their last column.
const GUARANTEES: &str = "docs/guarantees.md";

/// Describes every claim of the documents that the code does not support.
pub fn faults(documents: &[SourceFile], code: &[SourceFile]) -> Vec<String> {
    let document = |path: &str| documents.iter().find(|document| document.path == path);
    let definitions = Definitions::of(code);
    let mut faults = Vec::new();
    let (Some(guarantees), Some(list)) = (document(GUARANTEES), document(CHECKLIST)) else {
        return vec![format!("{GUARANTEES} or {CHECKLIST} is missing")];
    };
    for text in [documents, code] {
        faults.extend(checklist::unlisted(&list.text, text));
    }
    faults.extend(checklist::faults(&list.text, &definitions));
    for test in rows(&guarantees.text).filter_map(|row| row.last().copied()).flat_map(quoted) {
        if let Some(fault) = definitions.fault(test) {
            faults.push(format!("{GUARANTEES}: the test {test} {fault}"));
        }
    }
    let program = code.iter().find(|file| file.path == PROGRAM).map_or("", |file| file.text.trim());
    let shown = |path: &str| document(path).and_then(|document| first_program(&document.text));
    if shown(TUTORIAL) != Some(program) {
        faults.push(format!("{TUTORIAL}: its program is not {PROGRAM}"));
    }
    if !shown(README).is_some_and(|excerpt| program.contains(excerpt)) {
        faults.push(format!("{README}: its handler is not in {PROGRAM}"));
    }
    faults
}

fn first_program(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```rust\n")?;
    rest.split_once("\n```").map(|(program, _)| program.trim()).filter(|program| !program.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn documents(program: &str, handler: &str, proofs: &str) -> [SourceFile; 4] {
        [
            file(TUTORIAL, &format!("# Tracker\n```rust\n{program}\n```\n")),
            file(README, &format!("# Promise\n```rust\n{handler}\n```\n")),
            file(GUARANTEES, &format!("| Promise | Tests |\n|---|---|\n| a promise | {proofs} |\n")),
            file(CHECKLIST, "| S1 | a statement | yes | `s1_it_holds` |"),
        ]
    }

    #[test]
    fn true_claims_are_no_fault() {
        let documents =
            documents("fn main() {}\nfn list() {}", "fn list() {}", "`s1_it_holds`, `races::storm`");
        let code = [
            file(PROGRAM, "fn main() {}\nfn list() {}\n"),
            file("tests/races.rs", "async fn s1_it_holds() {}\nasync fn storm() {}"),
        ];
        assert_eq!(faults(&documents, &code), Vec::<String>::new());
    }

    #[test]
    fn false_claims_are_faults() {
        let documents = documents("fn main() {}", "fn list() {}", "`s1_it_holds`, `storm`");
        let code = [
            file(PROGRAM, "fn main() { work() }\n"),
            file("tests/races.rs", "/// S2.\nfn it_held() {}\nfn storm() {}"),
        ];
        assert_eq!(
            faults(&documents, &code),
            [
                "tests/races.rs: S2 is not in the list",
                "S1: the test s1_it_holds does not exist",
                "docs/guarantees.md: the test s1_it_holds does not exist",
                "docs/guarantees.md: the test storm is one word and needs its module",
                "examples/tracker/README.md: its program is not examples/tracker/src/main.rs",
                "README.md: its handler is not in examples/tracker/src/main.rs"
            ]
        );
        assert_eq!(faults(&[], &code), ["docs/guarantees.md or docs/security-checklist.md is missing"]);
    }
}
