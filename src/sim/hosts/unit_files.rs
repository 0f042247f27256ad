//! The unit files of a host on its disk: found, enabled, disabled.

use super::units::{Service, Timer};
use std::fs;
use std::path::{Path, PathBuf};

/// Where units are read from; the machine's own units in `/usr/lib` are not this host's.
pub(super) const UNITS: &str = "/etc/systemd/system";

/// Links to what starts at boot.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// Names of what starts at boot, in order.
pub(super) fn enabled_units() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(WANTS)
        .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// Whether a unit starts at boot.
pub(super) fn is_enabled(name: &str) -> bool {
    Path::new(WANTS).join(name).symlink_metadata().is_ok()
}

/// `NAME=value` of an environment file, quotes taken off.
pub(super) fn variable(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
    let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some((name.trim().to_owned(), bare.unwrap_or(value).to_owned()))
}

/// Where a unit's file is.
fn path_of(name: &str) -> Result<PathBuf, String> {
    if name.contains('/') || name.contains('@') {
        return Err("paths and template units are not there on a rehearsal host".to_owned());
    }
    Ok(Path::new(UNITS).join(name))
}

/// A unit's text.
pub(super) fn read(name: &str) -> Result<String, String> {
    fs::read_to_string(path_of(name)?).map_err(|e| format!("{UNITS}/{name}: {e}"))
}

/// systemd tells kinds of units by their suffix, in lower case.
pub(super) fn is_timer(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|suffix| suffix == "timer")
}

/// Whether there is such a unit.
pub(super) fn known(name: &str) -> Result<(), String> {
    read(name).map(drop)
}

/// Starts it at boot from now on.
pub(super) fn enable(name: &str) -> Result<(), String> {
    let text = read(name)?;
    let wanted = if is_timer(name) { Timer::parse(name, &text)?.wanted } else { Service::parse(&text)?.wanted };
    if !wanted {
        return Err("it has no WantedBy=, so it can't be enabled".to_owned());
    }
    fs::create_dir_all(WANTS).map_err(|e| e.to_string())?;
    match std::os::unix::fs::symlink(path_of(name)?, Path::new(WANTS).join(name)) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e.to_string()),
        _ => Ok(()),
    }
}

/// Not any more.
pub(super) fn disable(name: &str) -> Result<(), String> {
    match fs::remove_file(Path::new(WANTS).join(path_of(name)?.file_name().unwrap_or_default())) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.to_string()),
        _ => Ok(()),
    }
}
