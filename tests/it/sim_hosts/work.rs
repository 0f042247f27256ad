//! What runs on a host, and what it can't reach.

use super::*;

#[test]
fn commands_run_as_over_sshd() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    assert_eq!(
        host.good("echo out; echo err >&2; hostname; pwd; echo $AWS_REGION"),
        format!("out\nip-127-64-{}-1\n/home/ec2-user\nus-east-1", cloud.net)
    );
    assert_eq!(host.code("exit 37"), 37);
    // A command that dies of a signal has no exit code: the client says 255.
    assert_eq!(host.code("kill -9 $$"), 255);
    let erring = host.run("echo only >&2; exit 3");
    assert_eq!(String::from_utf8_lossy(&erring.stderr), "only\n");
    assert!(erring.stdout.is_empty());
    // Any name that could be a user may log in with the key; no other key may.
    let id = cloud.place.path().join("id");
    let ubuntu = host.ssh_as("ubuntu", &id, &host.key(), "echo $HOME").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ubuntu.stdout), "/home/ubuntu\n");
    let foreign = cloud.place.path().join("foreign");
    keygen(&foreign);
    let refused = host.ssh_as("ec2-user", &foreign, &host.key(), "true").output().unwrap();
    assert_eq!(refused.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Permission denied (publickey)"));
    assert_eq!(host.code("sudo -n -E true"), 0);
    assert_eq!(host.code("sudo -i"), 1);
    assert_eq!(host.code("systemctl mask x"), 1);
}

#[test]
fn stdin_arrives_whole_and_comes_back() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    let data: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut ssh = host.ssh("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = ssh.stdin.take().unwrap();
    let sent = data.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let back = ssh.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(back.status.success() && back.stdout == data);

    // A tar on stdin, with an owner that the host does not know.
    let source = cloud.place.path().join("release");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("worker"), "#!/bin/sh\necho works\n").unwrap();
    let tar =
        Command::new("tar").args(["-c", "--owner=1000", "--group=1000", "-C"]).arg(&source).arg(".").output().unwrap();
    let mut ssh = host
        .ssh("mkdir -p /opt/w && tar -x -C /opt/w && sh /opt/w/worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    ssh.stdin.take().unwrap().write_all(&tar.stdout).unwrap();
    assert_eq!(ssh.wait_with_output().unwrap().stdout, b"works\n");
    // One that reads nothing ends all the same.
    let mut ssh = host.ssh("true").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = ssh.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&data));
    assert!(ssh.wait().unwrap().success());
    drop(writer.join().unwrap());
}

#[test]
fn the_machine_is_out_of_reach() {
    let shared = tempfile::tempdir().unwrap();
    fs::write(shared.path().join("item"), "one").unwrap();
    let mount = |at: &str, writable| SeedMount { at: at.into(), from: shared.path().to_owned(), writable };
    let cloud =
        Cloud::with(Wanted { mounts: vec![mount("/srv/items", false), mount("/srv/out", true)], ..Wanted::default() });
    let host = cloud.host(1, "ami-base", None);
    let place = cloud.place.path().display().to_string();
    let closed = [
        "touch /usr/x".to_owned(),
        "touch /bin/x".to_owned(),
        "touch /etc/ssl/x".to_owned(),
        "touch /srv/items/x".to_owned(),
        "mount -o remount,rw /usr".to_owned(),
        "mount -o remount,bind,rw /usr".to_owned(),
        "umount /usr".to_owned(),
        "umount -l /srv/items".to_owned(),
        "echo x > /proc/sys/kernel/core_pattern".to_owned(),
        "echo b > /proc/sysrq-trigger".to_owned(),
        "mknod /opt/disk b 8 0".to_owned(),
        "unshare -Urm mount -o remount,bind,rw /usr".to_owned(),
        format!("ls {place}"),
        format!("ls {}", env!("CARGO_MANIFEST_DIR")),
        format!("kill -0 {}", std::process::id()),
        "test -n \"$(ls -A /root)\"".to_owned(),
        "test -e /sys/kernel".to_owned(),
        // The first process runs this machine's own file, which must not be reachable through it.
        "readlink /proc/1/exe".to_owned(),
        "readlink /proc/1/fd/0 || readlink /proc/1/root || readlink /proc/1/cwd".to_owned(),
        // Nor the terminal that the rehearsal was started from.
        "test -e /dev/tty || test -e /dev/console".to_owned(),
        "ps -o tty= -p $$ 2>/dev/null | grep -v '?'".to_owned(),
    ];
    for command in closed {
        assert_ne!(host.code(&command), 0, "{command}");
    }
    assert_eq!(
        host.good("cat /srv/items/item; echo; echo new > /srv/out/made; ls /"),
        "one\nbin\ndev\netc\nhome\nlib\nlib64\nmnt\nopt\nproc\nroot\nrun\nsbin\nsrv\nsys\ntmp\nusr\nvar"
    );
    assert_eq!(fs::read_to_string(shared.path().join("made")).unwrap(), "new\n");
    // Only the host's own processes are there, the first among them.
    assert_eq!(host.good("cat /proc/1/cmdline | tr '\\0' ' ' | grep -c __host"), "1");
    // Links that a host leaves behind don't lead its next boot out of its directory: what cloud-init writes there
    // lands in the host's own folder of that name.
    let outside = tempfile::tempdir_in("/var/tmp").unwrap();
    let name = outside.path().display();
    host.good(&format!("mkdir -p {name} && rm -rf /etc/ssh && ln -s {name} /etc/ssh"));
    cloud.hosts.snapshot("i-1", "ami-linked");
    let linked = cloud.host(2, "ami-linked", None);
    assert_eq!(linked.good(&format!("ls {name}")), "ssh_host_ed25519_key\nssh_host_ed25519_key.pub");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn units_run_and_come_back() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    let unit = "[Service]\\nEnvironment=WHO=me\\nExecStart=/bin/sh -c 'echo I am ${WHO}; exec sleep 1000'\\nRestart=always\\nRestartSec=50ms\\n[Install]\\nWantedBy=multi-user.target\\n";
    host.good(&format!("printf \"{}\" | sudo tee /etc/systemd/system/w.service", unit.replace('$', "\\$")));
    host.good("sudo systemctl daemon-reload && sudo systemctl enable --now w && systemctl is-active w && systemctl is-enabled w");
    let pid = "systemctl status w | sed -n 's/.*Main PID: //p'";
    let first = host.good(pid);
    assert!(eventually(|| host.good("journalctl -u w") == "I am me"));
    // SIGKILL to all of it: the unit comes back by its own Restart=, the rest does not.
    host.good("sleep 1001 >/dev/null 2>&1 &");
    cloud.hosts.act("i-1", HostAct::Kill);
    assert!(eventually(|| {
        let now = host.good(pid);
        !now.is_empty() && now != first
    }));
    assert_eq!(host.good("pgrep -f '[s]leep 1001' | wc -l"), "0");
    cloud.hosts.power("i-1", Power::Reboot);
    assert!(eventually(|| host.run("systemctl is-active -q w").status.success()));
    host.good("sudo systemctl stop w");
    assert_eq!(host.code("systemctl is-active w"), 3);
    assert_eq!(host.good("pgrep -f '[s]leep 1000' | wc -l"), "0");
    assert_eq!(host.code("systemctl start nosuch"), 1);
    // A oneshot by a timer.
    host.good("cd /etc/systemd/system; printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"echo x >> /opt/ticks\"\\n' > t.service; printf '[Timer]\\nOnActiveSec=10ms\\nOnUnitActiveSec=20ms\\n' > t.timer; systemctl start t.timer");
    assert!(eventually(|| host.good("cat /opt/ticks 2>/dev/null | wc -l").parse::<u32>().unwrap() >= 3));
}

#[test]
fn user_data_runs_once_on_the_console() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", Some("#!/bin/sh\necho hello from user data\necho x >> /opt/boots\n"));
    assert_eq!(host.good("cloud-init status --wait"), "status: done");
    assert!(eventually(|| host.console().contains("hello from user data")));
    cloud.hosts.power("i-1", Power::Reboot);
    assert!(eventually(|| host.console().matches("Cloud-init v.").count() == 2));
    host.wait_for_ssh();
    assert_eq!(host.good("cat /opt/boots"), "x");
    let other = cloud.host(2, "ami-base", Some("#cloud-config\npackages: [htop]\n"));
    assert_eq!(other.code("cloud-init status --wait"), 1);
    assert!(other.console().contains("`#cloud-config` is not there on a rehearsal host"), "{}", other.console());
}

#[test]
fn the_metadata_service_wants_a_token() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    let curl = |rest: &str| host.good(&format!("M=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest; curl -s {rest}"));
    assert_eq!(curl("-o /dev/null -w '%{http_code}' $M/meta-data/instance-id"), "401");
    let token = curl("-X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $M/api/token");
    let get = |path: &str| curl(&format!("-w ' %{{http_code}}' -H 'X-aws-ec2-metadata-token: {token}' $M/{path}"));
    assert_eq!(get("meta-data/instance-id"), "i-1 200");
    assert_eq!(get("meta-data/tags/instance/fleetwright:expires"), "soon 200");
    assert!(get("meta-data/spot/instance-action").ends_with(" 404"));
    assert!(get("dynamic/instance-identity/document").contains("\"availabilityZone\": \"us-east-1a\""));
}

#[test]
fn many_connections_at_once() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    let sessions: Vec<_> =
        (0..64).map(|n| host.ssh(&format!("echo {n}")).stdout(Stdio::piped()).spawn().unwrap()).collect();
    for (n, session) in sessions.into_iter().enumerate() {
        assert_eq!(String::from_utf8_lossy(&session.wait_with_output().unwrap().stdout), format!("{n}\n"));
    }
}
