//! The directories that hosts boot from: a minimal base, copies of images, and safe reading from outside.

use super::orders::{DEFAULT_USER, home_of};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;

/// Directories of the base, with their modes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("etc", 0o755),
    ("etc/ssh", 0o755),
    ("etc/systemd", 0o755),
    ("etc/systemd/system", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("root", 0o700),
    ("srv", 0o755),
    ("sys", 0o755),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// Files of the base. Every login is uid 0 there, so each name that images use for their default user is another of root's.
const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         ec2-user:x:0:0:EC2 default user:/home/ec2-user:/bin/sh\n\
         ubuntu:x:0:0:Ubuntu:/home/ubuntu:/bin/sh\n\
         admin:x:0:0:Debian:/home/admin:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "etc/group",
        "root:x:0:\nwheel:x:0:ec2-user\nsudo:x:0:ubuntu,admin\nec2-user:x:0:\nubuntu:x:0:\nadmin:x:0:\nnogroup:x:65534:\n",
    ),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("etc/resolv.conf", "# A rehearsal host needs no name server.\n"),
    (
        "etc/os-release",
        "NAME=\"Rehearsal Linux\"\nID=rehearsal\nID_LIKE=\"amzn fedora debian\"\nVERSION_ID=\"1\"\nPRETTY_NAME=\"Rehearsal Linux 1\"\n",
    ),
    ("etc/machine-id", ""),
    ("etc/profile", "# Kept short: logins run commands only.\n"),
];

/// Makes the minimal base in an empty place.
///
/// # Errors
///
/// When it can't be written.
pub(super) fn base(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(root)?;
    for (name, mode) in DIRECTORIES {
        let path = root.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
    }
    for (name, text) in FILES {
        let path = root.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    let home = home_of(DEFAULT_USER);
    fs::create_dir(root.join(home.strip_prefix("/").unwrap_or(&home)))
}

/// Copies a tree with modes and symbolic links. Sockets, pipes and devices are left out: an image has none worth keeping.
///
/// # Errors
///
/// At the first entry that can't be read or written.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    // Last: a directory without the right to write must be filled first.
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Removes a tree, directories that their owner may not write included.
///
/// # Errors
///
/// When something is left; a tree that is not there is none.
pub(super) fn remove(tree: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if gone(fs::remove_dir_all(tree)).is_ok() {
        return Ok(());
    }
    unlock(tree)?;
    gone(fs::remove_dir_all(tree))
}

/// Gives the owner all rights on every directory.
fn unlock(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

/// Reads a file of a host from outside: links lead nowhere but into the host's own tree, and a pipe can't hold this up.
///
/// # Errors
///
/// When it is not there, is no regular file, or is longer than `limit` bytes.
pub(super) fn read(root: &Path, path: &Path, limit: u64) -> io::Result<String> {
    let directory = File::open(root)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&directory, path, how)?);
    let found = file.metadata()?;
    if !found.is_file() || found.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file of a sensible size"));
    }
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_modes_and_links() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("a"), place.path().join("b"));
        base(&from).unwrap();
        fs::write(from.join("opt/run"), "x").unwrap();
        fs::set_permissions(from.join("opt/run"), fs::Permissions::from_mode(0o751)).unwrap();
        symlink("/nowhere", from.join("opt/link")).unwrap();
        fs::create_dir(from.join("opt/closed")).unwrap();
        fs::write(from.join("opt/closed/in"), "y").unwrap();
        fs::set_permissions(from.join("opt/closed"), fs::Permissions::from_mode(0o555)).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::metadata(to.join("opt/run")).unwrap().permissions().mode() & 0o7777, 0o751);
        assert_eq!(fs::metadata(to.join("var/tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
        assert_eq!(fs::read_link(to.join("opt/link")).unwrap(), Path::new("/nowhere"));
        assert_eq!(fs::read(to.join("opt/closed/in")).unwrap(), b"y");
        remove(&to).unwrap();
        assert!(!to.exists());
    }

    #[test]
    fn links_do_not_lead_out() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(place.path().join("secret"), "outside").unwrap();
        fs::write(root.join("secret"), "inside").unwrap();
        symlink("../../../secret", root.join("up")).unwrap();
        symlink(place.path().join("secret"), root.join("absolute")).unwrap();
        assert_eq!(read(&root, Path::new("up"), 100).unwrap(), "inside");
        assert!(read(&root, Path::new("absolute"), 100).is_err());
        assert!(read(&root, Path::new("secret"), 3).is_err());
    }
}
