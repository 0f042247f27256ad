//! Makes and enters the namespaces of a host: user, mount, pid, uts and ipc, with nix's safe calls only.
//!
//! Two user namespaces lie inside each other. The outer one has the rights to make the mounts; the inner one, in which
//! everything on the host runs, inherits them locked, so that nothing there can make a read-only mount writable again.
//! That matters when the serving process runs as root: inside, uid 0 is then the machine's real root.

use super::orders::{BootOrder, CONTROL_BINARY, Entry};
use super::shims;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A step that failed, with what it was for.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub(super) struct NamespaceError {
    doing: String,
    source: io::Error,
}

/// Shorthand of this file.
type Done<T = ()> = Result<T, NamespaceError>;

/// Names a step.
trait Doing<T> {
    /// Adds what was being done to an error.
    fn doing(self, what: impl Into<String>) -> Done<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl Into<String>) -> Done<T> {
        self.map_err(|e| NamespaceError { doing: what.into(), source: e.into() })
    }
}

/// System directories that a host shares with this machine, read-only.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What programs in those directories need from `/etc`, read-only.
const SYSTEM_ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki",
    "python3",
    "ssl",
];

/// Devices that are harmless; no terminal, through which keys could be typed into the machine.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Parts of `/proc` that the machine's root may write; in a host they are read-only.
const PROC_READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger", "acpi", "scsi"];

/// Leaves the machine's namespaces; children of this process are inside. Needs a process with one thread.
///
/// # Errors
///
/// When the kernel or its administrator forbids user namespaces.
pub(super) fn leave() -> Done {
    let flags = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    become_root_of_new(flags)
        .map_err(|e| match e.raw_os_error() {
            // The kernel's word for a limit of 0 is "no space left on device".
            Some(nix::libc::ENOSPC) => io::Error::other("user.max_user_namespaces allows no more"),
            _ => e,
        })
        .doing("make user, mount and pid namespaces")
}

/// Enters the inner user namespace, from which the mounts can't be changed.
fn lock() -> Done {
    become_root_of_new(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).doing("lock the mounts")
}

/// New namespaces in which the present user is uid 0. One line of map is all that the kernel allows everybody.
fn become_root_of_new(flags: CloneFlags) -> io::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(flags)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Enters a running host; only children of this process are in its pid namespace.
///
/// # Errors
///
/// When the host is gone.
pub(super) fn enter(entry: &Entry) -> Done {
    let open = |pid: i32, name: &str| {
        let path = format!("/proc/{pid}/ns/{name}");
        fs::File::open(&path).doing(format!("open {path}"))
    };
    let outer = open(entry.outer, "user")?;
    let inner = open(entry.init, "user")?;
    let (pid, uts, ipc) = (open(entry.init, "pid")?, open(entry.init, "uts")?, open(entry.init, "ipc")?);
    let mounts = open(entry.init, "mnt")?;
    hide()?;
    // The outer user namespace owns pid, uts and ipc: they are entered with its rights, the mounts with the inner's.
    for (name, fd, kind) in [
        ("outer user", outer, CloneFlags::CLONE_NEWUSER),
        ("pid", pid, CloneFlags::CLONE_NEWPID),
        ("uts", uts, CloneFlags::CLONE_NEWUTS),
        ("ipc", ipc, CloneFlags::CLONE_NEWIPC),
        ("inner user", inner, CloneFlags::CLONE_NEWUSER),
        ("mount", mounts, CloneFlags::CLONE_NEWNS),
    ] {
        setns(fd, kind).doing(format!("enter the {name} namespace"))?;
    }
    Ok(())
}

/// Hides this process's memory, files and program from the host: they are the machine's, not the host's. Children are
/// covered until they run a program of their own.
///
/// # Errors
///
/// Hardly.
pub(super) fn hide() -> Done {
    nix::sys::prctl::set_dumpable(false).doing("hide from the host")
}

/// Makes the host's file system around the calling process, its first one, and locks it.
///
/// The root is changed first and the machine's own kept aside meanwhile: what a link in the host's tree says is then
/// looked up inside that tree, and can't make this process touch a place outside it.
///
/// # Errors
///
/// Names the mount that was refused.
pub(super) fn build(order: &BootOrder) -> Done {
    let find = |path: &Path| fs::canonicalize(path).doing(format!("find {}", path.display()));
    let (boot_id, binary) = (find(&order.boot_id)?, find(&order.binary)?);
    let sources = order.mounts.iter().map(|seed| find(&seed.from)).collect::<Done<Vec<_>>>()?;
    let machine = Machine::keep(&order.root)?;

    // First: the table of mounts is read there.
    proc(&machine.path(&boot_id))?;
    for name in SYSTEM {
        share(&machine.path(Path::new(name)), &Path::new("/").join(name))?;
    }
    for name in SYSTEM_ETC {
        share(&machine.path(&Path::new("/etc").join(name)), &Path::new("/etc").join(name))?;
    }
    devices(&machine)?;
    tmpfs(Path::new("/tmp"), "mode=1777")?;
    tmpfs(Path::new("/run"), "mode=755")?;
    for (seed, source) in order.mounts.iter().zip(&sources) {
        let from = machine.path(source);
        point(&from, &seed.at)?;
        bind(&from, &seed.at)?;
        if !seed.writable {
            read_only(&seed.at)?;
        }
    }
    let control = Path::new(CONTROL_BINARY);
    point(&machine.path(&binary), control)?;
    bind(&machine.path(&binary), control)?;
    read_only(control)?;
    shims::install(Path::new("/run/shims")).doing("write the shims")?;
    machine.leave()?;
    nix::unistd::sethostname(&order.hostname).doing("set the host name")?;
    lock()?;
    hide()
}

/// The machine's tree while a host's is being made, under a name that nobody on the host could foresee.
struct Machine(PathBuf);

impl Machine {
    /// Makes `root` this process's `/` and keeps the machine's below it.
    fn keep(root: &Path) -> Done<Self> {
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .doing("make mounts private")?;
        bind(root, root)?;
        let name = format!(".machine-{}", uuid::Uuid::new_v4());
        fs::create_dir(root.join(&name)).doing("make a place for the machine's root")?;
        std::env::set_current_dir(root).doing("enter the root directory")?;
        nix::unistd::pivot_root(".", name.as_str()).doing("change the root")?;
        std::env::set_current_dir("/").doing("enter the new root")?;
        Ok(Self(Path::new("/").join(name)))
    }

    /// One of the machine's own paths.
    fn path(&self, absolute: &Path) -> PathBuf {
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// Takes it away.
    fn leave(self) -> Done {
        umount2(&self.0, MntFlags::MNT_DETACH).doing("let go of the machine's root")?;
        fs::remove_dir(&self.0).doing("remove the place of the machine's root")
    }
}

/// Mirrors one of the machine's paths read-only, or as the same link; nothing if the machine lacks it.
fn share(from: &Path, at: &Path) -> Done {
    let Ok(kind) = fs::symlink_metadata(from) else { return Ok(()) };
    if kind.is_symlink() {
        let target = fs::read_link(from).doing(format!("read {}", from.display()))?;
        if fs::symlink_metadata(at).is_err() {
            symlink(&target, at).doing(format!("link {}", at.display()))?;
        }
        return Ok(());
    }
    point(from, at)?;
    bind(from, at)?;
    read_only(at)
}

/// Makes the file or directory over which `from` is mounted. A link in its place is replaced, never followed: the
/// host's own tree may hold one that leads out of it.
fn point(from: &Path, at: &Path) -> Done {
    let doing = || format!("make {}", at.display());
    let directory = fs::metadata(from).doing(format!("look at {}", from.display()))?.is_dir();
    if let Some(parent) = at.parent() {
        fs::create_dir_all(parent).doing(doing())?;
    }
    match fs::symlink_metadata(at) {
        Ok(found) if found.is_dir() == directory && !found.is_symlink() => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(at).doing(doing())?,
        Ok(_) => fs::remove_file(at).doing(doing())?,
        Err(_) => {}
    }
    if directory { fs::create_dir(at).doing(doing()) } else { fs::write(at, "").doing(doing()) }
}

/// Bind mount with everything mounted below.
fn bind(from: &Path, at: &Path) -> Done {
    mount(Some(from), at, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>).doing(format!(
        "mount {} at {}",
        from.display(),
        at.display()
    ))
}

/// A fresh tmpfs.
fn tmpfs(at: &Path, options: &str) -> Done {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    point(Path::new("/"), at)?;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options)).doing(format!("mount tmpfs at {}", at.display()))
}

/// Makes a mount and all mounts below it read-only. Flags that the machine set must be said again, or the kernel refuses.
fn read_only(at: &Path) -> Done {
    let at = fs::canonicalize(at).doing(format!("find {}", at.display()))?;
    let table = fs::read_to_string("/proc/self/mountinfo").doing("read mountinfo")?;
    for (path, flags) in table.lines().filter_map(mount_line).filter(|(path, _)| path.starts_with(&at)) {
        let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID;
        mount(None::<&str>, &path, None::<&str>, flags, None::<&str>)
            .doing(format!("make {} read-only", path.display()))?;
    }
    Ok(())
}

/// Mount point and flags of a mountinfo line (its fields 5 and 6).
fn mount_line(line: &str) -> Option<(PathBuf, MsFlags)> {
    let mut fields = line.split(' ').skip(4);
    let path = unescape(fields.next()?);
    let flags = fields.next()?.split(',').fold(MsFlags::empty(), |flags, option| {
        flags
            | match option {
                "nosuid" => MsFlags::MS_NOSUID,
                "nodev" => MsFlags::MS_NODEV,
                "noexec" => MsFlags::MS_NOEXEC,
                "noatime" => MsFlags::MS_NOATIME,
                "nodiratime" => MsFlags::MS_NODIRATIME,
                "relatime" => MsFlags::MS_RELATIME,
                _ => MsFlags::empty(),
            }
    });
    Some((PathBuf::from(path), flags))
}

/// mountinfo writes blanks and backslashes in octal.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012"]
        .iter()
        .zip([" ", "\t", "\n"])
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
        .replace("\\134", "\\")
}

/// The host's own `/proc`, with its own boot id and without the machine's switches.
fn proc(boot_id: &Path) -> Done {
    let at = Path::new("/proc");
    point(Path::new("/"), at)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), at, Some("proc"), flags, None::<&str>).doing("mount proc")?;
    for name in PROC_READ_ONLY.iter().map(|name| at.join(name)).filter(|path| path.exists()) {
        bind(&name, &name)?;
        read_only(&name)?;
    }
    let target = at.join("sys/kernel/random/boot_id");
    bind(boot_id, &target)?;
    read_only(&target)
}

/// `/dev` with harmless devices.
fn devices(machine: &Machine) -> Done {
    let at = Path::new("/dev");
    tmpfs(at, "mode=755")?;
    for name in DEVICES {
        let from = machine.path(&at.join(name));
        if from.exists() {
            let to = at.join(name);
            fs::write(&to, "").doing(format!("make {}", to.display()))?;
            bind(&from, &to)?;
        }
    }
    tmpfs(&at.join("shm"), "mode=1777")?;
    for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        let link = at.join(name);
        symlink(Path::new("/proc/self").join(target), &link).doing(format!("link {}", link.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_machine_are_kept() {
        let line = "36 35 98:0 /mnt1 /mnt/a\\040b rw,nosuid,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let (path, flags) = mount_line(line).unwrap();
        assert_eq!(path, Path::new("/mnt/a b"));
        assert_eq!(flags, MsFlags::MS_NOSUID | MsFlags::MS_NOATIME);
    }
}
