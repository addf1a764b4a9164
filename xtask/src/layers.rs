//! The dependencies between the modules of multitenancy-core: a module imports no module that is further along the
//! arrows of the drawing in the crate's README, in a later row or after an arrow in its own row.

use std::collections::BTreeMap;

use crate::workspace::SourceFile;

const DRAWING: &str = "multitenancy-core/README.md";
const SOURCE: &str = "multitenancy-core/src/";

/// Known imports against the drawing. Remove an entry once its import is gone.
const KNOWN: &[(&str, &str)] = &[("user", "auth")];

/// Every import against the drawing, every module that the drawing lacks, and every entry of [`KNOWN`] without an
/// import.
pub fn violations(documents: &[SourceFile], sources: &[SourceFile]) -> Vec<String> {
    let drawing = documents.iter().find(|file| file.path == DRAWING).map_or("", |file| &file.text);
    faults(&places(drawing), sources, KNOWN)
}

/// The rank of each module, the lowest first: its row in the first text block, then the arrows before it. Text in the
/// margin is not a module.
fn places(readme: &str) -> BTreeMap<String, (usize, usize)> {
    let block =
        readme.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let mut places = BTreeMap::new();
    for (row, line) in block.lines().enumerate() {
        let names = line.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        // The margin is further away than one name from the next.
        let names = names.split("   ").next().unwrap_or_default();
        for (arrows, names) in names.split('▶').enumerate() {
            let names = names.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
            places.extend(names.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), (row, arrows))));
        }
    }
    places
}

fn faults(
    places: &BTreeMap<String, (usize, usize)>,
    sources: &[SourceFile],
    known: &[(&str, &str)],
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut against: Vec<(String, String)> = Vec::new();
    for source in sources {
        let Some(path) = source.path.strip_prefix(SOURCE) else { continue };
        let module = path.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some(place) = places.get(module) else {
            faults.push(format!("{}: `{module}` is not in the drawing of {DRAWING}", source.path));
            continue;
        };
        for import in imports(&source.text) {
            if places.get(&import).is_some_and(|of| of > place) {
                let pair = (module.to_owned(), import);
                if !known.iter().any(|(from, to)| (*from, *to) == (&*pair.0, &*pair.1)) {
                    faults.push(format!(
                        "{}: `{}` imports `{}`, which stands further along the arrows",
                        source.path, pair.0, pair.1
                    ));
                }
                against.push(pair);
            }
        }
    }
    for (from, to) in known {
        if !against.iter().any(|pair| (&*pair.0, &*pair.1) == (*from, *to)) {
            faults.push(format!(
                "xtask/src/layers.rs: `{from}` does not import `{to}` any more: remove the line"
            ));
        }
    }
    faults
}

/// The modules of the crate that a file names by `crate::`, before its unit tests.
fn imports(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut modules = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => modules.extend(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            modules.extend(word(&list[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    modules
}

/// The module name at the start: it begins in lower case.
fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# x\n\n```text\nerror  id        values\n  └─▶ event ─▶ user    nouns\n      └─▶ store    ports\n```\n";

    fn source(path: &str, text: &str) -> SourceFile {
        SourceFile { path: format!("{SOURCE}{path}"), text: text.to_owned() }
    }

    #[test]
    fn the_drawing_is_read_by_rows_and_arrows() {
        let places = places(README);
        let found: Vec<_> = places.iter().map(|(name, place)| (&**name, *place)).collect();
        assert_eq!(
            found,
            [("error", (0, 0)), ("event", (1, 0)), ("id", (0, 0)), ("store", (2, 0)), ("user", (1, 1))]
        );
    }

    #[test]
    fn an_import_against_the_arrows_is_a_fault() {
        let up = source("user/mod.rs", "use crate::{error::Error, store::{Store, user}};");
        let found = faults(&places(README), &[up], &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`user` imports `store`"), "{found:?}");
        let down = source("store/mod.rs", "use crate::user::User;\n/// [`crate::nothing`]\n");
        assert_eq!(faults(&places(README), &[down], &[]), Vec::<String>::new());
    }

    #[test]
    fn known_exceptions_must_exist() {
        let up = source("user.rs", "use crate::store::Store;");
        assert_eq!(faults(&places(README), &[up], &[("user", "store")]), Vec::<String>::new());
        assert_eq!(faults(&places(README), &[], &[("user", "store")]).len(), 1);
        assert_eq!(faults(&places(README), &[source("new.rs", "")], &[]).len(), 1, "not in the drawing");
    }
}
