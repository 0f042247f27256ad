//! Reads a fleet.yaml with its playbooks from disk.

use super::check::{Check, Env};
use super::fleet::Fleet;
use super::origin::{self, Value};
use super::playbook::{FACTS, Playbook};
use super::problem::{Problem, Problems};
use super::read::Role;
use super::set::{self, Set};
use super::tree::{Node, Span};
use super::{digest, read, yaml};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the spec is called when nobody says otherwise.
pub const FILE: &str = "fleet.yaml";

/// The playbooks that the spec names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playbooks {
    /// `template.verify`.
    pub verify: Option<Playbook>,
    /// `release.playbook`.
    pub deploy: Option<Playbook>,
    /// `worker.drain`.
    pub drain: Option<Playbook>,
    /// `template.build.playbook`.
    pub provision: Option<Playbook>,
}

/// A spec without errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The checked spec.
    pub fleet: Fleet,
    /// Its checked playbooks.
    pub playbooks: Playbooks,
    /// Every field's value and where it comes from.
    pub values: Vec<Value>,
    /// What the spec may not have meant.
    pub warnings: Problems,
}

/// Reads the spec at `path`, changed by `sets` (`fleet.size=60`), and its playbooks; `env` answers `${NAME}`.
///
/// # Errors
///
/// Every problem of all of these files at once, by place.
pub fn load(path: &Path, sets: &[Set], env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let (mut check, bytes) = open(path, env)?;
    let (fleet, values) = judge(&mut check, path, bytes, sets).unzip();
    let playbooks = playbooks(&mut check, fleet.as_ref());
    if check.problems.has_errors() {
        return Err(check.problems.sorted());
    }
    let file = path.to_string_lossy();
    let Some(mut fleet) = fleet else {
        return Err(Problems::one(Problem::of_file(&file, "unreadable", "the spec was not understood", None)));
    };
    fleet.digest = digest::of(&fleet, playbooks.drain.as_ref()).map_err(|error| {
        Problems::one(Problem::of_file(&file, "unreadable", format!("`fleet.user_data` can't be read: {error}"), None))
    })?;
    let values = values.unwrap_or_default();
    Ok(Loaded { fleet, playbooks, values, warnings: check.problems.sorted() })
}

/// Reads the spec's own bytes, without its playbooks, and tells where its values come from; what is wrong is noted.
pub(super) fn judge(check: &mut Check<'_>, path: &Path, bytes: Vec<u8>, sets: &[Set]) -> Option<(Fleet, Vec<Value>)> {
    let (source, _) = take_in(check, path, bytes)?;
    let Some(mut root) = yaml::parse(check, source, 0) else {
        if check.problems.is_empty() {
            let span = Span { source, start: 0, end: 0 };
            let help = Some(
                "start with `version: 1`, `name`, `account` and `region`; the example in the repository has every key",
            );
            check.error_with(span, "empty", "the file says nothing", help);
        }
        return None;
    };
    for set in sets {
        set::apply(check, &mut root, set);
    }
    let fleet = read::fleet(check, path.to_owned(), &root)?;
    Some((fleet, origin::values(check, &root)))
}

/// The nearest fleet.yaml, in `start` or the closest folder above it.
pub fn find(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|dir| dir.join(FILE)).find(|path| path.is_file())
}

fn open<'a>(path: &Path, env: Env<'a>) -> Result<(Check<'a>, Vec<u8>), Problems> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    match bounded(path) {
        Ok(bytes) => Ok((Check::new(dir, env), bytes)),
        Err(error) => {
            let name = path.to_string_lossy();
            let (code, help) = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    let help = if path.as_os_str() == "-" {
                        "a spec is not read from stdin, since paths in it start at its folder: -f FILE"
                    } else {
                        "name it with -f FILE, or set FLEETWRIGHT_FILE"
                    };
                    ("no-such-file", Some(help.to_owned()))
                }
                std::io::ErrorKind::IsADirectory => {
                    ("unreadable", Some(format!("name the file in it: -f {}", path.join(FILE).display())))
                }
                _ => ("unreadable", None),
            };
            let message = match code {
                "no-such-file" => "there is no such file".to_owned(),
                _ => format!("the file can't be read: {error}"),
            };
            Err(Problems::one(Problem::of_file(&name, code, message, help)))
        }
    }
}

/// A file's bytes, one more than the limit at most: also of a device or a pipe that never ends.
fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(yaml::MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes bytes a source; `None` when they are not UTF-8, which is noted.
fn take_in(check: &mut Check<'_>, path: &Path, bytes: Vec<u8>) -> Option<(usize, Vec<u8>)> {
    let name = path.to_string_lossy().into_owned();
    match String::from_utf8(bytes) {
        Ok(text) => {
            let bytes = text.clone().into_bytes();
            Some((check.add_source(name, text), bytes))
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = check.add_source(name, text);
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            let span = Span { source, start: at, end: at + 1 };
            let help = Some("save the file as UTF-8");
            check.error_with(span, "not-utf8", format!("the byte 0x{byte:02x} here is not UTF-8"), help);
            None
        }
    }
}

fn playbooks(check: &mut Check<'_>, fleet: Option<&Fleet>) -> Playbooks {
    let verify = fleet.and_then(|f| f.template.as_ref()).and_then(|t| t.verify.clone());
    let deploy = fleet.and_then(|f| f.release.as_ref()).map(|r| (&r.vars, r.playbook.clone()));
    let drain = fleet.and_then(|f| f.worker.as_ref()).and_then(|worker| worker.drain.clone());
    let provision = fleet.and_then(Fleet::build).map(|build| build.playbook.clone());
    let (sound, none) = (!check.problems.has_errors(), BTreeMap::new());
    let mut read = |role: Role, vars: &BTreeMap<String, String>, path: Option<PathBuf>| {
        let (fleet, path) = fleet.zip(path)?;
        let names = facts(role, fleet, sound).chain(vars.keys().cloned()).collect();
        playbook(check, role, names, &path)
    };
    let (vars, deploy) = deploy.unzip();
    Playbooks {
        provision: read(Role::Verify, &none, provision),
        drain: read(Role::Drain, &none, drain),
        verify: read(Role::Verify, &none, verify),
        deploy: read(Role::Deploy, vars.unwrap_or(&none), deploy),
    }
}

/// The facts that the playbook's templates will know.
///
/// A spec with errors may lack its queue or its region because of them, which is told already.
fn facts(role: Role, fleet: &Fleet, sound: bool) -> impl Iterator<Item = String> {
    let lacking = [
        ("release", role != Role::Deploy),
        ("queue_url", sound && fleet.queue.is_none()),
        ("region", sound && !fleet.in_aws()),
    ];
    // User data carries it, written before there is any host, and kept in the journal: the host itself puts its id in.
    let lacking = lacking.into_iter().chain(["slot", "address", "queue_url"].map(|name| (name, role == Role::Drain)));
    let lacking: Vec<_> = lacking.collect();
    let known = move |fact: &&&str| !lacking.iter().any(|(name, lacks)| *lacks && *name == **fact);
    FACTS.iter().filter(known).map(|fact| (*fact).to_owned())
}

/// Reads one playbook whose templates may say these names; paths in it start from its own folder.
fn playbook(check: &mut Check<'_>, role: Role, names: BTreeSet<String>, path: &Path) -> Option<Playbook> {
    let bytes = match bounded(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the file can't be read: {error}");
            check.problems.push(Problem::of_file(&path.to_string_lossy(), "unreadable", message, None));
            return None;
        }
    };
    check.names = names;
    let out = judge_playbook(check, role, path, bytes);
    check.names.clear();
    out
}

/// Reads a playbook's own bytes; what is wrong is noted.
pub(super) fn judge_playbook(check: &mut Check<'_>, role: Role, path: &Path, bytes: Vec<u8>) -> Option<Playbook> {
    let (source, bytes) = take_in(check, path, bytes)?;
    let before = check.problems.len();
    let root: Option<Node> = yaml::parse(check, source, 0);
    if root.is_none() && check.problems.len() == before {
        check.error(Span { source, start: 0, end: 0 }, "empty", "the playbook has no steps");
    }
    let outer = std::mem::replace(&mut check.dir, path.parent().map(Path::to_owned).unwrap_or_default());
    if check.dir.as_os_str().is_empty() {
        check.dir = PathBuf::from(".");
    }
    let out = root.and_then(|root| read::playbook(check, role, path.to_owned(), &bytes, &root));
    check.dir = outer;
    out
}
