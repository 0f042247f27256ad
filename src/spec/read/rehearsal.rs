//! `rehearsal:` what stands in for things that can't be had on a laptop.

use super::boolean;
use crate::spec::check::{Check, Field};
use crate::spec::fleet::{Mount, MountSource, Rehearsal};
use crate::spec::problem::quote;
use crate::spec::tree::Kind;
use crate::spec::value::Wrong;
use std::path::PathBuf;

pub(super) fn rehearsal(check: &mut Check<'_>, field: &Field<'_>) -> Option<Rehearsal> {
    let mut s = check.section(field)?;
    let mut out = Rehearsal { setup: s.get("setup").and_then(|f| check.file(&f, false)), ..Rehearsal::default() };
    if let Some(items) = s.get("mounts").and_then(|f| check.list(&f)) {
        for item in &items {
            let Some(mount) = mount(check, item) else { continue };
            if out.mounts.iter().any(|m| m.at == mount.at) {
                let message = format!("`{}` mounts at {} again", item.path, quote(&mount.at.to_string_lossy()));
                check.error(item.node.span, "duplicate-value", message);
            }
            out.mounts.push(mount);
        }
    }
    if let Some(section) = s.get("replace").and_then(|f| check.section(&f)) {
        for (key, field) in section.fields() {
            let good = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
            if key.text.is_empty() || !key.text.chars().all(good) || key.text.starts_with(['.', '-']) {
                let message = format!("a command to replace must be a bare name, not {}", quote(&key.text));
                check.error(key.span, "bad-value", message);
            } else if let Some(path) = check.file(&field, false) {
                out.replace.insert(key.text.clone(), path);
            }
        }
    }
    s.close(check, &[]);
    Some(out)
}

fn mount(check: &mut Check<'_>, field: &Field<'_>) -> Option<Mount> {
    let mut s = check.section(field)?;
    let at = s.need(check, "at", "/srv/results").and_then(|f| check.parsed(&f, absolute));
    let from = s.need(check, "from", "scratch").and_then(|f| match &f.node.kind {
        Kind::Scalar { text, .. } if text == "scratch" => Some(MountSource::Scratch),
        Kind::Scalar { text, .. } if text == "items" => Some(MountSource::Items),
        Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => {
            let path = check.path(&f, false)?;
            if !path.is_dir() {
                let message = format!("`{}` must be `items`, `scratch` or a folder that is there", f.path);
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
