//! The shims on a host's PATH: small scripts, and the command lines of those that talk to the host's first process.
//!
//! A shim does what it knows and exits 1 on any verb or flag that it does not: a playbook must not believe that
//! something happened here that would happen on a real host.

use super::orders::{Answer, Ask, CONTROL_SOCKET, ENTERED, UnitVerb};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str::FromStr;

/// Name and text of each.
const SHIMS: &[(&str, &str)] = &[
    ("cloud-init", include_str!("shims/cloud-init.sh")),
    ("journalctl", include_str!("shims/journalctl.sh")),
    ("logger", include_str!("shims/logger.sh")),
    ("poweroff", include_str!("shims/control.sh")),
    ("reboot", include_str!("shims/control.sh")),
    ("shutdown", include_str!("shims/control.sh")),
    ("sudo", include_str!("shims/sudo.sh")),
    ("systemctl", include_str!("shims/control.sh")),
];

/// Writes them into the first directory of the PATH.
///
/// # Errors
///
/// When the directory can't be written.
pub(super) fn install(directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, text) in SHIMS {
        let path = directory.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Runs one of the shims that ask the host's first process: `words` is its name and its arguments.
pub(super) fn run(words: &[String]) -> i32 {
    let answer = match parse(words) {
        Ok(ask) => ask_init(&ask).unwrap_or_else(|e| Answer {
            code: 1,
            out: String::new(),
            err: format!("failed to reach the host's first process: {e}\n"),
        }),
        Err(refusal) => Answer { code: 1, out: String::new(), err: refusal + "\n" },
    };
    // Nobody is left to tell when these fail.
    std::io::stdout().write_all(answer.out.as_bytes()).ok();
    std::io::stderr().write_all(answer.err.as_bytes()).ok();
    answer.code
}

/// One question, one answer, a JSON line each.
fn ask_init(ask: &Ask) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(CONTROL_SOCKET)?;
    let mut line = serde_json::to_string(ask)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// What the words ask for, or why not.
fn parse(words: &[String]) -> Result<Ask, String> {
    let mut words = words.iter().map(String::as_str);
    let name = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    match name {
        "reboot" => power(name, &rest, Ask::Reboot),
        "poweroff" => power(name, &rest, Ask::PowerOff),
        "shutdown" => shutdown(&rest),
        "systemctl" => systemctl(&rest),
        other => Err(format!("{other}: no such shim on a rehearsal host")),
    }
}

/// `reboot` and `poweroff` take no more than "do it now".
fn power(name: &str, rest: &[&str], ask: Ask) -> Result<Ask, String> {
    match rest.iter().find(|word| !matches!(**word, "-f" | "--force")) {
        Some(word) => Err(unknown(name, word)),
        None => Ok(ask),
    }
}

/// `shutdown [-h|-P|-r] now`: a later moment is refused, since the host would have to wait for it.
fn shutdown(rest: &[&str]) -> Result<Ask, String> {
    let (mut ask, mut now) = (Ask::PowerOff, false);
    for word in rest {
        match *word {
            "-h" | "-P" | "--poweroff" => ask = Ask::PowerOff,
            "-r" | "--reboot" => ask = Ask::Reboot,
            "now" | "+0" => now = true,
            // A message to users follows the time.
            message if now && !message.starts_with('-') => {}
            other => return Err(unknown("shutdown", other)),
        }
    }
    if now { Ok(ask) } else { Err("shutdown: a rehearsal host knows only `shutdown [-h|-P|-r] now`".to_owned()) }
}

fn systemctl(rest: &[&str]) -> Result<Ask, String> {
    let (mut verb, mut units, mut now, mut quiet) = (None, Vec::new(), false, false);
    let mut signal = nix::libc::SIGTERM;
    let mut shown = false;
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--now" => now = true,
            "-q" | "--quiet" => quiet = true,
            // Output of a rehearsal host is plain and unpaged anyway, and jobs are waited for.
            "--no-pager" | "--system" | "-l" | "--full" => {}
            // The one property of a unit that a host keeps.
            "-p" if verb == Some(UnitVerb::Show) && words.next() == Some(ENTERED) => shown = true,
            "-s" | "--signal" => signal = signal_number(words.next().unwrap_or_default())?,
            flag if flag.starts_with("--signal=") => signal = signal_number(&flag["--signal=".len()..])?,
            flag if flag.starts_with('-') => return Err(unknown("systemctl", flag)),
            power @ ("reboot" | "poweroff") if verb.is_none() => {
                return if power == "reboot" { Ok(Ask::Reboot) } else { Ok(Ask::PowerOff) };
            }
            word if verb.is_none() => verb = Some(unit_verb(word)?),
            unit => units.push(if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") }),
        }
    }
    let verb = verb.ok_or("systemctl: a rehearsal host needs a verb")?;
    if units.is_empty() && !matches!(verb, UnitVerb::DaemonReload | UnitVerb::ResetFailed) {
        return Err("systemctl: no unit given".to_owned());
    }
    if verb == UnitVerb::Show && !shown {
        return Err(format!("systemctl: a rehearsal host shows -p {ENTERED} and nothing else"));
    }
    if now && !matches!(verb, UnitVerb::Enable | UnitVerb::Disable) {
        return Err("systemctl: --now belongs to enable and disable".to_owned());
    }
    Ok(Ask::Units { verb, units, now, signal, quiet })
}

fn unit_verb(word: &str) -> Result<UnitVerb, String> {
    Ok(match word {
        "start" => UnitVerb::Start,
        "stop" => UnitVerb::Stop,
        "restart" => UnitVerb::Restart,
        "try-restart" => UnitVerb::TryRestart,
        "show" => UnitVerb::Show,
        "enable" => UnitVerb::Enable,
        "disable" => UnitVerb::Disable,
        "is-active" => UnitVerb::IsActive,
        "is-enabled" => UnitVerb::IsEnabled,
        "is-failed" => UnitVerb::IsFailed,
        "status" => UnitVerb::Status,
        "daemon-reload" => UnitVerb::DaemonReload,
        "reset-failed" => UnitVerb::ResetFailed,
        "kill" => UnitVerb::Kill,
        other => return Err(format!("systemctl: verb {other} is not there on a rehearsal host")),
    })
}

/// `9`, `KILL` or `SIGKILL`.
pub(super) fn signal_number(text: &str) -> Result<i32, String> {
    let known = |signal: nix::sys::signal::Signal| signal as i32;
    let named = if text.starts_with("SIG") { text.to_owned() } else { format!("SIG{text}") };
    let numbered = || nix::sys::signal::Signal::try_from(text.parse::<i32>().ok()?).ok();
    nix::sys::signal::Signal::from_str(&named)
        .ok()
        .or_else(numbered)
        .map(known)
        .ok_or_else(|| format!("{text} is no signal"))
}

fn unknown(shim: &str, word: &str) -> String {
    format!("{shim}: {word} is not there on a rehearsal host")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Ask, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn known_lines_are_understood() {
        assert_eq!(parsed("shutdown -h now"), Ok(Ask::PowerOff));
        assert_eq!(parsed("shutdown -r now going down"), Ok(Ask::Reboot));
        assert_eq!(
            parsed("systemctl enable --now worker"),
            Ok(Ask::Units {
                verb: UnitVerb::Enable,
                units: vec!["worker.service".to_owned()],
                now: true,
                signal: nix::libc::SIGTERM,
                quiet: false
            })
        );
        let Ok(Ask::Units { signal, .. }) = parsed("systemctl kill -s HUP a.service") else { panic!() };
        assert_eq!(signal, nix::libc::SIGHUP);
    }

    #[test]
    fn unknown_words_are_named() {
        insta::assert_debug_snapshot!(
            ["systemctl mask worker", "systemctl --user start a", "systemctl start", "systemctl show a", "systemctl show -p MainPID a", "reboot --boot-loader-menu=1", "shutdown +5"]
                .map(|line| parsed(line).unwrap_err()),
            @r#"
        [
            "systemctl: verb mask is not there on a rehearsal host",
            "systemctl: --user is not there on a rehearsal host",
            "systemctl: no unit given",
            "systemctl: a rehearsal host shows -p ActiveEnterTimestampMonotonic and nothing else",
            "systemctl: -p is not there on a rehearsal host",
            "reboot: --boot-loader-menu=1 is not there on a rehearsal host",
            "shutdown: +5 is not there on a rehearsal host",
        ]
        "#
        );
    }
}
