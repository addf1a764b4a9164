//! Checks links between the repository's Markdown files: the file must exist, and so must the heading after `#`. Web
//! links are not followed: a gate must not fail because of another server.

use std::{collections::HashMap, fs, path::Path};

use crate::workspace::SourceFile;

/// Describes every broken link.
pub fn broken(root: &Path, files: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files {
        for (number, line) in prose(&file.text) {
            for target in targets(&line).into_iter().filter(|target| is_local(target)) {
                if let Err(why) = follow(root, file, &target) {
                    faults.push(format!("{}:{number}: {target}: {why}", file.path));
                }
            }
        }
    }
    faults
}

/// Numbered lines without code.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|(index, line)| (index + 1, line.split('`').step_by(2).collect()))
}

/// The target of each link in a line: `[text](target "title")`, and `[label]: target`.
fn targets(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).map(|rest| rest.split([')', ' ']).next());
    let label = line.trim_start().strip_prefix('[').filter(|rest| !rest.starts_with('^'));
    let reference =
        label.and_then(|rest| rest.split_once("]: ")).map(|(_, rest)| rest.split_whitespace().next());
    let found = inline.chain(reference).flatten();
    found
        .map(|target| target.trim_matches(['<', '>']).to_owned())
        .filter(|target| !target.is_empty())
        .collect()
}

/// Neither a web link nor, as rustdoc allows in a crate's README, the path of an item.
fn is_local(target: &str) -> bool {
    !(target.contains("://") || target.starts_with("mailto:") || target.contains("::"))
}

fn follow(root: &Path, from: &SourceFile, target: &str) -> Result<(), &'static str> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = match (path, path.strip_prefix('/')) {
        ("", _) => root.join(&from.path),
        (_, Some(absolute)) => root.join(absolute),
        _ => root.join(&from.path).parent().unwrap_or(root).join(path),
    };
    if !file.exists() {
        return Err("no such file");
    }
    match anchor {
        Some(anchor) if file.extension().is_some_and(|extension| extension == "md") => {
            let text = fs::read_to_string(&file).map_err(|_| "cannot be read")?;
            anchors(&text).iter().any(|known| known == anchor).then_some(()).ok_or("no such heading")
        }
        _ => Ok(()),
    }
}

/// The anchors GitHub gives to a file's headings.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let count = seen.entry(slug.clone()).or_default();
        anchors.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        broken(root, &[SourceFile { path: "src/page.md".to_owned(), text: text.to_owned() }])
    }

    #[test]
    fn what_exists_is_found() {
        let text = "[a](main.rs) [b](../Cargo.toml#L3) [c](/src \"title\") [d](https://example.com/x)\n\
                    [`Item`](crate::item::Item) [m](mailto:a@example.com)\n\n[e]: links.rs\n[^1]: A note.\n";
        assert_eq!(faults(text), Vec::<String>::new());
    }

    #[test]
    fn broken_links_are_reported_with_their_line() {
        let expected = ["src/page.md:2: gone.md: no such file", "src/page.md:3: /gone: no such file"];
        assert_eq!(faults("fine\nsee [it](gone.md)\n[r]: /gone\n"), expected);
    }

    #[test]
    fn code_is_not_prose() {
        assert_eq!(faults("```md\n[a](gone.md)\n```\n`[b](gone.md)`\n"), Vec::<String>::new());
        assert_eq!(faults("```\n```\n[`code`](gone.md)\n").len(), 1);
    }

    #[test]
    fn headings_have_the_anchors_github_gives_them() {
        let text =
            "# The `cargo xtask ci` gates!\n## S3, E1\n## Same\n## Same\n```\n# not one\n```\n#nor-this\n";
        assert_eq!(anchors(text), ["the-cargo-xtask-ci-gates", "s3-e1", "same", "same-1"]);
    }
}
