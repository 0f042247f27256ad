//! What the kernel saw: the intent is written and synced before the first byte of its call is sent.

use crate::env::{Cloud, IMAGE};
use serde_json::json;
use std::process::Command;

#[test]
fn the_intent_is_on_disk_before_its_call_is_sent() {
    let cloud = Cloud::start("tests/specs/it/five.yaml", 300, &json!({}));
    let trace = cloud.state("trace");
    let launch = cloud.cli("laptop", &["launch", "--unattested", "--image", IMAGE, "--until", "running"]);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "20000", "-e", "trace=write,writev,pwrite64,sendto,sendmsg,fdatasync", "-o"]);
    strace.arg(&trace).arg(launch.get_program()).args(launch.get_args()).env_clear();
    strace.envs(launch.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = strace.output().expect("strace must be there: apt-get install strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let after = |from: usize, wanted: &dyn Fn(&str) -> bool| {
        lines.iter().skip(from).position(|line| wanted(line)).map(|at| at + from)
    };
    for action in ["CreateLaunchTemplate", "CreateFleet"] {
        let body = format!("Action={action}&");
        let written =
            after(0, &|line| line.contains("journal.jsonl>") && line.contains("write") && line.contains(&body))
                .unwrap_or_else(|| panic!("no intent of {action}"));
        let synced = after(written, &|line| line.contains("fdatasync(") && line.contains("journal.jsonl>")).unwrap();
        let returned = if lines[synced].contains("= 0") {
            synced
        } else {
            after(synced, &|line| line.contains("fdatasync resumed") && line.contains("= 0")).unwrap()
        };
        let sent =
            after(0, &|line| (line.contains("socket:[") || line.contains("TCP:")) && line.contains(&body)).unwrap();
        assert!(
            written < synced && returned < sent,
            "{action}: write {written}, sync {synced}..{returned}, send {sent}"
        );
    }
}
