//! The crate's own source, parsed: every file of `src`, with what it says in production code and what only in tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, File, ImplItem, Item, ItemMod, Stmt, UseTree};

/// One file that is part of the program, and not only of its tests.
pub(crate) struct Source {
    /// Its path, from the repository's root, with `/`.
    pub(crate) path: String,
    /// The modules that it is in, the room first; empty for `lib.rs` and `main.rs`.
    pub(crate) module: Vec<String>,
    /// What it says.
    pub(crate) file: File,
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository as text.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every regular file below a folder of the repository, by its path from the root, sorted.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path().strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The whole program, file by file, from its two roots along `mod` items. Files that only tests reach are left out.
///
/// # Panics
///
/// When a file does not parse, when a `mod` has no file, or when a file of `src` belongs to no module.
pub(crate) fn program() -> Vec<Source> {
    let mut walk = Walk::default();
    for path in ["src/lib.rs", "src/main.rs"] {
        walk.file(path, Vec::new(), false);
    }
    let forgotten: Vec<String> =
        files("src").into_iter().filter(|path| is_rust(path) && !walk.seen.contains(path)).collect();
    assert!(forgotten.is_empty(), "no `mod` item leads to {forgotten:?}");
    walk.sources
}

/// Whether a path is that of a Rust source file.
pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Whether `#[cfg(test)]` is among the attributes.
pub(crate) fn only_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// The file that `#[path = "..."]` names.
fn elsewhere(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

#[derive(Default)]
struct Walk {
    sources: Vec<Source>,
    seen: BTreeSet<String>,
}

impl Walk {
    fn file(&mut self, path: &str, module: Vec<String>, test: bool) {
        assert!(self.seen.insert(path.to_owned()), "{path} belongs to two modules");
        let file = syn::parse_file(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let path_of = PathBuf::from(path);
        let stem = path_of.file_stem().unwrap().to_str().unwrap();
        let folder = match stem {
            "lib" | "main" | "mod" => path_of.parent().unwrap().to_owned(),
            _ => path_of.with_extension(""),
        };
        for item in &file.items {
            if let Item::Mod(ItemMod { attrs, ident, content: None, .. }) = item {
                let name = ident.to_string();
                let flat = folder.join(&name).with_extension("rs");
                let deep = folder.join(&name).join("mod.rs");
                let named = elsewhere(attrs).map(|file| path_of.with_file_name(file));
                let next = named.into_iter().chain([flat, deep]).find(|next| root().join(next).is_file());
                let next = next.unwrap_or_else(|| panic!("{path}: mod {name} has no file"));
                let inner = module.iter().cloned().chain([name]).collect();
                self.file(next.to_str().unwrap(), inner, test || only_tests(attrs));
            }
        }
        if !test && !only_tests(&file.attrs) {
            self.sources.push(Source { path: path.to_owned(), module, file });
        }
    }
}

/// A path of Rust code where it stands, such as `crate::aws::Clients` or `println`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mention {
    /// The line, from 1.
    pub(crate) line: usize,
    /// Its segments; `super` and `self` are resolved.
    pub(crate) path: Vec<String>,
    /// Whether it is the name of a macro that is called.
    pub(crate) called: bool,
}

/// Every path in a file's production code: imports, expressions, types, attributes, and what stands inside macros.
pub(crate) fn mentions(source: &Source) -> BTreeSet<Mention> {
    let mut reader = Reader { module: source.module.clone(), found: BTreeSet::new() };
    reader.visit_file(&source.file);
    reader.found
}

fn line(word: &syn::Ident) -> usize {
    word.span().start().line
}

fn first_line(path: &syn::Path) -> usize {
    path.segments.first().map_or(0, |segment| line(&segment.ident))
}

struct Reader {
    module: Vec<String>,
    found: BTreeSet<Mention>,
}

impl Reader {
    fn note(&mut self, line: usize, path: Vec<String>, called: bool) {
        let climbs = path.iter().take_while(|word| *word == "super").count();
        let path = if climbs > 0 || path.first().is_some_and(|word| word == "self") {
            let rest = path.into_iter().skip(climbs.max(1));
            let base = self.module.iter().take(self.module.len().saturating_sub(climbs)).cloned();
            ["crate".to_owned()].into_iter().chain(base).chain(rest).collect()
        } else {
            path
        };
        self.found.insert(Mention { line, path, called });
    }

    fn tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => self.note(line(&name.ident), with(&name.ident), false),
            UseTree::Rename(name) => self.note(line(&name.ident), with(&name.ident), false),
            UseTree::Glob(star) => self.note(star.star_token.spans[0].start().line, before.to_vec(), false),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
        }
    }

    /// Paths in tokens that nobody parses: words joined by `::`.
    fn tokens(&mut self, line: usize, tokens: &str) {
        let spaced =
            tokens.replace("::", " :: ").replace(['(', ')', '[', ']', '{', '}', ',', ';', '<', '>', '&'], " ; ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut start = 0;
        while start < words.len() {
            let mut end = start + 1;
            while words.get(end) == Some(&"::") && end + 1 < words.len() {
                end += 2;
            }
            let path: Vec<String> = words[start..end].iter().step_by(2).map(|word| (*word).to_owned()).collect();
            let called = words.get(end) == Some(&"!");
            if (path.len() > 1 || called)
                && path.iter().all(|word| word.chars().all(|c| c.is_alphanumeric() || c == '_'))
            {
                self.note(line, path, called);
            }
            start = end;
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if only_tests(attributes) {
            return;
        }
        if let Item::Mod(ItemMod { ident, content: Some(_), .. }) = item {
            self.module.push(ident.to_string());
            visit::visit_item(self, item);
            self.module.pop();
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if only_tests(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !matches!(statement, Stmt::Local(local) if only_tests(&local.attrs)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if words.len() > 1 {
            self.note(first_line(path), words, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let line = first_line(&call.path);
        let words = call.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(line, words, true);
        self.tokens(line, &call.tokens.to_string());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(first_line(&list.path), &list.tokens.to_string());
        }
        visit::visit_attribute(self, attribute);
    }
}

/// Operations of the AWS SDK that a file starts: `(client, operation)`, for example `("ec2", "create_fleet")`.
pub(crate) fn aws_calls(source: &Source) -> BTreeSet<(String, String)> {
    #[derive(Default)]
    struct Calls(BTreeSet<(String, String)>);
    impl<'ast> Visit<'ast> for Calls {
        fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
            if let syn::Expr::MethodCall(inner) = &*call.receiver
                && ["autoscaling", "ec2", "sqs", "sts", "pricing", "iam", "kms", "servicequotas", "s3"]
                    .iter()
                    .any(|client| inner.method == client)
            {
                self.0.insert((inner.method.to_string(), call.method.to_string()));
            }
            visit::visit_expr_method_call(self, call);
        }
    }
    let mut calls = Calls::default();
    calls.visit_file(&source.file);
    calls.0
}
