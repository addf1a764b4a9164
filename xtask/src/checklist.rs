//! Compares the security checklist with the code, in both directions: a test with a number in its name is in that
//! number's row, the tests of a row exist, and every number in any text has a row.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    named_tests::{Definitions, quoted, rows},
    workspace::SourceFile,
};

/// The path of the list.
pub const CHECKLIST: &str = "docs/security-checklist.md";

/// A number of the list: `S27`, `E9`.
type Number = (char, u16);

/// Describes every disagreement between the list and the tests.
pub fn faults(list: &str, definitions: &Definitions) -> Vec<String> {
    let mut faults = Vec::new();
    let mut listed = BTreeMap::new();
    for (number, cells) in numbered(list) {
        let [_, _, status, proof] = cells[..] else {
            faults.push(format!("{} has not four cells", shown(number)));
            continue;
        };
        let tests: BTreeSet<_> = quoted(proof).collect();
        for test in &tests {
            if let Some(fault) = definitions.fault(test) {
                faults.push(format!("{}: the test {test} {fault}", shown(number)));
            }
        }
        let proven = !tests.is_empty() || proof.contains("gate");
        match status.split(':').next() {
            Some("yes" | "partly") if !proven => faults.push(format!("{} names no test", shown(number))),
            Some("not yet" | "not applicable") if proven => {
                faults.push(format!("{} has tests: it is partly done", shown(number)));
            }
            Some("yes" | "partly" | "not yet" | "not applicable") => {}
            _ => faults.push(format!("{}: unknown status {status}", shown(number))),
        }
        if listed.insert(number, tests).is_some() {
            faults.push(format!("{} is listed twice", shown(number)));
        }
    }
    for test in definitions.names() {
        for number in numbers_of(test) {
            if !listed.get(&number).is_some_and(|tests| tests.iter().any(|named| ends_in(named, test))) {
                faults.push(format!("{} does not name the test {test}", shown(number)));
            }
        }
    }
    faults
}

/// Describes every number in `texts` that the list lacks.
pub fn unlisted(list: &str, texts: &[SourceFile]) -> Vec<String> {
    let listed: BTreeSet<_> = numbered(list).map(|(number, _)| number).collect();
    let unlisted = texts.iter().flat_map(|text| {
        let numbers = mentioned(text).into_iter().filter(|number| !listed.contains(number));
        numbers.map(|number| format!("{}: {} is not in the list", text.path, shown(number)))
    });
    unlisted.collect()
}

/// The rows of the list, each with its number.
fn numbered(list: &str) -> impl Iterator<Item = (Number, Vec<&str>)> {
    rows(list).filter_map(|cells| Some((number(cells.first()?)?, cells)))
}

/// The numbers at the start of a test's name: of `s10_to_s12_…` all three, of `s54_s57_…` both.
pub fn numbers_of(test: &str) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut words = test.split('_').peekable();
    while let Some(word) = words.next() {
        let range = word == "to" && !numbers.is_empty();
        let text = if range { words.next().unwrap_or_default() } else { word };
        let Some(next) = text.starts_with(['s', 'e']).then(|| number(&text.to_ascii_uppercase())).flatten()
        else {
            break;
        };
        match numbers.last() {
            Some(&(letter, first)) if range => {
                numbers.extend((first + 1..=next.1).map(|value| (letter, value)));
            }
            _ => numbers.push(next),
        }
    }
    numbers
}

/// The numbers in the comments of code, or anywhere in another text.
fn mentioned(file: &SourceFile) -> BTreeSet<Number> {
    let code = ["rs", "sql"].iter().any(|extension| file.path.ends_with(&format!(".{extension}")));
    let comments = file.text.lines().filter_map(|line| match code {
        true => line.split_once("//").or_else(|| line.split_once("-- ")).map(|(_, comment)| comment),
        false => Some(line),
    });
    comments.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric())).filter_map(number).collect()
}

fn number(text: &str) -> Option<Number> {
    let value =
        text.strip_prefix(['S', 'E']).filter(|digits| digits.len() <= 3 && !digits.starts_with('0'))?;
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    Some((text.chars().next()?, value.parse().ok().filter(|_| digits)?))
}

fn shown((letter, value): Number) -> String {
    format!("{letter}{value}")
}

fn ends_in(named: &str, test: &str) -> bool {
    named.rsplit("::").next() == Some(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    const LIST: &str = "| No. | Statement | Done | Tests |\n|---|---|---|---|\n\
        | S1 | one | yes | `s1_to_s2_holds` |\n| S2 | two | partly: no rename | `s1_to_s2_holds`, `races::storm` |\n\
        | E3 | three | not yet: flags | |\n";

    #[test]
    fn a_list_that_agrees_has_no_fault() {
        let text = "/// S1, E3: text.\nfn s1_to_s2_holds() {}\nfn storm() {}\nlet x = \"S99\";";
        let code = [file("tests/races.rs", text)];
        assert_eq!(faults(LIST, &Definitions::of(&code)), Vec::<String>::new());
        assert_eq!(unlisted(LIST, &code), Vec::<String>::new());
    }

    #[test]
    fn each_disagreement_is_a_fault() {
        let list = "| S1 | one | yes | `s1_is_gone` |\n| S1 | one | yes | |\n| S2 | two | not yet | `s2_holds` |\n\
            | S3 | three | perhaps | `s2_holds` |\n| S4 | four | yes |\n";
        let code = [file("tests/all.rs", "fn s2_holds() {}\nfn s1_s5_holds() {}\n    e7_by_a_macro: x;\n")];
        assert_eq!(
            faults(list, &Definitions::of(&code)),
            [
                "S1: the test s1_is_gone does not exist",
                "S1 names no test",
                "S1 is listed twice",
                "S2 has tests: it is partly done",
                "S3: unknown status perhaps",
                "S4 has not four cells",
                "E7 does not name the test e7_by_a_macro",
                "S1 does not name the test s1_s5_holds",
                "S5 does not name the test s1_s5_holds",
            ]
        );
    }

    #[test]
    fn a_number_that_is_not_listed_is_a_fault() {
        let texts = [
            file("tests/all.rs", "/// S1, S6.\nlet x = \"S7\";"),
            file("docs/other.md", "S8 is not S0, S1234 or S2x."),
        ];
        assert_eq!(
            unlisted(LIST, &texts),
            ["tests/all.rs: S6 is not in the list", "docs/other.md: S8 is not in the list"]
        );
    }

    #[test]
    fn numbers_are_read_from_names() {
        assert_eq!(numbers_of("s10_to_s12_each_fails"), [('S', 10), ('S', 11), ('S', 12)]);
        assert_eq!(numbers_of("s54_s57_another_issuer"), [('S', 54), ('S', 57)]);
        assert_eq!(numbers_of("e9_a_panic_is_a_500"), [('E', 9)]);
        assert_eq!(numbers_of("sessions_last"), []);
        assert_eq!(numbers_of("to_s3_writes"), []);
    }
}
