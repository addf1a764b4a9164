//! S7: programs that forget the tenant, or make one up, do not compile. Each program in `ui/` has beside it what the compiler
//! must say of it, an error a line.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The library as it was last built beside this test, so nothing is compiled for the programs but themselves. Whatever its
/// features, its sources are the present ones: cargo has built this test's own before it started the test.
fn library(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let libraries = files.filter(|file| {
        let name = file.file_name().into_string().unwrap_or_default();
        name.starts_with("libmultitenancy_core-") && name.ends_with(".rlib")
    });
    libraries.max_by_key(|file| file.metadata().unwrap().modified().unwrap()).unwrap().path()
}

/// What the compiler says of a program, an error a line.
fn errors(program: &str) -> String {
    let test = env::current_exe().unwrap();
    let directory = test.parent().unwrap();
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "--crate-type=bin", "--emit=metadata", "--error-format=short", program]);
    rustc.arg("-L").arg(format!("dependency={}", directory.display()));
    rustc.arg("--extern").arg(format!("multitenancy_core={}", library(directory).display()));
    let output = tempfile::tempdir().unwrap();
    rustc.arg("--out-dir").arg(output.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = rustc.output().unwrap();
    assert_eq!(said.status.code(), Some(1), "{program} compiles, or the compiler does not run: {said:?}");
    let said = String::from_utf8(said.stderr).unwrap();
    said.lines().filter(|line| line.contains(": error")).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn s7_what_forgets_the_tenant_does_not_compile() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut programs = 0;
    for entry in fs::read_dir(ui).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            programs += 1;
            let expected = fs::read_to_string(path.with_extension("stderr")).unwrap();
            let program = format!("tests/ui/{}", path.file_name().unwrap().to_str().unwrap());
            assert_eq!(errors(&program), expected, "of {program}");
        }
    }
    assert_eq!(programs, 9);
}

/// The control: a program that uses the tenant's context compiles, so the others fail for what they say.
#[test]
#[should_panic(expected = "compiles")]
fn control_a_program_with_its_context_compiles() {
    let output = tempfile::tempdir().unwrap();
    let program = output.path().join("good.rs");
    let text = "use multitenancy_core::{Store, TenantContext};\n\
                pub async fn good(store: &dyn Store, context: &TenantContext) { let _ = store.begin(context).await; }\n\
                fn main() {}\n";
    fs::write(&program, text).unwrap();
    errors(program.to_str().unwrap());
}
