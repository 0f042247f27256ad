//! A disk that fails under the journal of a real process: at every sync, full at every page, or when older journals are read.
//! Each time a clear exit 9, no call that the journal does not know, and the same command finishes once the disk is well.

use crate::env::{Cloud, IMAGE, expect, talk};
use serde_json::json;
use std::process::{Command, Output};

const SPEC: &str = "tests/specs/it/five.yaml";
const N: usize = 5;

/// Runs `program` with the environment of `command`, which it is told to run by its last arguments.
fn under(mut program: Command, command: &Command) -> Output {
    program.arg(command.get_program()).args(command.get_args()).env_clear();
    program.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    program.output().unwrap_or_else(|e| panic!("{program:?}: {e}"))
}

/// Only journals are synced by fdatasync (all else by fsync), and by the thread that the verb itself runs on.
#[test]
fn every_sync_of_a_launch_may_fail() {
    let cloud = Cloud::start(SPEC, 400, &json!({}));
    let mut made = 0;
    for sync in 1.. {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"]);
        strace.arg(format!("inject=fdatasync:error=EIO:when={sync}"));
        let output = under(strace, &cloud.launch("laptop"));
        if output.status.success() {
            assert!(sync > 10, "a launch has more syncs than {sync}");
            break;
        }
        assert_eq!(output.status.code(), Some(9), "sync {sync}: {}", talk(&output));
        assert!(talk(&output).contains("Hint: see to the disk"), "sync {sync}: {}", talk(&output));
        expect(&mut cloud.launch("laptop"), 0);
        made += N;
        assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, made), "sync {sync}");
        expect(&mut cloud.cli("laptop", &["down"]), 0);
    }
    cloud.assert_decoys_untouched();
}

/// A journal that can be read when the verb looks for what it should go on with, and never after: it may be the one that
/// matters.
#[test]
fn a_journal_that_can_be_read_only_once_is_missed() {
    let cloud = Cloud::start(SPEC, 400, &json!({})).leaping();
    expect(&mut cloud.launch("laptop"), 0);
    let made = cloud.calls("CreateFleet").len();
    let runs = std::fs::read_dir(cloud.state("laptop")).unwrap().next().unwrap().unwrap().path().join("runs");
    let journal = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap().path().join("journal.jsonl");
    let scale = || cloud.cli("laptop", &["scale", "6", "--unattested", "--image", IMAGE, "--until", "running"]);
    for opened in 2..5 {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-P"]).arg(&journal);
        strace.args(["-e", &format!("inject=openat:error=EIO:when={opened}")]);
        let output = under(strace, &scale());
        assert_eq!(output.status.code(), Some(9), "opened {opened} times: {}", talk(&output));
        assert!(talk(&output).contains("journal.jsonl: "), "{}", talk(&output));
    }
    assert_eq!(cloud.calls("CreateFleet").len(), made, "nothing was asked for");
    expect(&mut scale(), 0);
    assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N + 1, N + 1));
}

/// The state directory lies on a file system of a few pages, which is made larger for the second try.
#[test]
fn a_launch_may_run_out_of_space_at_every_page() {
    let script = r#"
        mkdir -p "$1" && mount -t tmpfs -o "size=${2}k,mode=700" tmpfs "$1" || exit 70
        out=$3; shift 3
        "$@"; echo $? >"$out"
        mount -o remount,size=4m "$STATE" || exit 70
        exec "$@"
    "#;
    let mut full = 0;
    for pages in 0..12 {
        let cloud = Cloud::start(SPEC, 400, &json!({}));
        let (state, first) = (cloud.state("laptop"), cloud.state("first"));
        let mut shell = Command::new("unshare");
        shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        shell.arg(&state).arg((4 * (pages + 1)).to_string()).arg(&first);
        let launch = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];
        let mut command = cloud.cli("laptop", &launch);
        command.env("STATE", &state);
        let output = under(shell, &command);
        assert_eq!(output.status.code(), Some(0), "{pages} pages: {}", talk(&output));
        let first = std::fs::read_to_string(&first).unwrap();
        if first.trim() != "0" {
            assert_eq!(first.trim(), "9", "{pages} pages: {}", talk(&output));
            assert!(talk(&output).contains("make room on the disk"), "{pages} pages: {}", talk(&output));
            full += 1;
        }
        assert_eq!((cloud.live("five").len(), cloud.ever_made()), (N, N), "{pages} pages");
    }
    assert!((3..12).contains(&full), "{full} launches ran out of space");
}
