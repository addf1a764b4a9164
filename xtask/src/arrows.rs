//! The allowed dependencies between the crates of the workspace. Adapters depend on the core and never on each other.
//! Examples depend only on crates that an application would use, which proves that those suffice.

use crate::{
    process::{self, Failure, cargo},
    workspace::Workspace,
};
use cargo_metadata::DependencyKind;

/// Second TLS stacks and similar crates: each takes a minute to build, and two of a kind conflict at run time.
const HEAVY: [&str; 4] = ["native-tls", "openssl", "openssl-sys", "ring"];

/// The workspace's crates and the dependencies between them.
pub struct Graph {
    crates: Vec<Crate>,
}

struct Crate {
    name: String,
    /// From the root of the repository.
    directory: String,
    arrows: Vec<Arrow>,
}

struct Arrow {
    to: String,
    /// For tests only.
    dev: bool,
}

/// The role of a crate in the design.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Core,
    Testkit,
    Adapter,
    Facade,
    Example,
    Benches,
    Xtask,
}

impl Graph {
    /// The graph of the manifests.
    pub fn of(workspace: &Workspace) -> Self {
        let is_member = |name: &str| workspace.packages().iter().any(|package| package.name == name);
        let crates = workspace.packages().iter().map(|package| Crate {
            name: package.name.to_string(),
            directory: workspace.directory(package).unwrap_or(workspace.root()).display().to_string(),
            arrows: (package.dependencies.iter().filter(|to| is_member(&to.name)))
                .map(|to| Arrow { to: to.name.clone(), dev: to.kind == DependencyKind::Development })
                .collect(),
        });
        Self { crates: crates.collect() }
    }
}

/// Describes every dependency that the design forbids.
pub fn violations(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for from in &graph.crates {
        let Some(place) = place(from) else {
            faults.push(format!(
                "{}: has no place in the design; give it one in xtask/src/arrows.rs",
                from.name
            ));
            continue;
        };
        for arrow in &from.arrows {
            let target = graph.crates.iter().find(|to| to.name == arrow.to).and_then(self::place);
            if !target.is_some_and(|to| may_depend(from, place, to, arrow.dev)) {
                let how = if arrow.dev { "dev-depend" } else { "depend" };
                faults.push(format!("{} must not {how} on {}", from.name, arrow.to));
            }
        }
    }
    faults
}

/// Fails when the facade, with every feature and on any platform, depends on a crate of [`HEAVY`].
pub fn no_heavy_crates(workspace: &Workspace) -> Result<(), Failure> {
    let tree = ["tree", "-p", "multitenancy", "--all-features", "-e", "normal", "--target", "all"];
    let listing =
        process::output(cargo(workspace.root(), tree).args(["--prefix", "none", "--format", "{p}"]))?;
    let faults = heavy_in(&listing).map(|name| {
        format!(
            "multitenancy must not depend on {name}; to see why it does: cargo {} -i {name}",
            tree.join(" ")
        )
    });
    Failure::of(&faults.collect::<Vec<_>>())
}

fn heavy_in(listing: &str) -> impl Iterator<Item = &'static str> {
    let has = |name: &&str| listing.lines().any(|line| line.split(' ').next() == Some(*name));
    HEAVY.into_iter().filter(has)
}

fn place(package: &Crate) -> Option<Place> {
    if package.directory.starts_with("examples") {
        return Some(Place::Example);
    }
    match package.name.as_str() {
        "multitenancy" => Some(Place::Facade),
        "multitenancy-core" => Some(Place::Core),
        "multitenancy-testkit" => Some(Place::Testkit),
        "multitenancy-benches" => Some(Place::Benches),
        "xtask" => Some(Place::Xtask),
        name => name.starts_with("multitenancy-").then_some(Place::Adapter),
    }
}

fn may_depend(from: &Crate, place: Place, to: Place, dev: bool) -> bool {
    match place {
        Place::Core => dev && to == Place::Testkit,
        Place::Xtask => false,
        Place::Testkit => to == Place::Core,
        Place::Adapter => to == Place::Core || (dev && to == Place::Testkit),
        Place::Facade => to == Place::Core || to == Place::Adapter,
        Place::Benches => to == Place::Facade || (dev && to == Place::Testkit),
        // The purpose of the custom adapter is to run the suite on its own store.
        Place::Example => {
            to == Place::Facade || (to == Place::Testkit && (dev || from.name == "example-custom-adapter"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line is `crate -> crate`, or `crate ~> crate` for a dev-dependency.
    fn graph(lines: &[&str]) -> Graph {
        let mut crates: Vec<Crate> = Vec::new();
        let mut index = |name: &str| {
            crates.iter().position(|known| known.name == name).unwrap_or_else(|| {
                let directory = name.replace("example-", "examples/");
                crates.push(Crate { name: name.to_owned(), directory, arrows: Vec::new() });
                crates.len() - 1
            })
        };
        let mut arrows = Vec::new();
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            index(words[2]);
            arrows.push((index(words[0]), Arrow { to: words[2].to_owned(), dev: words[1] == "~>" }));
        }
        for (from, arrow) in arrows {
            crates[from].arrows.push(arrow);
        }
        Graph { crates }
    }

    #[test]
    fn the_workspace_keeps_its_arrows() {
        let workspace = Workspace::load().expect("cargo knows the workspace");
        let graph = Graph::of(&workspace);
        assert!(graph.crates.iter().any(|known| !known.arrows.is_empty()), "the graph was read");
        assert_eq!(violations(&graph), Vec::<String>::new());
    }

    #[test]
    fn the_design_is_allowed() {
        let drawing = [
            "multitenancy-core ~> multitenancy-testkit",
            "multitenancy-testkit -> multitenancy-core",
            "multitenancy-sqlx -> multitenancy-core",
            "multitenancy-sqlx ~> multitenancy-testkit",
            "multitenancy-axum -> multitenancy-core",
            "multitenancy -> multitenancy-core",
            "multitenancy -> multitenancy-axum",
            "example-server -> multitenancy",
            "example-server ~> multitenancy-testkit",
            "example-custom-adapter -> multitenancy-testkit",
            "multitenancy-benches -> multitenancy",
        ];
        assert_eq!(violations(&graph(&drawing)), Vec::<String>::new());
    }

    #[test]
    fn every_other_arrow_is_refused() {
        for (arrow, verb) in [
            ("multitenancy-core -> multitenancy-sqlx", "depend"),
            ("multitenancy-core -> multitenancy-testkit", "depend"),
            ("multitenancy-testkit -> multitenancy-sqlx", "depend"),
            ("multitenancy-testkit ~> multitenancy-sqlx", "dev-depend"),
            ("multitenancy-sqlx -> multitenancy-testkit", "depend"),
            ("multitenancy-axum -> multitenancy-sqlx", "depend"),
            ("multitenancy-axum ~> multitenancy-sqlx", "dev-depend"),
            ("multitenancy-redis -> multitenancy", "depend"),
            ("multitenancy -> multitenancy-testkit", "depend"),
            ("multitenancy -> example-server", "depend"),
            ("example-server -> multitenancy-core", "depend"),
            ("example-server -> multitenancy-testkit", "depend"),
            ("example-tracker ~> multitenancy-sqlx", "dev-depend"),
            ("multitenancy-benches -> multitenancy-sqlx", "depend"),
            ("xtask -> multitenancy-core", "depend"),
        ] {
            let (from, to) = (arrow.split(' ').next().expect("from"), arrow.rsplit(' ').next().expect("to"));
            assert_eq!(violations(&graph(&[arrow])), [format!("{from} must not {verb} on {to}")]);
        }
    }

    #[test]
    fn crate_without_a_role_is_refused() {
        let faults = violations(&graph(&["helpers -> multitenancy"]));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("helpers: has no place"), "{faults:?}");
    }

    #[test]
    fn heavy_crates_are_found_by_their_whole_name() {
        assert_eq!(heavy_in("tokio v1.54.0\nopenssl-probe v0.2.2\nstring v1.0.0").count(), 0);
        assert_eq!(heavy_in("tokio v1.54.0\nring v0.17.14\nring v0.17.14 (*)").collect::<Vec<_>>(), ["ring"]);
    }
}
