//! Failed hosts grouped by cause: when forty fail the same way it is said once, with the count and one example.

use super::{count, escape};
use crate::model::{Host, HostReport, HostResult, without_fingerprints};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Lines of output shown for the example host.
const TAIL: usize = 6;

/// Most hosts named in the rerun command; with more, a file is the better way.
const NAMED: usize = 4;

/// What makes two failures the same: the cause with all that names the host taken out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    result: HostResult,
    stage: Option<String>,
    text: String,
}

impl Cause {
    /// The cause of one host's failure.
    pub(super) fn of(report: &HostReport) -> Self {
        let Host { id, address, .. } = &report.host;
        let text = without_fingerprints(report.cause.as_deref().unwrap_or_default());
        let text = text.replace(&address.to_string(), "<host>").replace(id.as_str(), "<host>");
        Self { result: report.result, stage: report.stage.clone(), text: text.replace(&address.host, "<host>") }
    }
}

/// `unreachable at connect: timed out after 10s`
pub(super) fn reason(report: &HostReport) -> String {
    let mut text = report.result.to_string();
    if let Some(stage) = &report.stage {
        write!(text, " at {}", escape::line(stage)).unwrap_or_default();
    }
    if let Some(cause) = &report.cause {
        write!(text, ": {}", escape::line(cause)).unwrap_or_default();
    }
    text
}

/// `connect: timed out after 10s`; nothing for a host that came out well.
pub(super) fn why(report: &HostReport) -> Option<String> {
    match (&report.stage, &report.cause) {
        (Some(stage), Some(cause)) => Some(format!("{stage}: {cause}")),
        (one, other) => one.clone().or_else(|| other.clone()),
    }
}

/// The hosts that did not come out well, skipped ones included, in slot order.
pub fn bad(reports: &[HostReport]) -> Vec<&HostReport> {
    let mut bad: Vec<&HostReport> = reports.iter().filter(|report| !report.result.good()).collect();
    bad.sort_by_key(|report| report.host.slot);
    bad
}

/// Tells the failures in lines, most frequent cause first; empty when there are none.
pub fn lines(reports: &[HostReport]) -> Vec<String> {
    let mut groups: BTreeMap<Cause, Vec<&HostReport>> = BTreeMap::new();
    for report in bad(reports) {
        groups.entry(Cause::of(report)).or_default().push(report);
    }
    let mut groups: Vec<(Cause, Vec<&HostReport>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.len()));
    let mut lines = Vec::new();
    for (cause, hosts) in groups {
        let example = hosts[0];
        let mut head = format!("{} {}", count(hosts.len() as u64, "host"), cause.result);
        if let Some(stage) = &cause.stage {
            write!(head, " at {}", escape::line(stage)).unwrap_or_default();
        }
        if !cause.text.is_empty() {
            write!(head, ": {}", escape::line(&cause.text)).unwrap_or_default();
        }
        lines.push(head);
        if cause.result == HostResult::Skipped {
            continue;
        }
        let lead = if hosts.len() == 1 { "" } else { "for example " };
        lines.push(format!("  {lead}{} at {}", example.host, escape::line(&example.host.address.to_string())));
        let output = escape::block(example.output.trim_end());
        let shown: Vec<&str> = output.lines().collect();
        lines.extend(shown[shown.len().saturating_sub(TAIL)..].iter().map(|line| format!("  | {line}")));
    }
    lines
}

/// The command that tries the failed hosts again; `None` when there are none. The verb stands with the flags that named its
/// machines, where some did.
pub fn rerun(verb: &str, reports: &[HostReport]) -> Option<String> {
    let bad = bad(reports);
    let ids = || bad.iter().map(|report| report.host.id.as_str()).collect::<Vec<_>>().join(",");
    // Hosts that could not be drained: they stay unless somebody names them.
    if verb == "scale" {
        return (!bad.is_empty()).then(|| format!("fleetwright down --only {} --no-drain", ids()));
    }
    let verb = if verb.split(' ').next().is_some_and(|word| ["push", "exec"].contains(&word)) { verb } else { "push" };
    let rest = if verb.starts_with("exec") { " -- COMMAND" } else { "" };
    match bad.len() {
        0 => None,
        1..=NAMED => Some(format!("fleetwright {verb} --only {}{rest}", ids())),
        _ => Some(format!("fleetwright {verb} --failed-to failed.txt{rest}, then {verb} --only @failed.txt{rest}")),
    }
}

/// Writes the ids of the failed hosts, one a line, as `--only @FILE` reads them; an empty file when there are none.
///
/// # Errors
///
/// When the file can't be written.
pub fn write_failed_to(path: &Path, reports: &[HostReport]) -> io::Result<()> {
    let ids: Vec<&str> = bad(reports).iter().flat_map(|report| [report.host.id.as_str(), "\n"]).collect();
    std::fs::write(path, ids.concat())
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::*;

    #[test]
    fn forty_hosts_fail_once() {
        let mut reports: Vec<HostReport> = (0..40)
            .map(|slot| {
                let cause = format!("10.0.0.{slot}:22 did not answer within 10s");
                report(slot, HostResult::Unreachable, Some(("connect", &cause)), "")
            })
            .collect();
        reports.extend((40..45).map(|slot| {
            let cause =
                format!("the key of 10.0.0.{slot} is not known: it showed SHA256:{}", "aB+/9".repeat(slot as usize));
            report(slot, HostResult::Refused, Some(("host key", &cause)), "")
        }));
        reports.push(report(50, HostResult::Changed, None, ""));
        reports.push(report(51, HostResult::Failed, Some(("restart", "exit status 3")), "a\nb\nc\nd\ne\nf\ng\x07\n"));
        reports.push(report(52, HostResult::Skipped, None, ""));
        insta::assert_snapshot!(lines(&reports).join("\n"), @r"
        40 hosts unreachable at connect: <host> did not answer within 10s
          for example #0 i-00000000000000000 at 10.0.0.0:22
        5 hosts refused at host key: the key of <host> is not known: it showed <fingerprint>
          for example #40 i-00000000000000028 at 10.0.0.40:22
        1 host failed at restart: exit status 3
          #51 i-00000000000000033 at 10.0.0.51:22
          | b
          | c
          | d
          | e
          | f
          | g\x07
        1 host skipped
        ");
        assert_eq!(rerun("push", &reports).unwrap().matches("failed.txt").count(), 2);
    }

    #[test]
    fn a_few_are_named_and_none_is_none() {
        let reports = [report(1, HostResult::Failed, None, ""), report(0, HostResult::Ok, None, "")];
        assert_eq!(rerun("up", &reports).unwrap(), "fleetwright push --only i-00000000000000001");
        assert_eq!(rerun("exec", &reports).unwrap(), "fleetwright exec --only i-00000000000000001 -- COMMAND");
        let tagged = "fleetwright push --tag Role=web --only i-00000000000000001";
        assert_eq!(rerun("push --tag Role=web", &reports).unwrap(), tagged);
        assert_eq!(rerun("scale", &reports).unwrap(), "fleetwright down --only i-00000000000000001 --no-drain");
        assert_eq!((lines(&reports[1..]).len(), rerun("push", &reports[1..])), (0, None));
    }

    #[test]
    fn failed_hosts_go_to_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reports = [
            report(4, HostResult::Skipped, None, ""),
            report(1, HostResult::Refused, None, ""),
            report(2, HostResult::Ok, None, ""),
        ];
        write_failed_to(file.path(), &reports).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "i-00000000000000001\ni-00000000000000004\n");
    }
}
