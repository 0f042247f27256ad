//! Real hosts of the rehearsal cloud, looked at with the system's own ssh.

use fleetwright::sim::hosts::{
    HostAct, Hosts, Metadata, NewHost, Power, RealHosts, RealHostsOptions, TemplateSetup, Upcall,
};
use fleetwright::sim::seed::SeedMount;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Patience for what takes some milliseconds on an idle machine.
const LONG: Duration = Duration::from_secs(15);

/// A world that does what hosts ask, and remembers it.
struct World {
    hosts: Arc<RealHosts>,
    heard: Mutex<Vec<String>>,
}

impl Upcall for World {
    fn metadata(&self, id: &str) -> Option<Metadata> {
        let tags = Some([("fleetwright:expires".to_owned(), "soon".to_owned())].into());
        Some(Metadata { instance_id: id.to_owned(), zone: "us-east-1a".to_owned(), tags, ..Metadata::default() })
    }
    fn powered_off(&self, id: &str) {
        self.heard.lock().unwrap().push(format!("{id} off"));
    }
    fn rebooted(&self, id: &str) {
        self.heard.lock().unwrap().push(format!("{id} reboot"));
        self.hosts.power(id, Power::Reboot);
    }
}

/// A cloud with nothing but hosts.
struct Cloud {
    place: TempDir,
    hosts: Arc<RealHosts>,
    world: Arc<World>,
    net: u8,
}

/// Each cloud has addresses of its own; the port differs too, this only makes failures easier to read.
static NET: AtomicU8 = AtomicU8::new(1);

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fleetwright"))
}

fn keygen(path: &Path) -> String {
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f"]).arg(path).status();
    assert!(made.unwrap().success());
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

/// What differs between tests.
#[derive(Default)]
struct Wanted {
    mounts: Vec<SeedMount>,
    template_setup: Option<TemplateSetup>,
}

impl Cloud {
    fn new() -> Self {
        Self::with(Wanted::default())
    }

    fn with(wanted: Wanted) -> Self {
        let place = tempfile::tempdir().unwrap();
        let public = keygen(&place.path().join("id"));
        let hosts = RealHosts::start(RealHostsOptions {
            state_dir: place.path().join("state"),
            ssh_port: 0,
            images: vec!["ami-base".to_owned()],
            key_pairs: [("ops".to_owned(), public)].into(),
            mounts: wanted.mounts,
            env: [("AWS_REGION".to_owned(), "us-east-1".to_owned())].into(),
            helper: binary(),
            template_setup: wanted.template_setup,
        })
        .unwrap();
        let world = Arc::new(World { hosts: hosts.clone(), heard: Mutex::default() });
        let upcall: std::sync::Weak<dyn Upcall> = {
            let weak: std::sync::Weak<World> = Arc::downgrade(&world);
            weak
        };
        hosts.attach(upcall);
        Self { place, hosts, world, net: NET.fetch_add(1, Ordering::Relaxed) }
    }

    fn address(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 64, self.net, number)
    }

    /// A booted host `i-<number>`.
    fn host(&self, number: u8, image: &str, user_data: Option<&str>) -> Guest<'_> {
        let id = format!("i-{number}");
        self.hosts.create(NewHost {
            id: id.clone(),
            image: image.to_owned(),
            address: self.address(number),
            user_data: user_data.map(|text| text.as_bytes().to_vec()),
            key_name: Some("ops".to_owned()),
        });
        self.hosts.power(&id, Power::On);
        let guest = Guest { cloud: self, id, address: self.address(number) };
        guest.wait_for_ssh();
        guest
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.hosts.shutdown();
    }
}

struct Guest<'a> {
    cloud: &'a Cloud,
    id: String,
    address: Ipv4Addr,
}

impl Guest<'_> {
    fn socket(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.cloud.hosts.ssh_port()))
    }

    fn wait_for_ssh(&self) {
        let up = eventually(|| TcpStream::connect_timeout(&self.socket(), Duration::from_secs(1)).is_ok());
        assert!(up, "no ssh; console:\n{}", self.console());
    }

    fn console(&self) -> String {
        self.cloud.hosts.console(&self.id)
    }

    /// The host's public key, as its console tells it.
    fn key(&self) -> String {
        let console = self.console();
        let block = console.split("-----BEGIN SSH HOST KEY KEYS-----\n").nth(1).expect("a key block");
        let line = block.lines().next().unwrap();
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    fn ssh_as(&self, user: &str, identity: &Path, key: &str, command: &str) -> Command {
        let known = self.cloud.place.path().join(format!("known-{}", self.id));
        let port = self.cloud.hosts.ssh_port();
        let line = format!("[{}]:{port} {key}\n", self.address);
        // Clients that were started before may be reading it: not written again without need.
        if fs::read_to_string(&known).ok().as_ref() != Some(&line) {
            fs::write(&known, line).unwrap();
        }
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &port.to_string(), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "KexAlgorithms=curve25519-sha256"])
            .args(["-o", "ConnectTimeout=10", "-o", "GlobalKnownHostsFile=none", "-o", "IdentityAgent=none"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .arg("-i")
            .arg(identity)
            .arg(format!("{user}@{}", self.address))
            .arg(command)
            .stdin(Stdio::null());
        ssh
    }

    fn ssh(&self, command: &str) -> Command {
        self.ssh_as("ec2-user", &self.cloud.place.path().join("id"), &self.key(), command)
    }

    fn run(&self, command: &str) -> Output {
        self.ssh(command).output().unwrap()
    }

    /// Stdout of a command that must succeed.
    #[track_caller]
    fn good(&self, command: &str) -> String {
        let output = self.run(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "{command}: {} {}\n{}", output.status, text(&output.stderr), self.console());
        text(&output.stdout)
    }

    fn code(&self, command: &str) -> i32 {
        self.run(command).status.code().unwrap()
    }
}

fn eventually(mut happened: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if happened() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Processes of this machine in whose arguments or environment `mark` stands.
fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.parse::<u32>().is_ok_and(|pid| pid != std::process::id()) {
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let all = [read("cmdline"), read("environ")].concat();
            if String::from_utf8_lossy(&all).contains(mark) {
                found.push(name);
            }
        }
    }
    found
}

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
    let data: Vec<u8> = (0..8_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
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
fn a_reboot_starts_afresh_and_the_disk_stays() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let first = host.good(boot);
    host.good("echo kept > /opt/kept; echo gone > /tmp/gone; echo gone > /run/gone; sleep 1000 >/dev/null 2>&1 &");
    assert_eq!(host.good(boot), first);
    let key = host.key();
    // The session may be cut before the client hears the exit code.
    host.run("sudo reboot");
    assert!(eventually(|| {
        let out = host.run(boot);
        out.status.success() && out.stdout.trim_ascii() != first.as_bytes()
    }));
    assert_eq!(
        host.good("cat /opt/kept; ls /tmp; ls /run/gone 2>&1 | wc -l; pgrep sleep || echo none"),
        "kept\n1\nnone"
    );
    assert_eq!(*cloud.world.heard.lock().unwrap(), ["i-1 reboot"]);
    assert_eq!(host.key(), key);
    assert_eq!(host.console().matches("BEGIN SSH HOST KEY KEYS").count(), 1, "keys are printed at the first boot only");
}

#[test]
fn a_host_that_powers_itself_off_says_so() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    host.run("sudo shutdown -h now");
    assert!(eventually(|| *cloud.world.heard.lock().unwrap() == ["i-1 off"]));
    assert!(TcpStream::connect(host.socket()).is_err());
    cloud.hosts.power("i-1", Power::On);
    host.wait_for_ssh();
    host.good("true");
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
fn an_image_carries_files_but_not_the_host_key() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("setup.sh");
    fs::write(&script, "echo by the operator > /opt/setup\n").unwrap();
    let cloud = Cloud::with(Wanted {
        template_setup: Some(TemplateSetup { id: "i-1".to_owned(), script }),
        ..Wanted::default()
    });
    let template = cloud.host(1, "ami-base", None);
    assert_eq!(
        template.good("cat /opt/setup; mkdir /opt/a; echo data > /opt/a/b; chmod 751 /opt/a/b"),
        "by the operator"
    );
    cloud.hosts.power("i-1", Power::Off);
    cloud.hosts.snapshot("i-1", "ami-baked");
    let copy = cloud.host(2, "ami-baked", None);
    assert_eq!(copy.good("cat /opt/setup /opt/a/b; stat -c %a /opt/a/b"), "by the operator\ndata\n751");
    assert_ne!(copy.key(), template.key());
    // The host key on the console is the one that is presented: another is refused by the client.
    let wrong = copy.ssh_as("ec2-user", &cloud.place.path().join("id"), &template.key(), "true").output().unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("Host key verification failed"));
    let before = copy.key();
    copy.good("true");
    cloud.hosts.act("i-2", HostAct::Rekey);
    assert!(eventually(|| !copy.run("true").status.success()));
    assert_eq!(copy.key(), before);
}

#[test]
fn a_black_hole_neither_accepts_nor_refuses() {
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    host.good("true");
    cloud.hosts.act("i-1", HostAct::Blackhole);
    let connect = || TcpStream::connect_timeout(&host.socket(), Duration::from_millis(300)).map_err(|e| e.kind());
    assert!(eventually(|| matches!(connect(), Err(std::io::ErrorKind::TimedOut))));
    assert!(matches!(connect(), Err(std::io::ErrorKind::TimedOut)));
    cloud.hosts.act("i-1", HostAct::Restore);
    host.wait_for_ssh();
    host.good("true");
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

#[test]
fn nothing_is_left_after_the_end() {
    let cloud = Cloud::new();
    let mark = cloud.place.path().display().to_string();
    {
        let host = cloud.host(1, "ami-base", None);
        host.good(&format!("MARK={mark} setsid sleep 1000 >/dev/null 2>&1 &"));
        cloud.host(2, "ami-base", None);
    }
    assert!(processes_with(&mark).len() >= 3);
    let begun = Instant::now();
    cloud.hosts.shutdown();
    assert_eq!(processes_with(&mark), Vec::<String>::new(), "after {:?}", begun.elapsed());
    assert_eq!(fs::read_dir(cloud.place.path().join("state")).unwrap().count(), 0);
}

/// The serving process of the next test: this test binary again, told by an environment variable.
#[test]
fn server_to_be_killed() {
    let Ok(ready) = std::env::var("SIM_HOSTS_READY") else { return };
    let cloud = Cloud::new();
    let host = cloud.host(1, "ami-base", None);
    host.good(&format!("MARK={ready} setsid sleep 1000 >/dev/null 2>&1 &"));
    fs::write(&ready, "").unwrap();
    std::thread::sleep(LONG);
}

#[test]
fn hosts_die_with_their_server() {
    let place = tempfile::tempdir().unwrap();
    let ready = place.path().join("ready");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sim_hosts::server_to_be_killed"])
        .env("SIM_HOSTS_READY", &ready)
        .env("TMPDIR", place.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(eventually(|| ready.exists()));
    let mark = place.path().display().to_string();
    assert!(processes_with(&mark).len() >= 3);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(eventually(|| processes_with(&mark).is_empty()), "{:?}", processes_with(&mark));
}

#[test]
fn forty_hosts_boot_quickly() {
    let cloud = Cloud::new();
    let begun = Instant::now();
    let image = "ami-base";
    for number in 1..=40 {
        cloud.hosts.create(NewHost {
            id: format!("i-{number}"),
            image: image.to_owned(),
            address: cloud.address(number),
            user_data: None,
            key_name: None,
        });
        cloud.hosts.power(&format!("i-{number}"), Power::On);
    }
    for number in 1..=40 {
        let id = format!("i-{number}");
        Guest { cloud: &cloud, id, address: cloud.address(number) }.wait_for_ssh();
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    if std::env::var_os("SHOW").is_some() {
        println!("40 up in {:?}", begun.elapsed());
        Command::new("sh").arg("-c").arg("ps -eo pid,rss,pss,args | grep __host | head -4; free -m").status().unwrap();
        let t = Instant::now();
        let g = cloud.host(50, "ami-base", None);
        println!("one more {:?}", t.elapsed());
        let t = Instant::now();
        g.good("true");
        println!("ssh true {:?}", t.elapsed());
    }
}

/// The types of options are part of what callers rely on.
#[test]
fn a_taken_port_is_named() {
    let first = Cloud::new();
    let port = first.hosts.ssh_port();
    let second = RealHosts::start(RealHostsOptions {
        state_dir: first.place.path().join("second"),
        ssh_port: port,
        images: Vec::new(),
        key_pairs: BTreeMap::new(),
        mounts: Vec::new(),
        env: BTreeMap::new(),
        helper: binary(),
        template_setup: None,
    });
    assert_eq!(second.unwrap_err().to_string(), format!("reserve port {port} on 127.64.0.0"));
}
