//! The repository as the gates see it: its packages and its files.

use std::{fs, path::Path, process::Command};

use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::process::{self, Failure};

/// The repository.
pub struct Workspace {
    metadata: Metadata,
}

/// A file of the repository, by its path from the root.
pub struct SourceFile {
    /// With `/` between its parts, on every platform.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl Workspace {
    /// Asks cargo about the workspace around the current directory.
    pub fn load() -> Result<Self, Failure> {
        let metadata = MetadataCommand::new().no_deps().exec();
        Ok(Self { metadata: metadata.map_err(|error| Failure::new(error.to_string()))? })
    }

    /// The directory of the workspace's `Cargo.toml`.
    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// The target directory of cargo.
    pub fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// The members.
    pub fn packages(&self) -> &[Package] {
        &self.metadata.packages
    }

    /// The published members.
    pub fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages().iter().filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()))
    }

    /// A member's directory, from the root.
    pub fn directory<'a>(&self, package: &'a Package) -> Option<&'a Path> {
        package.manifest_path.as_std_path().parent()?.strip_prefix(self.root()).ok()
    }

    /// The repository's files with this extension: those under version control, and new ones that are not ignored.
    pub fn files(&self, extension: &str) -> Result<Vec<SourceFile>, Failure> {
        let listing = process::output(Command::new("git").current_dir(self.root()).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
            &format!("*.{extension}"),
        ]))?;
        let paths = listing.split('\0').filter(|path| !path.is_empty() && self.root().join(path).is_file());
        paths.map(|path| self.file(path)).collect()
    }

    fn file(&self, path: &str) -> Result<SourceFile, Failure> {
        let text = fs::read_to_string(self.root().join(path));
        let text = text.map_err(|error| Failure::new(format!("{path}: {error}")))?;
        Ok(SourceFile { path: path.to_owned(), text })
    }
}
