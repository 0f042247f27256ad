//! `init` as a newcomer runs it: an empty folder, then `validate`, then a rehearsal.

use super::env::{binary, expect};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const FILES: [&str; 8] = [
    "fleet.yaml",
    "playbooks/verify.yaml",
    "playbooks/deploy.yaml",
    ".fleetwright/fleet.schema.json",
    ".fleetwright/playbook.schema.json",
    "playbooks/template.sh",
    "playbooks/worker.sh",
    ".gitignore",
];

fn here(folder: &Path) -> Command {
    let mut command = binary();
    command.current_dir(folder).env("HOME", folder);
    command
}

fn results(output: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(output).unwrap();
    let files = value["files"].as_array().unwrap().iter();
    files.map(|file| format!("{} {}", file["path"].as_str().unwrap(), file["result"].as_str().unwrap())).collect()
}

#[test]
fn what_init_writes_validates_and_rehearses() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("Nightly Crawl");
    std::fs::create_dir(&folder).unwrap();
    let output = expect(here(&folder).args(["-o", "json", "init", "--account", "210987654321"]), 0);
    assert_eq!(results(&output.stdout), FILES.map(|path| format!("{path} written")));
    let spec = std::fs::read_to_string(folder.join("fleet.yaml")).unwrap();
    assert!(spec.contains("\nname: nightly-crawl\n") && spec.contains("210987654321"), "{spec}");

    // The only thing that is not there yet is the release, and validate says so.
    let output = expect(here(&folder).arg("validate"), 0);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(talk.matches("warning[").count(), 1, "{talk}");
    assert!(talk.contains("release.from"), "{talk}");

    let state = dir.path().join("state");
    let rehearse = ["-o", "json", "rehearse", "--hosts", "3", "--items", "20"];
    let output = expect(here(&folder).arg("--state-dir").arg(&state).args(rehearse), 0);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["verdict"], &summary["items"]["ok"]), (&"done".into(), &20.into()));
    assert_eq!((&summary["records"]["expected"], &summary["records"]["equal"]), (&20.into(), &20.into()));
}

#[test]
fn init_touches_nothing_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("fleet.yaml"), "mine").unwrap();
    let output = expect(here(dir.path()).args(["-o", "json", "init"]), 0);
    let mut wanted = FILES.map(|path| format!("{path} written"));
    wanted[0] = "fleet.yaml kept".to_owned();
    assert_eq!(results(&output.stdout), wanted);
    assert_eq!(std::fs::read_to_string(dir.path().join("fleet.yaml")).unwrap(), "mine");
    // The same command again has nothing to do, and says so.
    let output = expect(here(dir.path()).arg("init"), 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("kept").count(), FILES.len(), "{text}");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

/// As an editor's YAML server does: the first line names a schema beside the file, which knows the file, and the slips in it.
#[test]
fn editors_find_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    // A folder of one letter lends a name that is too short for an image.
    let folder = dir.path().join("a");
    std::fs::create_dir(&folder).unwrap();
    expect(here(&folder).arg("init"), 0);
    let talk = String::from_utf8(expect(here(&folder).arg("validate"), 0).stderr).unwrap();
    assert!(!talk.contains("error["), "{talk}");
    for (file, right, slip) in [
        ("fleet.yaml", "  size: 8", "  siez: 8"),
        ("playbooks/verify.yaml", "  - name: ", "  - nmae: "),
        ("playbooks/deploy.yaml", "  - name: ", "  - nmae: "),
    ] {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let schema = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        let schema = std::fs::read(path.parent().unwrap().join(schema)).unwrap();
        let schema = jsonschema::draft202012::new(&serde_json::from_slice(&schema).unwrap()).unwrap();
        let valid = |text: &str| schema.is_valid(&serde_yaml::from_str(text).unwrap());
        assert!(valid(&text) && text.contains(right), "{file}");
        assert!(!valid(&text.replacen(right, slip, 1)), "{file}");
    }
}

/// Two questions on a terminal; a wrong answer is asked again, an empty one takes the example.
#[test]
fn a_terminal_is_asked_two_questions() {
    let dir = tempfile::tempdir().unwrap();
    let program = binary();
    let line = format!("'{}' init", program.get_program().to_string_lossy());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(dir.path()).env_remove("AWS_REGION");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"12\n210987654321\n\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{talk}");
    assert_eq!(talk.matches("AWS account, 12 digits [").count(), 2, "{talk}");
    assert_eq!(talk.matches("Template instance [").count(), 1, "{talk}");
    let spec = std::fs::read_to_string(dir.path().join("fleet.yaml")).unwrap();
    assert!(spec.contains("\"210987654321\"") && spec.contains("i-0123456789abcdef0"), "{spec}");
}

#[test]
fn answers_come_from_flags_and_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["init", "new", "--name", "frames", "--template", "i-0fedcba9876543210"];
    expect(here(dir.path()).args(flags).env("AWS_REGION", "eu-west-1"), 0);
    let spec = std::fs::read_to_string(dir.path().join("new/fleet.yaml")).unwrap();
    for word in ["name: frames", "region: eu-west-1", "instance: i-0fedcba9876543210", "sqs.eu-west-1.amazonaws.com"] {
        assert!(spec.contains(word), "{word}: {spec}");
    }
    for (flags, word) in [
        (&["init", "--account", "12"][..], "12 digits"),
        (&["init", "--template", "ami-1"], "`i-`"),
        (&["init", "--region", "us-east-1a"], "its region is us-east-1"),
    ] {
        let output = expect(here(dir.path()).args(flags), 2);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(talk.contains(word), "{flags:?}: {talk}");
    }
    assert!(!dir.path().join("fleet.yaml").exists(), "nothing is written after a wrong answer");
}
