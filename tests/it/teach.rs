//! What the program tells of itself, as shells, man and newcomers use it.

use super::env::{binary, expect};
use std::path::Path;
use std::process::{Command, Stdio};

fn said(arguments: &[&str]) -> String {
    String::from_utf8(expect(binary().args(arguments), 0).stdout).unwrap()
}

/// Runs a program that must be there and must not complain.
fn quiet(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && talk.is_empty(), "{command:?}: {talk}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_verbs_flags_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("fleetwright.bash");
    std::fs::write(&script, said(&["completions", "bash"])).unwrap();
    quiet(Command::new("bash").arg("-n").arg(&script));
    let complete = |line: &str| {
        // What bash does at a press of TAB behind the line's last character.
        let ask = "source \"$1\"; COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<<\"$2\"
            [[ $2 == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            function=$(complete -p fleetwright | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            \"$function\" fleetwright \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
            printf '%s\\n' \"${COMPREPLY[@]}\"";
        let mut bash = Command::new("bash");
        bash.args(["--norc", "--noprofile", "-c", ask, "bash"]).arg(&script).arg(line);
        quiet(&mut bash).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("fleetwright la"), ["launch"]);
    assert_eq!(complete("fleetwright launch --unt"), ["--until"]);
    assert_eq!(complete("fleetwright launch --until "), ["running", "ssh", "ready"]);
    assert_eq!(complete("fleetwright sim s"), ["serve"]);
    assert_eq!(complete("fleetwright schema p"), ["playbook"]);
}

#[test]
fn every_shell_has_a_script_that_names_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        for verb in ["init", "validate", "explain", "launch", "completions"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
        // Where the shell is there, it reads the script.
        if ["zsh", "fish"].contains(&shell) && Command::new(shell).arg("-c").arg("true").output().is_ok() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("script");
            std::fs::write(&file, script).unwrap();
            quiet(Command::new(shell).arg("-n").arg(&file));
        }
    }
    expect(binary().args(["completions", "csh"]), 2);
}

/// Every page goes through the real formatter, which warns of anything that is not well-formed.
#[test]
fn manual_pages_are_well_formed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    said(&["man", folder.to_str().unwrap()]);
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in ["fleetwright.1", "fleetwright-launch.1", "fleetwright-sim-serve.1"] {
        assert!(names.iter().any(|there| there == name), "{name} is not among {names:?}");
    }
    for name in &names {
        let page = formatted(&folder.join(name));
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES"] {
            assert!(page.lines().any(|line| line == section), "{name} has no {section}:\n{page}");
        }
    }
    let whole = formatted(&folder.join("fleetwright.1"));
    assert!(whole.contains("EXIT STATUS") && whole.contains("130"), "{whole}");
    assert_eq!(said(&["man"]), std::fs::read_to_string(folder.join("fleetwright.1")).unwrap());
}

fn formatted(page: &Path) -> String {
    let mut groff = Command::new("groff");
    quiet(groff.args(["-man", "-ww", "-Tascii", "-P-cbou"]).arg(page))
}

#[test]
fn fields_are_explained_from_any_folder() {
    let text = said(&["explain", "fleet.size"]);
    assert!(text.contains("1 to 10000") && text.contains("size: 40"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&said(&["explain", "fleet.accept", "-o", "json"])).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["fields"][0]["name"], "min");
    let output = expect(binary().args(["explain", "fleet.sise"]), 2);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("did you mean `fleet.size`?") && output.stdout.is_empty(), "{talk}");
    let schema: serde_json::Value = serde_json::from_str(&said(&["schema"])).unwrap();
    assert_eq!(schema["additionalProperties"], false);
}

/// No thread, no socket: neither the runtime nor the SDK is started for what needs neither.
#[test]
fn what_needs_no_cloud_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/good/full.yaml");
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["-f", spec, "--set", "ssh.identity=[key]", "validate"],
        &["explain"],
        &["schema"],
        &["completions", "bash"],
        &["man"],
    ] {
        let program = binary();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", "trace=clone,clone3,fork,vfork,socket", "-o"]).arg(&trace);
        strace.arg(program.get_program()).args(arguments).stdout(Stdio::null()).env_clear();
        let output = strace.output().expect("strace must be there: apt-get install strace");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&trace).unwrap();
        let calls: Vec<&str> = text.lines().filter(|line| line.contains('(')).collect();
        assert!(calls.is_empty(), "{arguments:?}: {calls:?}");
    }
}
