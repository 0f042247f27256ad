//! Reads systemd unit files: the directives that a host carries out, and a refusal of those that it does not.

use std::collections::BTreeMap;
use std::time::Duration;

/// A service, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Whether `start` waits for the end of the command.
    pub(super) oneshot: bool,
    /// A oneshot that counts as active after its end.
    pub(super) remain: bool,
    /// Run before the others; all must succeed.
    pub(super) before: Vec<CommandLine>,
    /// One command, or several for a oneshot.
    pub(super) start: Vec<CommandLine>,
    /// Run before the signal at stop.
    pub(super) stop: Vec<CommandLine>,
    /// Variables in the order given.
    pub(super) environment: Vec<(String, String)>,
    /// Files of variables; `true` when a missing one is no error.
    pub(super) environment_files: Vec<(String, bool)>,
    /// Where the commands run.
    pub(super) directory: Option<String>,
    /// When it is started again.
    pub(super) restart: Restart,
    /// How long after its end.
    pub(super) restart_after: Duration,
    /// From the stop signal to SIGKILL.
    pub(super) stop_timeout: Duration,
    /// Started at boot when enabled.
    pub(super) wanted: bool,
}

/// A command of a unit, before variables are put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// A failure does not matter (`-` in front).
    pub(super) lenient: bool,
    /// Program and arguments.
    pub(super) words: Vec<String>,
}

/// `Restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restart {
    /// Never.
    No,
    /// After every end but a stop.
    Always,
    /// After exit 0 only.
    OnSuccess,
    /// After another exit code or a signal.
    OnFailure,
    /// After a signal only.
    OnAbnormal,
}

/// A timer, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    /// Since boot.
    pub(super) on_boot: Option<Duration>,
    /// Since the timer's own start.
    pub(super) on_active: Option<Duration>,
    /// Since the unit's last start.
    pub(super) on_unit_active: Option<Duration>,
    /// What it starts.
    pub(super) unit: String,
    /// Started at boot when enabled.
    pub(super) wanted: bool,
}

/// Directives that change nothing on a host with one user, one service manager and no cgroups.
const IGNORED: &[&str] = &[
    "Unit",
    "Install/Alias",
    "Install/Also",
    "Service/User",
    "Service/Group",
    "Service/SyslogIdentifier",
    "Service/LimitNOFILE",
    "Service/LimitNPROC",
    "Service/TasksMax",
    "Service/MemoryMax",
    "Service/MemoryHigh",
    "Service/CPUQuota",
    "Service/Nice",
    "Service/OOMScoreAdjust",
    "Service/OOMPolicy",
    "Service/NoNewPrivileges",
    "Service/PrivateTmp",
    "Service/ProtectSystem",
    "Service/ProtectHome",
    "Service/UMask",
    "Service/TimeoutStartSec",
    "Service/TimeoutSec",
    "Service/StandardOutput",
    "Service/StandardError",
    "Service/StandardInput",
    "Service/StartLimitBurst",
    "Service/StartLimitIntervalSec",
    "Timer/AccuracySec",
    "Timer/RandomizedDelaySec",
    "Timer/Persistent",
];

/// Sections, each a list of directives in order.
fn directives(text: &str) -> Result<Vec<(String, String, String)>, String> {
    let (mut section, mut found) = (String::new(), Vec::new());
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            found.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
        } else {
            return Err(format!("line `{line}` is neither a section nor a directive"));
        }
    }
    Ok(found)
}

/// Refuses what is not known; `Ok` when it may be passed over.
fn unknown(section: &str, key: &str) -> Result<(), String> {
    if IGNORED.contains(&section) || IGNORED.contains(&format!("{section}/{key}").as_str()) {
        return Ok(());
    }
    Err(format!("{key}= in [{section}] is not there on a rehearsal host"))
}

fn wanted(value: &str) -> Result<bool, String> {
    match value {
        "multi-user.target" | "default.target" | "timers.target" => Ok(true),
        other => Err(format!("{other} is no target that a rehearsal host reaches")),
    }
}

impl Service {
    /// Reads a `.service` file.
    ///
    /// # Errors
    ///
    /// Names the directive that a host can't carry out.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut service = Self {
            oneshot: false,
            remain: false,
            before: Vec::new(),
            start: Vec::new(),
            stop: Vec::new(),
            environment: Vec::new(),
            environment_files: Vec::new(),
            directory: None,
            restart: Restart::No,
            // systemd's DefaultRestartSec and DefaultTimeoutStopSec.
            restart_after: Duration::from_millis(100),
            stop_timeout: Duration::from_secs(90),
            wanted: false,
        };
        for (section, key, value) in directives(text)? {
            match (section.as_str(), key.as_str()) {
                ("Service", "Type") => {
                    service.oneshot = match value.as_str() {
                        "simple" | "exec" => false,
                        "oneshot" => true,
                        other => return Err(format!("Type={other} is not there on a rehearsal host")),
                    }
                }
                ("Service", "RemainAfterExit") => {
                    service.remain = matches!(value.as_str(), "yes" | "true" | "1" | "on");
                }
                ("Service", "ExecStartPre") => command(&mut service.before, &value)?,
                ("Service", "ExecStart") => command(&mut service.start, &value)?,
                ("Service", "ExecStop") => command(&mut service.stop, &value)?,
                ("Service", "Environment") => {
                    for word in words(&value)? {
                        let (name, value) =
                            word.split_once('=').ok_or_else(|| format!("Environment={word} has no ="))?;
                        service.environment.push((name.to_owned(), value.to_owned()));
                    }
                }
                ("Service", "EnvironmentFile") => {
                    let lenient = value.starts_with('-');
                    service.environment_files.push((value.trim_start_matches('-').to_owned(), lenient));
                }
                ("Service", "WorkingDirectory") => service.directory = Some(value),
                ("Service", "Restart") => {
                    service.restart = match value.as_str() {
                        "no" => Restart::No,
                        "always" => Restart::Always,
                        "on-success" => Restart::OnSuccess,
                        "on-failure" => Restart::OnFailure,
                        "on-abnormal" | "on-abort" => Restart::OnAbnormal,
                        other => return Err(format!("Restart={other} is not there on a rehearsal host")),
                    }
                }
                ("Service", "RestartSec") => service.restart_after = span(&value)?,
                ("Service", "TimeoutStopSec") => service.stop_timeout = span(&value)?,
                ("Service", "KillMode") if matches!(value.as_str(), "control-group" | "mixed") => {}
                ("Service", "KillSignal") if value == "SIGTERM" => {}
                ("Install", "WantedBy") => service.wanted = wanted(&value)?,
                (section, key) => unknown(section, key)?,
            }
        }
        match (service.start.len(), service.oneshot) {
            (0, _) => Err("it has no ExecStart=".to_owned()),
            (2.., false) => Err("several ExecStart= need Type=oneshot".to_owned()),
            _ => Ok(service),
        }
    }
}

impl Timer {
    /// Reads a `.timer` file.
    ///
    /// # Errors
    ///
    /// Names the directive that a host can't carry out, `OnCalendar=` among them.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let unit = format!("{}.service", name.trim_end_matches(".timer"));
        let mut timer = Self { on_boot: None, on_active: None, on_unit_active: None, unit, wanted: false };
        for (section, key, value) in directives(text)? {
            match (section.as_str(), key.as_str()) {
                ("Timer", "OnBootSec" | "OnStartupSec") => timer.on_boot = Some(span(&value)?),
                ("Timer", "OnActiveSec") => timer.on_active = Some(span(&value)?),
                ("Timer", "OnUnitActiveSec") => timer.on_unit_active = Some(span(&value)?),
                ("Timer", "Unit") => timer.unit = value,
                ("Install", "WantedBy") => timer.wanted = wanted(&value)?,
                (section, key) => unknown(section, key)?,
            }
        }
        if timer.on_boot.is_none() && timer.on_active.is_none() && timer.on_unit_active.is_none() {
            return Err("it has no OnBootSec=, OnActiveSec= or OnUnitActiveSec=".to_owned());
        }
        Ok(timer)
    }
}

/// Adds a command; an empty value empties the list, as in systemd.
fn command(list: &mut Vec<CommandLine>, value: &str) -> Result<(), String> {
    if value.is_empty() {
        list.clear();
        return Ok(());
    }
    let lenient = value.starts_with('-');
    let text = value.trim_start_matches('-');
    if text.starts_with(['@', '+', '!', ':', '|']) {
        return Err(format!("the prefix of `{text}` is not there on a rehearsal host"));
    }
    let words = words(text)?;
    if words.first().is_none_or(|program| !program.starts_with('/')) {
        return Err(format!("`{text}` does not begin with an absolute path"));
    }
    list.push(CommandLine { lenient, words });
    Ok(())
}

/// Splits as systemd does: blanks, single and double quotes, backslash. `%%` is a percent sign, other specifiers are refused.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(open)) if letter == open => quote = None,
            ('\\', _) => {
                let next = letters.next().ok_or("a backslash ends the line")?;
                word.get_or_insert_default().push(match next {
                    'n' => '\n',
                    't' => '\t',
                    's' => ' ',
                    other => other,
                });
            }
            ('%', _) => match letters.next() {
                Some('%') => word.get_or_insert_default().push('%'),
                other => return Err(format!("%{} is not there on a rehearsal host", other.unwrap_or(' '))),
            },
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote in `{text}` is not closed"));
    }
    words.extend(word);
    Ok(words)
}

/// Puts variables in: `${NAME}` anywhere in a word, `$NAME` as a word of its own, which is split at blanks.
pub(super) fn expand(words: &[String], env: &BTreeMap<String, String>) -> Vec<String> {
    let value = |name: &str| env.get(name).map_or("", String::as_str);
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    words
        .iter()
        .flat_map(|word| {
            if let Some(name) = word.strip_prefix('$').filter(|name| plain(name)) {
                return value(name).split_whitespace().map(str::to_owned).collect();
            }
            let mut parts = word.split("${");
            let mut text = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                match part.split_once('}').filter(|(name, _)| plain(name)) {
                    Some((name, rest)) => text.extend([value(name), rest]),
                    None => text.extend(["${", part]),
                }
            }
            vec![text.replace("$$", "$")]
        })
        .collect()
}

/// `5`, `5s`, `100ms`, `2min`, `1h`, `1min 30s`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no time span");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let factor = match &rest[..letters] {
            "ms" | "msec" => 0.001,
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return Err(bad()),
        };
        rest = rest[letters..].trim_start();
        total += Duration::try_from_secs_f64(number * factor).map_err(|_| bad())?;
    }
    if text.trim().is_empty() { Err(bad()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_service() {
        let text = "[Unit]\nDescription=Worker\nAfter=network.target\n\n[Service]\nType=simple\nUser=ec2-user\n\
            Environment=A=1 \"B=two words\"\nEnvironmentFile=-/etc/default/worker\nWorkingDirectory=/opt/worker\n\
            ExecStart=/bin/sh -c 'exec ./worker \\\n  --queue ${QUEUE}' $EXTRA\nRestart=always\nRestartSec=2min 500ms\n\
            [Install]\nWantedBy=multi-user.target\n";
        let service = Service::parse(text).unwrap();
        assert_eq!(service.environment, [("A".into(), "1".into()), ("B".into(), "two words".into())]);
        assert_eq!(service.environment_files, [("/etc/default/worker".into(), true)]);
        assert_eq!(service.restart, Restart::Always);
        assert_eq!(service.restart_after, Duration::from_millis(120_500));
        assert!(service.wanted && !service.oneshot);
        let env = [("QUEUE", "q1"), ("EXTRA", "-v  -w")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(expand(&service.start[0].words, &env), ["/bin/sh", "-c", "exec ./worker    --queue q1", "-v", "-w"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let refused = |text: &str| Service::parse(text).unwrap_err();
        insta::assert_debug_snapshot!(
            [
                refused("[Service]\nExecStart=/bin/true\nType=notify\n"),
                refused("[Service]\nExecStart=/bin/true\nWatchdogSec=3\n"),
                refused("[Service]\nExecStart=worker\n"),
                refused("[Service]\nExecStart=/bin/echo %i\n"),
                refused("[Service]\nRestart=no\n"),
                Timer::parse("a.timer", "[Timer]\nOnCalendar=daily\n").unwrap_err(),
            ],
            @r#"
        [
            "Type=notify is not there on a rehearsal host",
            "WatchdogSec= in [Service] is not there on a rehearsal host",
            "`worker` does not begin with an absolute path",
            "%i is not there on a rehearsal host",
            "it has no ExecStart=",
            "OnCalendar= in [Timer] is not there on a rehearsal host",
        ]
        "#
        );
    }

    #[test]
    fn a_timer_starts_the_service_of_its_name() {
        let timer = Timer::parse("guard.timer", "[Timer]\nOnBootSec=1\nOnUnitActiveSec=1min\n").unwrap();
        assert_eq!((timer.unit.as_str(), timer.on_boot), ("guard.service", Some(Duration::from_secs(1))));
        assert_eq!(timer.on_unit_active, Some(Duration::from_mins(1)));
    }
}
