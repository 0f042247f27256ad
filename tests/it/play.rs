//! Plays on a real host: what changes, what is left alone, what is left behind when it goes wrong.

use crate::sshd::{Sshd, block, must};
use fleetwright::model::{Host, HostResult, InstanceId, Play, PlayKind, PlayStep, StepOutcome};
use fleetwright::ssh::{Marker, PlayEnd, PlayReport, Runner, SshFaultKind};
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    let host = Host {
        slot: 0,
        id: InstanceId::from("i-1"),
        address: sshd.target("i-1").address,
        user: sshd.target("i-1").user,
    };
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
        let long = play(vec![run("long", wait.clone())], "d1", None);
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

        // A push that ends within ten tries is waited for.
        fs::remove_file(&flag).unwrap();
        let patient =
            Runner::new(&ssh, &target, &trust).state(state.to_str().unwrap()).pause(Duration::from_millis(500));
        let long = play(vec![run("long again", format!("touch {}.on; {wait}", flag.display()))], "d3", None);
        let session = ssh.connect(&target, &trust).await.unwrap();
        let first = runner.run(session, &long, None, Marker::Skip, &mut quiet);
        let second = async {
            while !sshd.path("flag.on").exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let session = ssh.connect(&target, &trust).await.unwrap();
            let after = play(vec![run("b", "true")], "d4", None);
            let mut quiet = |_: &[u8]| {};
            let patient = patient.run(session, &after, None, Marker::Skip, &mut quiet);
            let release = async {
                tokio::time::sleep(Duration::from_millis(600)).await;
                fs::write(&flag, "").unwrap();
            };
            tokio::join!(patient, release).0
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.end, second.end), (PlayEnd::Done, PlayEnd::Done));

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
fn a_step_ends_with_its_connection_and_the_next_push_has_the_host() {
    let sshd = Sshd::start();
    let (begun, ended, after) = (sshd.path("begun"), sshd.path("ended"), sshd.path("after"));
    let script = format!(
        "trap 'echo told >{}; exit' TERM; touch {}; sleep 4321 & wait; touch {}",
        ended.display(),
        begun.display(),
        after.display()
    );
    let mut long = run("long", script);
    long.timeout = Duration::from_secs(4321);
    let long = play(vec![long, run("next", format!("touch {}", after.display()))], "d1", None);
    block(async {
        let (ssh, target, trust) = (sshd.ssh(), sshd.target("i-1"), sshd.trust());
        let state = sshd.path("state");
        let runner =
            Runner::new(&ssh, &target, &trust).state(state.to_str().unwrap()).pause(Duration::from_millis(500));
        let session = ssh.connect(&target, &trust).await.unwrap();
        let mut quiet = |_: &[u8]| {};
        let there = async {
            while !begun.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // Dropped in the middle of its step, connection and all, as a process that is killed does.
        tokio::select! {
            report = runner.run(session, &long, None, Marker::Skip, &mut quiet) => panic!("{report:?}"),
            () = there => {}
        }
        let session = ssh.connect(&target, &trust).await.unwrap();
        let next = play(vec![run("b", "true")], "d2", None);
        let report = runner.run(session, &next, None, Marker::Skip, &mut |_| {}).await;
        assert_eq!(report.end, PlayEnd::Done, "{report:?}");
    });
    assert_eq!(fs::read_to_string(&ended).unwrap(), "told\n");
    assert!(!after.exists(), "nothing of a play goes on without whoever asked for it");
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

#[test]
fn a_restarted_service_must_stay_active() {
    let sshd = Sshd::with("ForceCommand exec sh DIR/force");
    let dir = sshd.dir.path().display().to_string();
    fs::create_dir(sshd.path("bin")).unwrap();
    let fake = format!(
        "echo \"$@\" >>{dir}/calls\n[ \"$1\" != is-active ] || [ ! -e {dir}/dead ] || {{ echo failed; exit 3; }}\n"
    );
    fs::write(sshd.path("bin/systemctl"), format!("#!/bin/sh\n{fake}")).unwrap();
    fs::write(sshd.path("bin/journalctl"), "#!/bin/sh\necho out of memory\n").unwrap();
    must(Command::new("chmod").arg("755").arg(sshd.path("bin/systemctl")).arg(sshd.path("bin/journalctl")));
    let force = format!("PATH={dir}/bin:$PATH\nexport PATH\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n");
    fs::write(sshd.path("force"), force).unwrap();
    let restart = || play(vec![step("worker", PlayKind::Restart { service: "worker@1.service".into() })], "d", None);

    let report = perform(&sshd, &restart(), None, Marker::Skip);
    assert_eq!(outcomes(&report), [StepOutcome::Changed]);
    let calls = fs::read_to_string(sshd.path("calls")).unwrap();
    assert_eq!(calls, "enable worker@1.service\nrestart worker@1.service\nis-active worker@1.service\n");

    fs::write(sshd.path("dead"), "").unwrap();
    let report = perform(&sshd, &restart(), None, Marker::Force);
    assert_eq!(outcomes(&report), [StepOutcome::Failed { exit: 1 }]);
    let output = String::from_utf8(report.steps[0].output.clone()).unwrap();
    assert_eq!(output, "failed\nout of memory\nworker@1.service is not active after its restart\n");
}
