//! Says once what went wrong on many hosts the same way.

use crate::model::{Host, HostReport, HostResult, without_fingerprints};
use std::collections::BTreeMap;

/// Hosts that came out bad for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How they came out.
    pub result: HostResult,
    /// Where it went wrong.
    pub stage: Option<String>,
    /// Why, with what tells hosts apart masked: `<host>`, `<address>`.
    pub cause: String,
    /// Who, by slot.
    pub hosts: Vec<Host>,
}

/// Groups all reports that are not good by result, stage and masked cause; the largest group first.
pub fn group(reports: &[HostReport]) -> Vec<Group> {
    let mut groups: BTreeMap<(HostResult, Option<&str>, String), Vec<Host>> = BTreeMap::new();
    for report in reports.iter().filter(|report| !report.result.good()) {
        let cause = masked(report.cause.as_deref().unwrap_or_default(), &report.host);
        groups.entry((report.result, report.stage.as_deref(), cause)).or_default().push(report.host.clone());
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|((result, stage, cause), mut hosts)| {
            hosts.sort_by_key(|host| host.slot);
            Group { result, stage: stage.map(str::to_owned), cause, hosts }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.hosts.len()));
    groups
}

fn masked(cause: &str, host: &Host) -> String {
    let mut text = without_fingerprints(cause);
    for (name, mask) in [
        (host.id.as_str().to_owned(), "<host>"),
        (host.address.to_string(), "<address>"),
        (host.address.host.clone(), "<address>"),
        (format!("ip-{}", host.address.host.replace('.', "-")), "<host>"),
    ] {
        if !name.is_empty() {
            text = text.replace(&name, mask);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, InstanceId};
    use std::time::Duration;

    fn report(slot: u32, result: HostResult, cause: &str) -> HostReport {
        let address = Address { host: format!("10.0.0.{slot}"), port: 22 };
        let host = Host { slot, id: InstanceId::new(format!("i-{slot:04}")), address, user: "ada".to_owned() };
        let (stage, cause) = (Some("connect".to_owned()), Some(cause.to_owned()));
        HostReport { host, result, stage, cause, exit_status: None, output: String::new(), took: Duration::ZERO }
    }

    #[test]
    fn one_cause_is_said_once() {
        let reports = [
            report(3, HostResult::Unreachable, "10.0.0.3:22: connection refused"),
            report(1, HostResult::Unreachable, "10.0.0.1:22: connection refused"),
            report(2, HostResult::Failed, "exit 3: disk full on ip-10-0-0-2"),
            report(4, HostResult::Changed, ""),
            report(
                5,
                HostResult::Refused,
                "key of i-0005 changed: SHA256:2cKk5zuhrD+mzY1h9NDayKL7/EdjXAb9TzGXwzqCpE (rsa)",
            ),
            report(
                6,
                HostResult::Refused,
                "key of i-0006 changed: SHA256:hBygtzE8SeT1QEqFTCCuM6YZhM8aur5F0f2eUqs2stQ (rsa)",
            ),
        ];
        let said: Vec<String> = group(&reports)
            .iter()
            .map(|group| format!("{} {} {}", group.hosts.len(), group.result, group.cause))
            .collect();
        assert_eq!(
            said,
            [
                "2 unreachable <address>: connection refused",
                "2 refused key of <host> changed: <fingerprint> (rsa)",
                "1 failed exit 3: disk full on <host>",
            ]
        );
        assert_eq!(group(&reports)[0].hosts[0].slot, 1);
    }
}
