//! The tests that the code defines, and the tests that a document names.

use std::collections::BTreeMap;

use crate::{checklist, workspace::SourceFile};

/// The functions of the code, each with the files that define it.
pub struct Definitions<'a> {
    paths: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Definitions<'a> {
    /// Reads every line that defines a function.
    pub fn of(code: &'a [SourceFile]) -> Self {
        let mut paths = BTreeMap::<_, Vec<_>>::new();
        for file in code {
            for name in file.text.lines().filter_map(defined) {
                paths.entry(name).or_default().push(file.path.as_str());
            }
        }
        Self { paths }
    }

    /// The names of all functions, each once.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.paths.keys().copied()
    }

    /// The reason why `test` does not name a function, if there is one. A name of one word needs its module, as in
    /// `cancellation::writing`: alone it could be any function.
    pub fn fault(&self, test: &str) -> Option<&'static str> {
        let (module, name) =
            test.rsplit_once("::").map_or((None, test), |(module, name)| (Some(module), name));
        let Some(paths) = self.paths.get(name) else {
            return Some("does not exist");
        };
        match module {
            None if !name.contains('_') => Some("is one word and needs its module"),
            Some(module) if !paths.iter().any(|path| is_in(path, module)) => Some("is not in that module"),
            _ => None,
        }
    }
}

/// The cells of each row of the tables in `text`.
pub fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}

/// The tests that a cell names: text in code quotes that could be the path of a function.
pub fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    let of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    cell.split('`').skip(1).step_by(2).filter(move |name| name.chars().all(of_a_name))
}

/// The name of the function that a line defines, or of the test that it lists for a macro: `s116_a_panic: Before;`.
fn defined(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let listed = words.clone().next().and_then(|word| word.strip_suffix(':'));
    if let Some(name) = listed.filter(|name| !checklist::numbers_of(name).is_empty()) {
        return Some(name);
    }
    let before = |word: &str| word.starts_with("pub") || matches!(word, "async" | "const");
    words.find(|word| !before(word)).filter(|word| *word == "fn")?;
    words.next()?.split(['(', '<']).next()
}

fn is_in(path: &str, module: &str) -> bool {
    path.trim_end_matches(".rs").split('/').any(|part| part == module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_function_has_is_a_fault() {
        let text =
            "pub async fn writing(store: S) {}\n    fn keeps_rows<T>() {}\nlet x = \"fn in_a_string()\";";
        let code = [SourceFile { path: "src/cancellation/units.rs".to_owned(), text: text.to_owned() }];
        let definitions = Definitions::of(&code);
        assert_eq!(definitions.fault("cancellation::writing"), None);
        assert_eq!(definitions.fault("keeps_rows"), None);
        assert_eq!(definitions.fault("writing"), Some("is one word and needs its module"));
        assert_eq!(definitions.fault("isolation::writing"), Some("is not in that module"));
        assert_eq!(definitions.fault("in_a_string"), Some("does not exist"));
    }

    #[test]
    fn cells_and_quotes_are_found() {
        let rows: Vec<_> = rows("text\n| a promise | `one_test`, `module::two`, and `Store` |\n").collect();
        assert_eq!(rows, [["a promise", "`one_test`, `module::two`, and `Store`"]]);
        assert_eq!(quoted(rows[0][1]).collect::<Vec<_>>(), ["one_test", "module::two"]);
    }
}
