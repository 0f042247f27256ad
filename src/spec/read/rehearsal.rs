//! `rehearsal:` what stands in for things that can't be had on a laptop.

use super::boolean;
use crate::spec::check::Check;
use crate::spec::fleet::{Mount, MountSource, Rehearsal, RehearsalItems};
use crate::spec::problem::quote;
use crate::spec::section::Field;
use crate::spec::tree::Kind;
use crate::spec::value::{Wrong, count};
use std::path::PathBuf;

/// Most mounts of a rehearsed host.
const MOST_MOUNTS: usize = 100;

/// Reads the section.
pub(super) fn rehearsal(check: &mut Check<'_>, field: &Field<'_>) -> Option<Rehearsal> {
    let mut s = check.section(field, "`rehearsal: {setup: playbooks/template.sh}`")?;
    let mut out = Rehearsal { setup: s.get("setup").and_then(|f| check.file(&f, false)), ..Rehearsal::default() };
    if let Some(items) = s.get("mounts").and_then(|f| check.list(&f)) {
        if items.len() > MOST_MOUNTS {
            let message = format!("`rehearsal.mounts` has {} entries; at most {MOST_MOUNTS} are made", items.len());
            check.error(field.key, "out-of-range", message);
        }
        for item in items.iter().take(MOST_MOUNTS) {
            let Some(mount) = mount(check, item) else { continue };
            if out.mounts.iter().any(|m| m.at == mount.at) {
                let message = format!("`{}` mounts at {} again", item.path, quote(&mount.at.to_string_lossy()));
                check.error(item.node.span, "duplicate-value", message);
            }
            out.mounts.push(mount);
        }
    }
    out.items = s.get("items").and_then(|f| items(check, &f));
    if let Some(files) = s.get("release").and_then(|f| check.list(&f)) {
        out.release = files.iter().filter_map(|file| check.file(file, false)).collect();
    }
    s.close(check, &[]);
    Some(out)
}

/// `items:` real files in place of the spec's own feed.
fn items(check: &mut Check<'_>, field: &Field<'_>) -> Option<RehearsalItems> {
    let mut s = check.section(field, "`items: {from: [src], count: 500}`")?;
    let base = match s.get("base") {
        Some(f) => folder(check, &f)?,
        None => check.dir.clone(),
    };
    let from = match s.get("from").and_then(|f| check.list(&f)) {
        Some(folders) => folders.iter().filter_map(|f| check.parsed(f, below)).collect(),
        None => vec![PathBuf::from(".")],
    };
    let count =
        s.get("count").and_then(|f| check.parsed(&f, count(1, 10_000_000, None))).and_then(|n| u32::try_from(n).ok());
    s.close(check, &[]);
    Some(RehearsalItems { base, from, count })
}

/// A folder that is there.
fn folder(check: &mut Check<'_>, field: &Field<'_>) -> Option<PathBuf> {
    let path = check.path(field, false)?;
    if !path.is_dir() {
        let message = format!("`{}` must be a folder that is there", field.path);
        let help = Some(format!("looked for {}", quote(&path.to_string_lossy())));
        check.error_with(field.node.span, "no-such-file", message, help);
    }
    Some(path)
}

/// A folder below another: relative and without `..`.
fn below(text: &str) -> Result<PathBuf, Wrong> {
    let ok = !text.is_empty() && !text.starts_with('/') && !text.split('/').any(|part| part == "..");
    ok.then(|| PathBuf::from(text)).ok_or_else(|| Wrong::bad("a folder below `base`, without `..`"))
}

fn mount(check: &mut Check<'_>, field: &Field<'_>) -> Option<Mount> {
    let mut s = check.section(field, "`- {at: /srv/results, from: scratch}`")?;
    let at = s.need("at", "/srv/results").and_then(|f| check.parsed(&f, absolute));
    let from = s.need("from", "scratch").and_then(|f| match &f.node.kind {
        Kind::Scalar { text, .. } if text == "scratch" => Some(MountSource::Scratch),
        Kind::Scalar { text, .. } if text == "items" => Some(MountSource::Items),
        Kind::Scalar { text, .. } if text == "release" => Some(MountSource::Release),
        Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => {
            let path = check.path(&f, false)?;
            if !path.is_dir() {
                let message = format!("`{}` must be `items`, `release`, `scratch` or a folder that is there", f.path);
                let help = Some(format!("looked for {}", quote(&path.to_string_lossy())));
                check.error_with(f.node.span, "no-such-file", message, help);
            }
            Some(MountSource::Folder(path))
        }
    });
    let writable = boolean(&mut s, check, "writable", false);
    s.close(check, &[]);
    Some(Mount { at: at?, from: from?, writable })
}

/// A path on the hosts, from the root and without `..`.
fn absolute(text: &str) -> Result<PathBuf, Wrong> {
    let ok = text.starts_with('/') && text.len() > 1 && !text.split('/').any(|part| part == ".." || part == ".");
    ok.then(|| PathBuf::from(text.trim_end_matches('/'))).ok_or_else(|| Wrong::bad("an absolute path without `..`"))
}
