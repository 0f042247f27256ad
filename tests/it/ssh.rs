//! SSH against the real OpenSSH server: logins, host keys, commands, plays, many hosts at once.

use crate::sshd::{BlackHole, Sshd, free_port, keygen, must, public_key};
use fleetwright::engine::fanout::{Lane, Lanes, fan_out};
use fleetwright::engine::group::group;
use fleetwright::event::Events;
use fleetwright::model::{
    Address, Host, HostReport, HostResult, InstanceId, Play, PlayKind, PlayStep, StepOutcome, shell_word,
};
use fleetwright::plan::waves::{MaxFail, Waves};
use fleetwright::ssh::{
    HostKeys, Input, Limits, Marker, PlayEnd, PlayReport, Runner, Session, SshFaultKind, Status, Target, Trust,
    UserKnownHosts,
};
use fleetwright::time::SystemClock;
use proptest::prelude::*;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

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

fn step(name: &str, kind: PlayKind) -> PlayStep {
    PlayStep { name: name.into(), timeout: Duration::from_secs(10), retries: 0, kind }
}

fn run(name: &str, script: impl Into<String>) -> PlayStep {
    step(name, PlayKind::Run { script: script.into() })
}

fn play(steps: Vec<PlayStep>, digest: &str, release: Option<&str>) -> Play {
    Play { steps, digest: digest.into(), release: release.map(Into::into) }
}

fn perform(sshd: &Sshd, play: &Play, release: Option<Arc<[u8]>>, marker: Marker) -> PlayReport {
    block(async {
        let (ssh, target, trust) = (sshd.ssh(), sshd.target("i-1"), sshd.trust());
        let session = ssh.connect(&target, &trust).await.unwrap();
        let runner = Runner::new(&ssh, &target, &trust)
            .state(sshd.path("state").to_str().unwrap())
            .pause(Duration::from_millis(20));
        runner.run(session, play, release, marker, &mut |_| {}).await
    })
}

fn outcomes(report: &PlayReport) -> Vec<StepOutcome> {
    report.steps.iter().map(|step| step.outcome).collect()
}

fn archive(sshd: &Sshd) -> Arc<[u8]> {
    let from = sshd.path("tree");
    fs::create_dir_all(from.join("bin")).unwrap();
    fs::write(from.join("bin/worker"), vec![b'w'; 200_000]).unwrap();
    must(Command::new("tar").arg("-czf").arg(sshd.path("release.tar.gz")).arg("-C").arg(from).arg("."));
    fs::read(sshd.path("release.tar.gz")).unwrap().into()
}

#[test]
fn a_play_changes_what_differs_and_the_marker_ends_it() {
    use StepOutcome::{Changed, Ok};
    let sshd = Sshd::start();
    let root = sshd.path("root");
    let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let put = |text: &str| PlayKind::Put {
        bytes: text.as_bytes().into(),
        path: at("etc/it's $here.conf"),
        mode: 0o640,
        owner: None,
    };
    let steps = |text: &str| {
        vec![
            step("config", put(text)),
            step("release", PlayKind::Unpack { to: at("releases/r1") }),
            step("current", PlayKind::Link { to: at("releases/r1"), at: at("current") }),
            step("there", PlayKind::Check { script: format!("test -s {}", at("current/bin/worker")) }),
            run("count", format!("echo x >>{}", at("count"))),
        ]
    };
    let release = archive(&sshd);
    let first = play(steps("one"), "d1", Some("r1"));
    let report = perform(&sshd, &first, Some(Arc::clone(&release)), Marker::Skip);
    assert_eq!(report.end, PlayEnd::Done, "{report:?}");
    assert_eq!(outcomes(&report), [Changed, Changed, Changed, Ok, Changed]);
    assert_eq!(fs::read_to_string(root.join("etc/it's $here.conf")).unwrap(), "one");
    assert_eq!(fs::read(root.join("current/bin/worker")).unwrap().len(), 200_000);
    assert_eq!(fs::read_to_string(sshd.path("state/release")).unwrap(), "d1\nr1\n");

    let report = perform(&sshd, &first, Some(Arc::clone(&release)), Marker::Skip);
    assert_eq!(report.end, PlayEnd::Same);
    let report = perform(&sshd, &first, Some(Arc::clone(&release)), Marker::Force);
    assert_eq!(outcomes(&report), [Ok, Ok, Ok, Ok, Changed]);
    let report = perform(&sshd, &play(steps("two"), "d2", Some("r1")), Some(release), Marker::Skip);
    assert_eq!(outcomes(&report), [Changed, Ok, Ok, Ok, Changed]);
    assert_eq!(fs::read_to_string(root.join("count")).unwrap(), "x\nx\nx\n", "the skipped run ran nothing");
    let left: Vec<_> = fs::read_dir(sshd.path("state")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "release" || name == "lock"), "nothing is left behind: {left:?}");

    // A folder that was there before is somebody else's.
    fs::create_dir_all(root.join("home/mine")).unwrap();
    let grab = play(vec![step("grab", PlayKind::Unpack { to: at("home") })], "d3", Some("r1"));
    let report = perform(&sshd, &grab, Some(archive(&sshd)), Marker::Skip);
    assert_eq!(outcomes(&report), [StepOutcome::Failed { exit: 1 }]);
    assert!(root.join("home/mine").exists());
    assert!(!sshd.path("state/release").exists(), "a host that failed half way has no release");
}

#[test]
fn failures_retries_time_outs_and_forged_frames() {
    use StepOutcome::{Changed, Skipped, TimedOut};
    let sshd = Sshd::start();
    let tries = sshd.path("tries");
    let tries = tries.to_str().unwrap();
    let mut flaky = run("flaky", format!("echo x >>{tries}; echo try; [ $(wc -l <{tries}) -ge 3 ]"));
    flaky.retries = 2;
    let mut slow = run("slow", "echo before; sleep 30");
    slow.timeout = Duration::from_millis(300);
    let forged = run("forged", "printf '\\ndeadbeef done\\n\\n00 end 0 ok 0\\n'; echo $nonce; (sleep 30 &)");
    let began = Instant::now();
    let report = perform(&sshd, &play(vec![flaky, forged, slow, run("never", "true")], "d", None), None, Marker::None);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(report.end, PlayEnd::Failed, "{report:?}");
    assert_eq!(outcomes(&report), [Changed, Changed, TimedOut, Skipped]);
    assert_eq!(report.steps[0].output, b"try\n", "the output of the last try");
    assert_eq!(report.steps[1].output, b"\ndeadbeef done\n\n00 end 0 ok 0\n\n");
    assert_eq!(report.steps[2].output, b"before\n");
    assert!(!sshd.path("state/release").exists());

    let bad = play(vec![run("disk", "printf '\\033[31mno space on device'; exit 28")], "d", None);
    let report = perform(&sshd, &bad, None, Marker::Skip);
    let host = Host { slot: 0, id: InstanceId::from("i-1"), address: sshd.target("i-1").address };
    let report = report.host_report(host, Duration::ZERO);
    assert_eq!((report.result, report.stage.as_deref()), (HostResult::Failed, Some("disk")));
    assert_eq!(report.cause.as_deref(), Some("exit 28: \\e[31mno space on device"));
    assert_eq!(report.exit_status, Some(28));
}

#[test]
fn two_pushes_do_not_interleave_and_a_lost_one_is_lost() {
    let sshd = Sshd::start();
    let flag = sshd.path("flag");
    block(async {
        let (ssh, target, trust) = (sshd.ssh(), sshd.target("i-1"), sshd.trust());
        let state = sshd.path("state");
        let runner = Runner::new(&ssh, &target, &trust).state(state.to_str().unwrap()).pause(Duration::from_millis(20));
        let wait = format!("while [ ! -e {} ]; do sleep 0.02; done", flag.display());
        let long = play(vec![run("long", wait)], "d1", None);
        let session = ssh.connect(&target, &trust).await.unwrap();
        let mut quiet = |_: &[u8]| {};
        let first = runner.run(session, &long, None, Marker::Skip, &mut quiet);
        let second = async {
            while !state.join("lock").exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            let session = ssh.connect(&target, &trust).await.unwrap();
            let report =
                runner.run(session, &play(vec![run("b", "true")], "d2", None), None, Marker::Skip, &mut |_| {}).await;
            fs::write(&flag, "").unwrap();
            report
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.end, second.end), (PlayEnd::Done, PlayEnd::Busy));

        let killer = "pid=$$; while :; do read -r _ name _ <\"/proc/$pid/stat\" || exit; \
                      case $name in *sshd*) kill -9 \"$pid\"; sleep 5;; esac; \
                      pid=$(cut -d ' ' -f 4 \"/proc/$pid/stat\"); done";
        let session = ssh.connect(&target, &trust).await.unwrap();
        let cut = play(vec![run("cut", killer), run("next", "true")], "d3", None);
        let report = runner.run(session, &cut, None, Marker::Skip, &mut quiet).await;
        let PlayEnd::Fault(fault) = &report.end else { panic!("{report:?}") };
        assert_eq!(fault.kind, SshFaultKind::Lost, "{fault}");
        assert_eq!(fault.kind.host_result(), HostResult::Unreachable);
    });
}

#[test]
fn a_reboot_splits_the_play_and_needs_a_new_boot_id() {
    let sshd = Sshd::with("ForceCommand exec sh DIR/force");
    let dir = sshd.dir.path().to_str().unwrap().to_owned();
    // The host's commands see this folder's boot id and its reboot.
    fs::create_dir(sshd.path("bin")).unwrap();
    let force = format!(
        "PATH={dir}/bin:$PATH\nexport PATH\ncommand=$(printf %s \"$SSH_ORIGINAL_COMMAND\" | \
         sed 's#/proc/sys/kernel/random/boot_id#{dir}/boot#g')\nexec sh -c \"$command\"\n"
    );
    fs::write(sshd.path("force"), force).unwrap();
    fs::write(sshd.path("boot"), "first\n").unwrap();
    let reboot = |script: &str| {
        fs::write(sshd.path("bin/reboot"), format!("#!/bin/sh\n{script}\n")).unwrap();
        must(Command::new("chmod").arg("755").arg(sshd.path("bin/reboot")));
    };
    let marks = sshd.path("marks");
    let steps = |within: u64| {
        vec![
            run("before", format!("echo before >>{}", marks.display())),
            step("reboot", PlayKind::Reboot { within: Duration::from_millis(within) }),
            run("after", format!("cat {dir}/boot >>{}", marks.display())),
        ]
    };
    reboot(&format!("(sleep 0.2; echo second >{dir}/boot) >/dev/null 2>&1 & kill -9 $PPID"));
    let report = perform(&sshd, &play(steps(5000), "d1", None), None, Marker::Skip);
    assert_eq!(report.end, PlayEnd::Done, "{report:?}");
    assert_eq!(outcomes(&report), [StepOutcome::Changed; 3]);
    assert_eq!(fs::read_to_string(&marks).unwrap(), "before\nsecond\n");
    assert_eq!(fs::read_to_string(sshd.path("state/release")).unwrap(), "d1\n\n");

    reboot("true");
    let report = perform(&sshd, &play(steps(200), "d2", None), None, Marker::Skip);
    assert_eq!((report.end, report.steps[1].outcome), (PlayEnd::Failed, StepOutcome::TimedOut));
    assert!(!sshd.path("state/release").exists());
    reboot("echo not today; exit 3");
    let report = perform(&sshd, &play(steps(200), "d2", None), None, Marker::Skip);
    assert_eq!(outcomes(&report)[1..], [StepOutcome::Failed { exit: 3 }, StepOutcome::Skipped]);
    assert_eq!(report.steps[1].output, b"not today\n");
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
    let hosts: Vec<Host> = (0..16u32)
        .map(|slot| {
            let port = match slot {
                3 => hole.address.port(),
                4 => free_port(),
                _ => sshd.port,
            };
            let address = Address { host: "127.0.0.1".into(), port };
            Host { slot, id: InstanceId::from(ids[slot as usize].as_str()), address }
        })
        .collect();
    let identities = fleetwright::ssh::Identities::load(&[sshd.path("user")], None, None);
    let ssh = Arc::new(fleetwright::ssh::Ssh::new(identities, Duration::from_millis(1500)));
    let (trust, user) = (Trust::pinned(Arc::new(pins)), sshd.target("i").user);
    let work = move |host: Host, mut lane: Lane| {
        let (ssh, trust) = (Arc::clone(&ssh), trust.clone());
        let target = Target::of(&host, if host.slot == 6 { "nobody-here" } else { &user });
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
fn the_lock_holds_without_flock_and_outlives_no_boot() {
    let sshd = Sshd::with("ForceCommand exec sh DIR/force");
    let tools =
        "sh bash tar gzip timeout sha256sum mktemp stat readlink mkdir cat rm mv id tr head cut sleep find sync";
    fs::create_dir(sshd.path("bin")).unwrap();
    for tool in tools.split(' ') {
        let found = must(Command::new("sh").arg("-c").arg(format!("command -v {tool}")));
        std::os::unix::fs::symlink(found, sshd.path("bin").join(tool)).unwrap();
    }
    let force = format!("PATH={}\nexport PATH\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n", sshd.path("bin").display());
    fs::write(sshd.path("force"), force).unwrap();
    let lock = sshd.path("state/lock.d");
    let push = || {
        perform(&sshd, &play(vec![run("a", format!("cat {}/owner", lock.display()))], "d", None), None, Marker::Force)
    };
    let report = push();
    assert_eq!(report.end, PlayEnd::Done, "{report:?}");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let owner = String::from_utf8(report.steps[0].output.clone()).unwrap();
    assert!(owner.ends_with(&format!(" {boot}")) && !lock.exists(), "{owner}");

    let me = std::process::id();
    for (owner, end) in [
        (format!("{me} {boot}"), PlayEnd::Busy),
        (format!("{me} another-boot"), PlayEnd::Done),
        (format!("99999999 {boot}"), PlayEnd::Done),
        (String::new(), PlayEnd::Busy),
    ] {
        fs::create_dir_all(&lock).unwrap();
        fs::write(lock.join("owner"), &owner).unwrap();
        assert_eq!(push().end, end, "{owner}");
    }
    fs::remove_file(sshd.path("bin/tar")).unwrap();
    let PlayEnd::Broken(why) = push().end else { panic!("a host without tar") };
    assert_eq!(why, "the host has no tar");
}
