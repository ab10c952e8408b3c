//! Imports have no circles: neither between the folders of `src`, nor between the files of a folder. docs/ARCHITECTURE.md
//! has the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// A module's path without `crate`.
type Name = Vec<String>;

/// The paths that a file names outside its tests.
#[derive(Default)]
struct Paths {
    /// The module, inline modules included.
    module: Name,
    found: BTreeSet<Name>,
    /// What the module gives out under another path.
    exports: BTreeMap<Name, Name>,
}

impl Paths {
    /// The path from the crate's root, if it begins with `crate`, `self` or `super`.
    fn absolute(&self, path: &[String]) -> Option<Name> {
        let mut base = match path[0].as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        let ups = path.iter().filter(|part| *part == "super").count();
        base.truncate(base.len() - ups);
        base.extend(path.iter().filter(|part| !["crate", "self", "super"].contains(&part.as_str())).cloned());
        Some(base)
    }

    fn use_tree(&mut self, tree: &syn::UseTree, mut prefix: Name, public: bool) {
        let (name, rename) = match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                return self.use_tree(&path.tree, prefix, public);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.use_tree(tree, prefix.clone(), public));
            }
            syn::UseTree::Name(name) => (Some(name.ident.to_string()), name.ident.to_string()),
            syn::UseTree::Rename(rename) => (Some(rename.ident.to_string()), rename.rename.to_string()),
            syn::UseTree::Glob(_) => (None, "*".into()),
        };
        prefix.extend(name);
        let Some(path) = self.absolute(&prefix).or_else(|| self.absolute(&[vec!["self".into()], prefix].concat()))
        else {
            return;
        };
        if public {
            self.exports.insert([self.module.clone(), vec![rename]].concat(), path.clone());
        }
        self.found.insert(path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let test = module.attrs.iter().any(|attribute| match &attribute.meta {
            syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
            _ => false,
        });
        if !test {
            self.module.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, Vec::new(), !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Name = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.found.extend(self.absolute(&names));
        visit::visit_path(self, path);
    }
}

/// All modules that are files, by name, and what each names.
fn modules() -> BTreeMap<Name, Paths> {
    fn visit(folder: &Path, module: &Name, all: &mut BTreeMap<Name, Paths>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner = match name.as_str() {
                "mod" | "lib" => module.clone(),
                "main" | "tests" => continue,
                _ => [module.clone(), vec![name]].concat(),
            };
            if path.is_dir() {
                visit(&path, &inner, all);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            let mut paths = Paths { module: inner.clone(), ..Paths::default() };
            paths.visit_file(&file);
            all.insert(inner, paths);
        }
    }
    let mut all = BTreeMap::new();
    visit(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &Vec::new(), &mut all);
    all
}

/// The imports between files: from, to.
fn imports() -> BTreeSet<(Name, Name)> {
    let modules = modules();
    let exports: BTreeMap<_, _> = modules.values().flat_map(|paths| &paths.exports).collect();
    let resolve = |path: &Name| {
        let mut path = path.clone();
        while let Some((len, to)) = (1..=path.len()).find_map(|len| Some((len, *exports.get(&path[..len].to_vec())?))) {
            if path.starts_with(to) || to.starts_with(&path) {
                break;
            }
            path = [to.clone(), path[len..].to_vec()].concat();
        }
        (0..=path.len()).rev().map(|len| path[..len].to_vec()).find(|name| modules.contains_key(name)).unwrap()
    };
    let edges = modules.iter().flat_map(|(from, paths)| paths.found.iter().map(|path| (from.clone(), resolve(path))));
    edges.collect()
}

/// The graph of a folder's entries: who imports whom.
fn folder(imports: &BTreeSet<(Name, Name)>, folder: &Name) -> BTreeMap<String, BTreeSet<String>> {
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    let entry = |name: &Name| name.strip_prefix(folder.as_slice())?.first().cloned();
    for (from, to) in imports {
        if let (Some(from), Some(to)) = (entry(from), entry(to))
            && from != to
        {
            graph.entry(from).or_default().insert(to);
        }
    }
    graph
}

/// Whether `from` leads to `to`.
fn reaches(graph: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(graph.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    false
}

#[test]
fn imports_have_no_circles() {
    let imports = imports();
    let folders: BTreeSet<Name> =
        imports.iter().flat_map(|(from, _)| (0..from.len()).map(|len| from[..len].to_vec())).collect();
    let mut edges = Vec::new();
    for name in folders {
        let graph = folder(&imports, &name);
        for (from, to) in graph.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
            if reaches(&graph, to, from) {
                edges.push(format!("src/{}: {from} -> {to}", name.join("/")));
            }
        }
    }
    assert!(imports.len() > 100, "only {} imports were found", imports.len());
    assert!(edges.is_empty(), "imports on circles:\n{}", edges.join("\n"));
}

/// The Rust files of `src`: their paths in the repository, and their texts.
fn sources() -> Vec<(PathBuf, String)> {
    fn visit(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned(), text));
            }
        }
    }
    let mut found = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// The compiler denies unsafe code except where a file allows it: `num/arch` and what docs/ARCHITECTURE.md argues.
#[test]
fn unsafe_code_is_where_the_document_says() {
    let allowing = sources()
        .into_iter()
        .filter(|(_, text)| ["allow(unsafe_code)", "(unsafe)"].iter().any(|code| text.contains(code)));
    let found: BTreeSet<String> = allowing.map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["src/cli/stdio.rs", "src/num/arch/mod.rs", "src/transformer/cuda/driver.rs"]
    );
    assert!(include_str!("../src/lib.rs").contains("#![deny(unsafe_code)]"));
    assert!(include_str!("../src/main.rs").contains("#![deny(unsafe_code)]"));
}

/// What `src` embeds outside its tests is in the package that crates.io would get.
#[test]
fn embedded_files_are_in_the_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
    let mut found = BTreeSet::new();
    for (path, text) in sources().iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for embedding in ["include_str!(\"", "include_bytes!(\""] {
            for part in code.split(embedding).skip(1) {
                let file = root.join(path).parent().unwrap().join(part.split('"').next().unwrap());
                let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                found.insert(file.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }
    assert!(found.contains("corpora/manifest.tsv") && found.contains("docs/FORMAT.md"), "{found:?}");
    let include = include_str!("../Cargo.toml").lines().find_map(|line| line.strip_prefix("include = ")).unwrap();
    let patterns: Vec<&str> = include.split('"').skip(1).step_by(2).collect();
    for file in found {
        let is_packed = patterns.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => file.starts_with(start) && file.ends_with(end),
            None => file == *pattern || file.starts_with(&format!("{pattern}/")),
        });
        assert!(is_packed, "{file} is not in {include}");
    }
}
