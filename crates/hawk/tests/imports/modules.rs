//! The files of a crate that name one another.
//!
//! A file names another by a path that begins with `crate`, `super`, `self` or a module that it declares, wherever it stands: in a
//! `use`, a type, a call or a macro; a module that a `use` brings into scope continues its path. The path counts for the deepest module
//! that it leads into. Declaring a module (`mod child;`) is no import; code that is compiled for tests only is left out. So a folder's
//! `mod.rs` may gather what its files offer, or its files may build on what `mod.rs` defines, but not both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module's path from the root of its crate; the root's is empty.
type Module = Vec<String>;

/// The files of a crate and what they import.
pub(crate) struct Modules {
    /// The source of every module that has a file of its own.
    sources: BTreeMap<Module, TokenStream>,
}

/// What is wrong with a crate's imports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A module imports from the root file, which gathers what users see: imported things are defined elsewhere.
    FromRoot { module: String, path: String },
    /// Modules that import one another in a ring.
    Ring(Vec<String>),
}

/// A path in the source, absolute.
struct Named {
    path: Module,
    /// The word behind it in the scope of the file.
    word: String,
}

impl Modules {
    /// Reads a crate from its root file.
    pub(crate) fn of_crate(root: &Path) -> Self {
        let mut modules = Self { sources: BTreeMap::new() };
        let folder = root.parent().unwrap().to_owned();
        modules.add(&[], root, &folder);
        modules
    }

    /// A crate of these modules; the root has the name `""`, others names such as `a::b`.
    #[cfg(test)]
    pub(crate) fn of_sources(sources: &[(&str, &str)]) -> Self {
        let module = |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let sources = sources.iter().map(|(name, source)| (module(name), source.parse().unwrap()));
        Self { sources: sources.collect() }
    }

    /// Adds the module of a file and those that it declares, which lie in `folder`.
    fn add(&mut self, module: &[String], file: &Path, folder: &Path) {
        let source = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let tokens: TokenStream = source.parse().unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for child in declared(&tokens) {
            let inside = folder.join(&child);
            let files = [folder.join(format!("{child}.rs")), inside.join("mod.rs")];
            let found: &PathBuf = files.iter().find(|file| file.is_file()).unwrap_or_else(|| panic!("{files:?}"));
            self.add(&[module, &[child]].concat(), found, &inside);
        }
        self.sources.insert(module.to_vec(), tokens);
    }

    /// Every fault.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let (mut faults, mut edges) = (Vec::new(), BTreeMap::<&Module, BTreeSet<&Module>>::new());
        for (module, tokens) in &self.sources {
            for Named { path, .. } in self.named(module, tokens) {
                let (target, _) = (0..=path.len())
                    .rev()
                    .find_map(|length| self.sources.get_key_value(&path[..length]))
                    .expect("the root is a module");
                if target == module {
                    continue;
                }
                if target.is_empty() {
                    faults.push(Fault::FromRoot { module: name_of(module), path: path.join("::") });
                } else {
                    edges.entry(module).or_default().insert(target);
                }
            }
        }
        faults.extend(rings(&edges).into_iter().map(|ring| Fault::Ring(ring.into_iter().map(name_of).collect())));
        faults
    }

    /// The paths in a module's source.
    fn named(&self, module: &Module, tokens: &TokenStream) -> Vec<Named> {
        let trees = trees(tokens);
        let children = self.sources.keys().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
        let mut scope: BTreeMap<String, Module> =
            children.map(|child| (child[module.len()].clone(), child.clone())).collect();
        let mut found = Vec::new();
        collect(module, &scope, &trees, &mut found);
        // Modules that are brought into scope.
        scope.extend(
            found
                .drain(..)
                .filter(|named| !named.path.is_empty() && self.sources.contains_key(&named.path))
                .map(|named| (named.word, named.path)),
        );
        collect(module, &scope, &trees, &mut found);
        found
    }
}

/// Collects the paths in a module's source; `scope` are the modules that a path may begin with.
fn collect(module: &Module, scope: &BTreeMap<String, Module>, trees: &[TokenTree], found: &mut Vec<Named>) {
    let mut at = 0;
    while at < trees.len() {
        if let Some(behind) = test_item(trees, at) {
            at = behind;
            continue;
        }
        match &trees[at] {
            TokenTree::Ident(ident) if at == 0 || !is_joined(trees, at) => {
                let word = ident.to_string();
                let start = match word.as_str() {
                    "crate" => Some(Vec::new()),
                    "self" => Some(module.clone()),
                    "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
                    word => scope.get(word).cloned(),
                };
                if let Some(start) = start.filter(|_| is_path_sign(trees, at + 1)) {
                    follow(start, &trees[at + 3..], found);
                }
                if word == "mod"
                    && let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                        (trees.get(at + 1), trees.get(at + 2))
                {
                    let inner = [&module[..], &[name.to_string()]].concat();
                    collect(&inner, scope, &self::trees(&body.stream()), found);
                    at += 3;
                    continue;
                }
            }
            TokenTree::Group(group) => collect(module, scope, &self::trees(&group.stream()), found),
            _ => {}
        }
        at += 1;
    }
}

fn name_of(module: &Module) -> String {
    module.join("::")
}

fn trees(tokens: &TokenStream) -> Vec<TokenTree> {
    tokens.clone().into_iter().collect()
}

fn is_punct(tree: Option<&TokenTree>, sign: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// Whether `::` stands here.
fn is_path_sign(trees: &[TokenTree], at: usize) -> bool {
    is_punct(trees.get(at), ':') && is_punct(trees.get(at + 1), ':')
}

/// Whether a word goes on with a path, names a field or method, or is a lifetime's.
fn is_joined(trees: &[TokenTree], at: usize) -> bool {
    let before = |count: usize| at.checked_sub(count).and_then(|place| trees.get(place));
    let field = is_punct(before(1), '.') && !is_punct(before(2), '.');
    field || is_punct(before(1), '\'') || (at >= 2 && is_path_sign(trees, at - 2))
}

/// Where the item behind `#[cfg(test)]` ends, if that stands here.
fn test_item(trees: &[TokenTree], at: usize) -> Option<usize> {
    let TokenTree::Group(attribute) = trees.get(at + 1).filter(|_| is_punct(trees.get(at), '#'))? else { return None };
    if attribute.to_string().replace(' ', "") != "[cfg(test)]" {
        return None;
    }
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        tree => is_punct(Some(tree), ';'),
    };
    Some(trees[at + 2..].iter().position(ends).map_or(trees.len(), |length| at + 2 + length + 1))
}

/// The modules that a file declares and that have files of their own.
fn declared(tokens: &TokenStream) -> Vec<String> {
    let (trees, mut names, mut at) = (trees(tokens), Vec::new(), 0);
    while at < trees.len() {
        if let Some(behind) = test_item(&trees, at) {
            at = behind;
            continue;
        }
        if let [TokenTree::Ident(word), TokenTree::Ident(name), end, ..] = &trees[at..]
            && word == "mod"
            && is_punct(Some(end), ';')
        {
            names.push(name.to_string());
        }
        at += 1;
    }
    names
}

/// Follows a path, and every branch of its braces.
fn follow(mut path: Module, mut trees: &[TokenTree], found: &mut Vec<Named>) {
    loop {
        match trees {
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
                let inner = self::trees(&group.stream());
                return inner.split(|tree| is_punct(Some(tree), ',')).for_each(|branch| {
                    if !branch.is_empty() {
                        follow(path.clone(), branch, found);
                    }
                });
            }
            [TokenTree::Ident(word), rest @ ..] => {
                match word.to_string().as_str() {
                    "super" => drop(path.pop()),
                    "self" => {}
                    other => path.push(other.to_owned()),
                }
                if !is_path_sign(rest, 0) {
                    let word = match rest {
                        [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == "as" => name.to_string(),
                        _ => path.last().cloned().unwrap_or_default(),
                    };
                    return found.push(Named { path, word });
                }
                trees = &rest[2..];
            }
            // A glob, or generics behind `::`.
            _ => {
                let word = String::new();
                return found.push(Named { path, word });
            }
        }
    }
}

/// Rings in a graph, one for each set of modules that reach one another.
fn rings<'a>(edges: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> Vec<Vec<&'a Module>> {
    let (mut rings, mut told) = (Vec::<Vec<&Module>>::new(), BTreeSet::new());
    for start in edges.keys() {
        if told.contains(start) {
            continue;
        }
        if let Some(ring) = ring_from(start, edges) {
            told.extend(ring.iter().copied());
            rings.push(ring);
        }
    }
    rings
}

/// The shortest way from a module back to itself.
fn ring_from<'a>(start: &&'a Module, edges: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> Option<Vec<&'a Module>> {
    let (mut from, mut next) = (BTreeMap::<&Module, &Module>::new(), vec![*start]);
    while !next.is_empty() {
        let mut further = Vec::new();
        for module in next {
            for target in edges.get(module).into_iter().flatten().copied() {
                if target == *start {
                    let mut ring = vec![module];
                    while let Some(before) = ring.last().and_then(|last| from.get(last)) {
                        ring.push(before);
                    }
                    ring.reverse();
                    return Some(ring);
                }
                if !from.contains_key(target) {
                    from.insert(target, module);
                    further.push(target);
                }
            }
        }
        next = further;
    }
    None
}
