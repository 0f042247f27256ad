//! SSH against the real OpenSSH server: logins, host keys, commands, many hosts at once.

use crate::sshd::{BlackHole, Sshd, block, free_port, keygen, must, public_key};
use fleetwright::engine::fanout::{Lane, Lanes, fan_out};
use fleetwright::engine::group::group;
use fleetwright::event::Events;
use fleetwright::model::{Address, Host, HostReport, HostResult, InstanceId, shell_word};
use fleetwright::plan::waves::{MaxFail, Waves};
use fleetwright::ssh::{HostKeys, Input, Limits, Session, SshFaultKind, Status, Target, Trust, UserKnownHosts};
use fleetwright::time::SystemClock;
use proptest::prelude::*;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

async fn connected(sshd: &Sshd) -> Session {
    sshd.ssh().connect(&sshd.target("i-1"), &sshd.trust()).await.unwrap()
}

fn limits(millis: u64, max_output: usize) -> Limits {
    Limits { timeout: Duration::from_millis(millis), max_output }
}

#[test]
fn commands_tell_their_output_status_and_signal() {
    let sshd = Sshd::start();
    block(async {
        let session = connected(&sshd).await;
        let run = async |command: &str, input| session.exec(command, input, Limits::default()).await.unwrap();
        let done = run("echo out; echo err >&2; exit 7", Input::Empty).await;
        assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(done.status, Status::Exit(7));
        assert_eq!(run("kill -TERM $$", Input::Empty).await.status, Status::Signal("TERM".into()));

        let bytes: Arc<[u8]> = (0..=255u8).cycle().take(3_000_000).collect();
        let done = run("wc -c", Input::Bytes(Arc::clone(&bytes))).await;
        assert_eq!(String::from_utf8(done.stdout).unwrap().trim(), "3000000");
        let done = run("head -c 5 >/dev/null; exit 3", Input::Bytes(bytes)).await;
        assert_eq!(done.status, Status::Exit(3), "a command need not read all of its input");

        let mut seen = 0;
        let big = "head -c 10485760 /dev/zero | tr '\\0' x; echo END";
        let done =
            session.exec_with(big, Input::Empty, limits(20_000, 1000), |_, bytes| seen += bytes.len()).await.unwrap();
        assert_eq!(seen, 10_485_764, "the caller sees all of it");
        let kept = String::from_utf8(done.stdout).unwrap();
        assert!(kept.len() < 1100 && kept.contains("bytes left out") && kept.ends_with("END\n"), "{}", kept.len());

        let began = Instant::now();
        let fault = session.exec("sleep 30", Input::Empty, limits(200, 100)).await.unwrap_err();
        assert_eq!(fault.kind, SshFaultKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(3));
        let done = run("sleep 30 & echo started", Input::Empty).await;
        assert!(done.success(), "what is left in the background is not waited for");
    });
}

#[test]
fn a_command_cut_off_is_lost_never_a_success() {
    let sshd = Sshd::start();
    block(async {
        let session = connected(&sshd).await;
        let command = "echo begun; kill -9 $PPID; sleep 5";
        let fault = session.exec(command, Input::Empty, Limits::default()).await.unwrap_err();
        assert_eq!((fault.kind, fault.stage), (SshFaultKind::Lost, "command"), "{fault}");
        let fault = session.exec("true", Input::Empty, Limits::default()).await.unwrap_err();
        assert_eq!(fault.kind, SshFaultKind::Unreachable, "nothing was sent any more: {fault}");
    });
}

#[test]
fn only_a_host_that_proves_itself_gets_a_login() {
    let sshd = Sshd::with("LogLevel VERBOSE");
    let (id, ssh, target) = (InstanceId::from("i-1"), sshd.ssh(), sshd.target("i-1"));
    let store = |name: &str| HostKeys::open(sshd.path(name)).unwrap();
    let refused = |trust: Trust| {
        let fault = block(ssh.connect(&target, &trust)).unwrap_err();
        assert_eq!((fault.kind, fault.stage), (SshFaultKind::HostKey, "host key"), "{fault}");
        assert_eq!(fault.kind.host_result(), HostResult::Refused);
        fault.message
    };
    let shown = must(Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host.pub")));
    let shown = shown.split(' ').nth(1).unwrap().to_owned();

    let unknown = refused(Trust::pinned(Arc::new(store("empty"))));
    assert!(unknown.contains("not known") && unknown.contains(&shown), "{unknown}");

    keygen(&sshd.path("other"), "ed25519", "");
    let swapped = store("swapped");
    swapped.pin(&id, &[public_key(&sshd.path("other.pub"))]).unwrap();
    let other = must(Command::new("ssh-keygen").arg("-lf").arg(sshd.path("other.pub")));
    let changed = refused(Trust::pinned(Arc::new(swapped)));
    assert!(changed.contains("has changed") && changed.contains(&shown), "{changed}");
    assert!(changed.contains(other.split(' ').nth(1).unwrap()), "both fingerprints: {changed}");

    keygen(&sshd.path("ecdsa"), "ecdsa", "");
    let other_type = store("type");
    other_type.pin(&id, &[public_key(&sshd.path("ecdsa.pub"))]).unwrap();
    let message = refused(Trust::pinned(Arc::new(other_type)));
    assert!(message.contains("another type"), "{message}");

    // The user's own known_hosts speaks for addresses, hashed or not, unless the key is revoked.
    let line = fs::read_to_string(sshd.path("host.pub")).unwrap();
    let file = sshd.path("user_known_hosts");
    fs::write(&file, format!("[127.0.0.1]:{} {line}", sshd.port)).unwrap();
    must(Command::new("ssh-keygen").arg("-Hf").arg(&file));
    assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
    let user = |path| Trust::default().or_user(Arc::new(UserKnownHosts::load(&[path]).unwrap()));
    block(async { ssh.connect(&target, &user(&file)).await.unwrap().close().await });
    fs::write(&file, format!("{}@revoked * {line}", fs::read_to_string(&file).unwrap())).unwrap();
    let revoked = refused(user(&file));
    assert!(revoked.contains("revoked"), "{revoked}");
    fs::write(&file, format!("@cert-authority * {line}")).unwrap();
    let authority = refused(user(&file));
    assert!(authority.contains("not supported"), "{authority}");

    let log = fs::read_to_string(sshd.path("log")).unwrap();
    let logins: Vec<_> =
        log.lines().filter_map(|line| line.split_once(" publickey for ")).map(|(did, _)| did).collect();
    assert_eq!(logins, ["Postponed", "Accepted"], "the server saw the one login that was let in, no other try: {log}");
}

#[test]
fn logins_by_agent_and_file_and_what_stood_in_the_way() {
    let sshd = Sshd::start();
    let (target, trust) = (sshd.target("i-1"), sshd.trust());
    keygen(&sshd.path("locked"), "ed25519", "a passphrase");
    keygen(&sshd.path("rsa"), "rsa", "");
    keygen(&sshd.path("stranger"), "ed25519", "");
    let denied = |keys: &[&str]| {
        let fault = block(sshd.ssh_with(keys, None).connect(&target, &trust)).unwrap_err();
        assert_eq!((fault.kind, fault.stage), (SshFaultKind::Auth, "auth"), "{fault}");
        fault.message
    };
    let message = denied(&["stranger"]);
    assert!(message.contains("no key was let in") && message.contains("SHA256:"), "{message}");
    let message = denied(&["locked"]);
    assert!(message.contains("locked is encrypted") && message.contains("ssh-add"), "{message}");
    let message = denied(&["rsa", "nowhere"]);
    assert!(message.contains("rsa is an RSA key") && message.contains("nowhere can't be read"), "{message}");

    let socket = sshd.path("agent");
    let mut agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    while !socket.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let add = |name: &str| {
        must(Command::new("ssh-add").arg("-q").arg(sshd.path(name)).env("SSH_AUTH_SOCK", &socket));
    };
    let enters = |keys: &[&str]| {
        block(async {
            let session = sshd.ssh_with(keys, Some(&socket)).connect(&target, &trust).await;
            session.map_err(|fault| fault.message)?.close().await;
            Ok::<(), String>(())
        })
    };
    assert!(enters(&[]).unwrap_err().contains("none in an agent"));
    // Seven strangers in the agent leave room for the file that the spec names.
    for i in 0..7 {
        keygen(&sshd.path(&format!("s{i}")), "ed25519", "");
        add(&format!("s{i}"));
    }
    assert_eq!(enters(&["user"]), Ok(()));
    must(Command::new("ssh-add").arg("-q").arg("-D").env("SSH_AUTH_SOCK", &socket));
    add("user");
    assert_eq!(enters(&[]), Ok(()));
    must(Command::new("ssh-add").arg("-q").arg("-D").env("SSH_AUTH_SOCK", &socket));
    fs::copy(sshd.path("rsa.pub"), sshd.path("authorized")).unwrap();
    add("rsa");
    assert_eq!(enters(&["rsa"]), Ok(()), "an agent signs with RSA keys");
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn hosts_that_do_not_answer_cost_one_connect_time_out() {
    let hole = BlackHole::new();
    let sshd = Sshd::start();
    let quiet = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let babbler = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = babbler.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = babbler.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let fault = |port: u16| {
        let target = Target { address: Address { host: "127.0.0.1".into(), port }, ..sshd.target("i-1") };
        let identities = fleetwright::ssh::Identities::load(&[], None, None);
        let ssh = fleetwright::ssh::Ssh::new(identities, Duration::from_millis(300));
        let began = Instant::now();
        let fault = block(ssh.connect(&target, &sshd.trust())).unwrap_err();
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
        (fault.kind, fault.stage)
    };
    assert_eq!(fault(hole.address.port()), (SshFaultKind::Unreachable, "connect"));
    assert_eq!(fault(quiet.local_addr().unwrap().port()), (SshFaultKind::Unreachable, "greeting"));
    assert_eq!(fault(free_port()), (SshFaultKind::Unreachable, "connect"));
    assert!(matches!(fault(port).0, SshFaultKind::Unreachable | SshFaultKind::Protocol));
}

#[test]
fn any_text_arrives_literally_over_ssh() {
    let sshd = Sshd::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let session = runtime.block_on(connected(&sshd));
    let mut tester = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let text = r#"([^\x00]|['"`$\\;&|<>(){}*?!~# \n=-]){0,24}"#;
    tester
        .run(&(text, text), |(a, b)| {
            let script = shell_word(&format!("printf '%s|' {} {}", shell_word(&a), shell_word(&b)));
            let command = format!("sh -c {script} && dash -c {script} && bash -c {script}");
            let done = runtime.block_on(session.exec(&command, Input::Empty, Limits::default())).unwrap();
            prop_assert_eq!(done.stdout, format!("{a}|{b}|").repeat(3).into_bytes(), "{}", command);
            Ok(())
        })
        .unwrap();
}

#[test]
fn sixteen_hosts_with_bad_ones_among_them() {
    let sshd = Sshd::start();
    let hole = BlackHole::new();
    let ids: Vec<String> = (0..16).map(|slot| format!("i-{slot}")).collect();
    let pins = HostKeys::open(sshd.path("fleet")).unwrap();
    keygen(&sshd.path("other"), "ed25519", "");
    let (right, wrong) = (sshd.host_key(), public_key(&sshd.path("other.pub")));
    for (slot, id) in ids.iter().enumerate() {
        let key = if slot == 5 { &wrong } else { &right };
        pins.pin(&InstanceId::from(id.as_str()), std::slice::from_ref(key)).unwrap();
    }
    let login = sshd.target("i").user;
    let hosts: Vec<Host> = (0..16u32)
        .map(|slot| {
            let port = match slot {
                3 => hole.address.port(),
                4 => free_port(),
                _ => sshd.port,
            };
            let address = Address { host: "127.0.0.1".into(), port };
            let user = if slot == 6 { "nobody-here".to_owned() } else { login.clone() };
            Host { slot, id: InstanceId::from(ids[slot as usize].as_str()), address, user }
        })
        .collect();
    let identities = fleetwright::ssh::Identities::load(&[sshd.path("user")], None, None);
    let ssh = Arc::new(fleetwright::ssh::Ssh::new(identities, Duration::from_millis(1500)));
    let trust = Trust::pinned(Arc::new(pins));
    let work = move |host: Host, mut lane: Lane| {
        let (ssh, trust) = (Arc::clone(&ssh), trust.clone());
        let target = Target::of(&host);
        async move {
            let began = Instant::now();
            let session = match ssh.connect(&target, &trust).await {
                Ok(session) => session,
                Err(fault) => return fault.host_report(host, began.elapsed()),
            };
            lane.connected().await;
            let command = if host.slot == 7 { "kill -9 $PPID; sleep 5" } else { "true" };
            match session.exec(command, Input::Empty, Limits::default()).await {
                Ok(_) => HostReport {
                    host,
                    result: HostResult::Ok,
                    stage: None,
                    cause: None,
                    exit_status: None,
                    output: String::new(),
                    took: began.elapsed(),
                },
                Err(fault) => fault.host_report(host, began.elapsed()),
            }
        }
    };
    let (plan, lanes) = (Waves::plan(16, 0, MaxFail::Percent(100)), Lanes::new(4));
    let events = Events::new(Arc::new(SystemClock), Vec::new());
    let began = Instant::now();
    let fan = block(fan_out(hosts, &plan, &lanes, CancellationToken::new(), &events, work));
    assert!(began.elapsed() < Duration::from_secs(6), "one connect time-out, not more: {:?}", began.elapsed());
    let said: Vec<_> = fan.reports.iter().map(|r| (r.host.slot, r.result, r.stage.as_deref())).collect();
    for (slot, result, stage) in said {
        use HostResult::{Ok, Refused, Unreachable};
        let want = match slot {
            3 | 4 => (Unreachable, Some("connect")),
            5 => (Refused, Some("host key")),
            6 => (Unreachable, Some("auth")),
            7 => (Unreachable, Some("command")),
            _ => (Ok, None),
        };
        assert_eq!((result, stage), want, "slot {slot}");
    }
    assert_eq!(group(&fan.reports).len(), 5, "{:#?}", group(&fan.reports));
}

#[test]
fn a_tied_command_ends_when_nobody_waits_for_it() {
    let sshd = Sshd::start();
    let pid = sshd.path("pid");
    block(async {
        let session = connected(&sshd).await;
        let done = session.exec_tied("echo out; cat; exit 7", Limits::default()).await.unwrap();
        assert_eq!((done.status, done.stdout.as_slice()), (Status::Exit(7), b"out\n".as_slice()), "its input is empty");
        let limits = Limits { timeout: Duration::from_millis(300), ..Limits::default() };
        let script = format!("trap : TERM; sleep 600 & echo $! >{}; wait; wait; sleep 600", pid.display());
        let fault = session.exec_tied(&script, limits).await.unwrap_err();
        assert_eq!(fault.kind, SshFaultKind::TimedOut, "{fault}");
    });
    let process = format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim());
    let began = Instant::now();
    while fs::read_to_string(format!("{process}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(began.elapsed() < Duration::from_secs(15), "{process} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}
