//! Imports run one way, between crates and between the files of a crate.
#![allow(clippy::unwrap_used)]

mod modules;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use modules::{Fault, Modules};

/// Which crates of the workspace a crate may use.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("hawk-spec", &[]),
    ("hawk-kernels", &[]),
    ("hawk-files", &["hawk-kernels", "hawk-spec"]),
    ("hawk-nn", &["hawk-files", "hawk-kernels", "hawk-spec"]),
    ("hawk-built-in", &[]),
    ("hawk", &["hawk-built-in", "hawk-nn", "hawk-spec"]),
    ("hawk-synth", &["hawk-files"]),
    ("hawk-bench", &["hawk", "hawk-files", "hawk-kernels", "hawk-nn", "hawk-spec", "hawk-synth"]),
    ("hawk-gpu", &["hawk-files", "hawk-kernels", "hawk-nn", "hawk-spec"]),
    ("hawk-analyze", &["hawk", "hawk-bench", "hawk-files", "hawk-nn", "hawk-spec"]),
    ("hawk-hub", &["hawk-files"]),
    ("hawk-pictures", &["hawk-files"]),
    ("hawk-scores", &["hawk-files", "hawk-nn"]),
    ("hawk-server", &["hawk"]),
    ("hawk-t5", &["hawk-files", "hawk-kernels", "hawk-spec"]),
    ("hawk-train", &["hawk", "hawk-files", "hawk-hub", "hawk-kernels", "hawk-nn", "hawk-pictures", "hawk-spec"]),
    (
        "hawk-cli",
        &[
            "hawk",
            "hawk-analyze",
            "hawk-bench",
            "hawk-files",
            "hawk-gpu",
            "hawk-hub",
            "hawk-kernels",
            "hawk-nn",
            "hawk-pictures",
            "hawk-scores",
            "hawk-server",
            "hawk-spec",
            "hawk-synth",
            "hawk-t5",
            "hawk-train",
        ],
    ),
];

fn workspace() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let offline = ["--offline".to_owned()];
    MetadataCommand::new().manifest_path(manifest).no_deps().other_options(offline).exec().unwrap()
}

#[test]
fn crates_import_one_way() {
    let metadata = workspace();
    let members: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(members.len(), ALLOWED.len(), "a crate without a rule, or a rule without a crate: {members:?}");
    for package in &metadata.packages {
        let (_, allowed) = ALLOWED.iter().find(|(name, _)| package.name.as_str() == *name).unwrap();
        let used = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for dependency in used.filter(|dependency| members.contains(&dependency.name.as_str())) {
            assert!(allowed.contains(&dependency.name.as_str()), "{} must not use {}", package.name, dependency.name);
        }
    }
}

#[test]
fn files_import_one_way() {
    let mut wrong = Vec::new();
    for package in &workspace().packages {
        let roots = package.targets.iter().filter(|target| target.is_lib() || target.is_bin());
        let faults: Vec<Fault> =
            roots.flat_map(|target| Modules::of_crate(target.src_path.as_std_path()).faults()).collect();
        let name = package.name.as_str();
        if !faults.is_empty() {
            wrong.push(format!("{name}: {faults:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rings_and_imports_from_the_root_are_seen() {
    let faults = |sources: &[(&str, &str)]| Modules::of_sources(sources).faults();
    let ring = |names: &[&str]| Fault::Ring(names.iter().map(|name| (*name).to_owned()).collect());
    let root = ("", "mod a; mod b; pub use a::A; pub use b::{B, c::C};");
    let fine = [root, ("a", "use super::b::B; pub struct A;"), ("b", "mod c; use c::C;"), ("b::c", "pub struct C;")];
    assert_eq!(faults(&fine), []);
    // Through a use, a type, a macro, a module in scope, and a module that gathers.
    for b in [
        "use crate::a::A;",
        "fn f(a: &super::a::A) {}",
        "const X: () = m!(x, crate::{a::A});",
        "use crate::a as other; fn f(a: other::A) {}",
    ] {
        let sources = [root, ("a", "use crate::b::B;"), ("b", b), ("b::c", "pub struct C;")];
        assert_eq!(faults(&sources), [ring(&["a", "b"])], "{b}");
    }
    let in_scope =
        [("", "mod a; mod b;"), ("a", "use crate::b; fn f(c: b::c::C) {}"), ("b", ""), ("b::c", "use crate::a::f;")];
    assert_eq!(faults(&in_scope), [ring(&["a", "b::c"])]);
    let gathered = [root, ("a", ""), ("b", "mod c; pub use self::c::C;"), ("b::c", "use super::B;")];
    assert_eq!(faults(&gathered), [ring(&["b", "b::c"])]);
    let through_root = [root, ("a", "use crate::{B, b};"), ("b", ""), ("b::c", "")];
    assert_eq!(faults(&through_root), [Fault::FromRoot { module: "a".to_owned(), path: "B".to_owned() }]);
    // Tests, fields and paths of others that only sound alike.
    for b in
        ["#[cfg(test)] mod tests { use crate::a::A; }", "fn f() { x.a; other::a::A }", "#[cfg(test)] use super::a;"]
    {
        let sources = [root, ("a", "use crate::b::B;"), ("b", b), ("b::c", "")];
        assert_eq!(faults(&sources), [], "{b}");
    }
}
