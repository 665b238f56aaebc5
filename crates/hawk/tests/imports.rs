//! Imports run one way: spec <- nn <- hawk <- eval <- cli, training and the text encoder beside them.
#![allow(clippy::unwrap_used)]

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which crates of the workspace a crate may use.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("hawk-spec", &[]),
    ("hawk-nn", &["hawk-spec"]),
    ("hawk", &["hawk-nn", "hawk-spec"]),
    ("hawk-eval", &["hawk", "hawk-nn", "hawk-spec"]),
    ("hawk-pictures", &[]),
    ("hawk-t5", &["hawk-nn", "hawk-spec"]),
    ("hawk-train", &["hawk", "hawk-nn", "hawk-spec"]),
    ("hawk-cli", &["hawk", "hawk-eval", "hawk-nn", "hawk-spec", "hawk-t5", "hawk-train"]),
];

#[test]
fn imports_run_one_way() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap();
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
