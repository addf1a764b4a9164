//! House rules that no compiler checks. Needles are written in two halves, so that this file does not break its own
//! rules.

use crate::workspace::SourceFile;

/// A longer file holds more than one idea.
const LONGEST: usize = 400;

/// The reviewed places that may build SQL from text that is not a literal.
const BUILT_SQL: &[&str] = &[
    // Names of roles, schemas and databases, and a tenant's id, which no parameter can carry: all come from this
    // repository.
    "multitenancy-sqlx/src/postgres/admin.rs",
    "multitenancy-sqlx/src/postgres/engine.rs",
    "multitenancy-sqlx/src/postgres/tagged_query.rs",
    "multitenancy-sqlx/src/postgres/login.rs",
    "multitenancy-sqlx/src/postgres/schema.rs",
    // The names of the history tables, which are the program's own.
    "multitenancy-sqlx/src/migrate/apply.rs",
    // The names of the databases and roles that the tests create, and their queries to a server.
    "examples/server/tests/process/database.rs",
    "examples/tracker/tests/program.rs",
    "benches/benches/postgres/fleet.rs",
    "benches/benches/postgres/world.rs",
    "multitenancy-sqlx/tests/postgres/server.rs",
    "multitenancy-sqlx/tests/postgres/stage.rs",
    "multitenancy-sqlx/tests/postgres/template.rs",
];

struct Rule {
    needle: &'static str,
    applies: fn(path: &str, in_test: bool) -> bool,
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule { needle: concat!("[", "allow("), applies: everywhere, why: "say `expect`, with a reason" },
    Rule {
        needle: concat!("#[", "ignore"),
        applies: everywhere,
        why: "a test that does not run proves nothing",
    },
    Rule { needle: concat!("todo", "!("), applies: everywhere, why: "finish it" },
    Rule { needle: concat!("unimplemented", "!("), applies: everywhere, why: "finish it" },
    Rule { needle: concat!("dbg", "!("), applies: everywhere, why: "a leftover" },
    Rule { needle: concat!("print", "!("), applies: in_library, why: "a library logs through tracing" },
    Rule { needle: concat!("println", "!("), applies: in_library, why: "a library logs through tracing" },
    Rule {
        needle: concat!("SET app", ".tenant_id"),
        applies: everywhere,
        why: "the next borrower of the connection inherits it: SET LOCAL, or set_config(…, true)",
    },
    Rule {
        needle: concat!("SET SESSION ", "app."),
        applies: everywhere,
        why: "the next borrower of the connection inherits it: SET LOCAL, or set_config(…, true)",
    },
    Rule {
        needle: concat!("Assert", "SqlSafe"),
        applies: outside_built_sql,
        why: "SQL is a literal; a reviewed exception is listed in xtask/src/rules.rs",
    },
];

/// Describes every line of a file that breaks a rule.
pub fn violations(file: &SourceFile) -> Vec<String> {
    let mut faults = session_settings(file);
    if !file.path.ends_with(".rs") {
        return faults;
    }
    let length = file.text.lines().count();
    if length > LONGEST {
        faults.push(format!("{}: {length} lines, more than {LONGEST}: split it by idea", file.path));
    }
    let mut in_test = is_test_file(&file.path);
    for (index, line) in file.text.lines().enumerate() {
        in_test |= line.trim() == "#[cfg(test)]";
        if line.trim_start().starts_with("//") {
            continue;
        }
        for Rule { needle, why, .. } in RULES.iter().filter(|rule| (rule.applies)(&file.path, in_test)) {
            if line.contains(needle) {
                faults.push(format!("{}:{}: {needle} {why}", file.path, index + 1));
            }
        }
    }
    faults
}

/// A setting outlives the transaction unless `set_config`'s last argument is true, and then it leaks to the
/// connection's next borrower.
fn session_settings(file: &SourceFile) -> Vec<String> {
    let calls = file.text.match_indices(concat!("set_", "config("));
    let faults = calls.filter_map(|(at, call)| {
        let (before, arguments) = (&file.text[..at], arguments(&file.text[at + call.len()..]));
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
        let comment = line.starts_with("//") || line.starts_with("--");
        let number = before.matches('\n').count() + 1;
        (arguments.contains("false") && !comment)
            .then(|| format!("{}:{number}: set_config for the session: say true", file.path))
    });
    faults.collect()
}

/// The text before the parenthesis that closes the call.
fn arguments(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

fn everywhere(_: &str, _: bool) -> bool {
    true
}

/// The testkit is a library too, but it prints on behalf of tests.
fn in_library(path: &str, in_test: bool) -> bool {
    let library = path.starts_with("multitenancy") && path.contains("/src/");
    library && !in_test && !path.starts_with("multitenancy-testkit/")
}

fn outside_built_sql(path: &str, _: bool) -> bool {
    !BUILT_SQL.contains(&path)
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        violations(&SourceFile { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn each_rule_finds_its_needle() {
        for Rule { needle, .. } in RULES {
            let found = faults("multitenancy-core/src/lib.rs", &format!("fn f() {{}}\n    {needle}\n"));
            assert!(
                found.iter().any(|fault| fault.contains(&format!("lib.rs:2: {needle}"))),
                "{needle}: {found:?}"
            );
        }
    }

    #[test]
    fn comments_are_free() {
        for Rule { needle, .. } in RULES {
            assert_eq!(
                faults("multitenancy-core/src/lib.rs", &format!("/// {needle}\n")),
                Vec::<String>::new()
            );
        }
    }

    #[test]
    fn only_a_library_may_not_print() {
        let text = concat!("e", "println", "!(\"seed\");\n");
        assert_eq!(faults("multitenancy-sqlx/src/lib.rs", text).len(), 1);
        for path in
            ["xtask/src/main.rs", "multitenancy-sqlx/tests/race.rs", "multitenancy-testkit/src/lib.rs"]
        {
            assert_eq!(faults(path, text), Vec::<String>::new());
        }
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert_eq!(faults("multitenancy-sqlx/src/lib.rs", &in_tests), Vec::<String>::new());
    }

    #[test]
    fn a_file_has_an_end() {
        assert_eq!(faults("src/a.rs", &"\n".repeat(LONGEST)), Vec::<String>::new());
        assert_eq!(faults("src/a.rs", &"\n".repeat(LONGEST + 1)).len(), 1);
    }

    #[test]
    fn s13_a_setting_for_the_session_is_refused() {
        let call = concat!("set_", "config('app.tenant_id',");
        assert_eq!(faults("a.sql", &format!("SELECT {call} $1, true), false;\n")), Vec::<String>::new());
        let expected = ["a.sql:2: set_config for the session: say true"];
        assert_eq!(faults("a.sql", &format!("\nSELECT {call}\n  lower($1), false);\n")), expected);
    }
}
