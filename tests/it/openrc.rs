//! OpenRC and BusyBox run the host unit for once: user data installs it, it restarts an old worker, drains it, ends the host.

use crate::env::repo;
use fleetwright::plan::userdata::{Unit, compose};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Makes the host: the machine's own /usr without systemd, and what OpenRC expects of a booted system.
const HOST: &str = r#"set -e
cd "$1"
mount --rbind /usr usr && mount --rbind /dev dev && mount -t proc proc proc && mount -t tmpfs run run
[ ! -e usr/bin/systemctl ] || mount --bind /dev/null usr/bin/systemctl
mkdir run/openrc && cd run/openrc && echo default >softlevel
mkdir daemons exclusive failed hotplugged inactive options scheduled started starting stopping tmp wasinactive
exec chroot "$1" /bin/busybox env -i PATH=/sbin:/bin:/usr/sbin:/usr/bin HOME=/root /bin/sh -e /boot.sh"#;

/// What happens on it.
const BOOT: &str = r#"until_there() { for file; do while [ ! -e "$file" ]; do busybox sleep 0.02; done; done; }
rc-service crawl start
until_there /run/worker.1
sh /user-data
rc-service fleetwright-host status
until_there /run/worker.2
rc-service crawl status
printf Terminated >/meta/autoscaling,target-lifecycle-state
until_there /run/powered-off
! rc-service crawl status
rc-service fleetwright-host stop
"#;

/// Counts its starts, and its ends by SIGTERM.
const WORKER: &str = r"n=1
while [ -e /run/worker.$n ]; do n=$((n + 1)); done
trap ': >/run/ended.$n; exit' TERM
: >/run/worker.$n
while :; do busybox sleep 0.02; done
";

/// Stands for curl: without the token nothing is answered, and what is not there is an error.
const CURL: &str = "case $* in\n*/latest/api/token) echo token; exit ;;\n*'metadata-token: token '*) ;;\n*) exit 22 ;;\nesac\n\
    cat \"/meta/$(printf %s \"${*##*/latest/meta-data/}\" | tr / ,)\" 2>/dev/null || exit 22\n";

#[test]
fn openrc_runs_the_host_unit() {
    let packages = repo("target/openrc");
    assert!(packages.join("sbin/openrc-run").exists(), "{} is missing: tests/run puts it there", packages.display());
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    assert!(Command::new("cp").arg("-a").args([&packages, &root]).status().unwrap().success());
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    for folder in ["usr", "dev", "proc", "run", "var", "root", "meta", "etc/conf.d"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::os::unix::fs::symlink("/run", root.join("var/run")).unwrap();
    write("boot.sh", BOOT);
    write("crawl.sh", WORKER);
    write(
        "etc/init.d/crawl",
        "#!/sbin/openrc-run\nsupervisor=supervise-daemon\ncommand=/bin/sh\ncommand_args=/crawl.sh\n",
    );
    write("sbin/curl", &format!("#!/bin/sh\n{CURL}"));
    write("sbin/logger", "#!/bin/sh\nshift 2\necho \"$*\" >>/log\n");
    write("sbin/poweroff", "#!/bin/sh\n: >/run/powered-off\n");
    // The unit looks every fiftieth of a second.
    write("sbin/sleep", "#!/bin/sh\nexec busybox sleep 0.02\n");
    write("meta/instance-id", "i-0123456789abcdef0");
    write("meta/tags,instance", "Name");
    let unit = Unit { service: "crawl", restart_every: Some(Duration::from_mins(10)), user: "root", ..Unit::default() };
    let user_data = String::from_utf8(compose(None, &unit)).unwrap();
    // It takes the worker for an old one.
    write("user-data", &user_data.replacen("age=$(up)", "age=99$(up)", 1));
    let host =
        Command::new("unshare").args(["-Urmpf", "--kill-child", "sh", "-c", HOST, "sh"]).arg(&root).output().unwrap();
    let said = fs::read_to_string(root.join("log")).unwrap_or_default();
    assert!(host.status.success(), "{host:?}\n{said}");
    // However often it looks before the end, the worker is an old one.
    let (old, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.ends_with("restarting it"));
    let ([old, ..], [ends, finished, off, ..]) = (&old[..], &rest[..]) else { panic!("{said}") };
    assert!(old.starts_with("crawl has been up for 99") && old.ends_with(" s, restarting it"), "{said}");
    assert_eq!(*ends, "Auto Scaling ends this host, the worker finishes what it has");
    assert_eq!((*finished, *off), ("the worker has finished", "drained for Auto Scaling, powering off"));
    assert!(Path::new(&root).join("etc/runlevels/default/fleetwright-host").is_symlink());
}
