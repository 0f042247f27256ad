//! A JUnit report of a push or exec: one test case a host, for CI systems.

use crate::model::{HostReport, HostResult};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io;
use std::path::Path;

/// Writes a report with one suite of this name: a test case a host, in slot order.
///
/// # Errors
///
/// When the file can't be written.
pub fn write(path: &Path, name: &str, reports: &[HostReport]) -> io::Result<()> {
    let mut hosts: Vec<&HostReport> = reports.iter().collect();
    hosts.sort_by_key(|report| report.host.slot);
    let mut suite = TestSuite::new(name);
    suite.add_test_cases(hosts.into_iter().map(case));
    let mut report = Report::new("fleetwright");
    report.add_test_suite(suite);
    let mut bytes = Vec::new();
    report.serialize(&mut bytes).map_err(io::Error::other)?;
    std::fs::write(path, bytes)
}

/// One host. What the host said no to is a failure; what kept us from asking it is an error.
fn case(report: &HostReport) -> TestCase {
    let mut status = match report.result {
        HostResult::Ok | HostResult::Changed => TestCaseStatus::success(),
        HostResult::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        HostResult::Unreachable | HostResult::Refused => TestCaseStatus::non_success(NonSuccessKind::Error),
        HostResult::Skipped => TestCaseStatus::skipped(),
    };
    if !report.result.good() {
        status.set_message(super::failures::reason(report));
        status.set_type(report.stage.as_deref().unwrap_or(report.result.as_str()));
        if !report.output.is_empty() {
            status.set_description(super::escape::block(&report.output));
        }
    }
    let mut case = TestCase::new(report.host.to_string(), status);
    case.set_classname(report.host.id.as_str()).set_time(report.took);
    case
}

#[cfg(test)]
mod tests {
    use super::super::testing::campaign;
    use super::*;
    use crate::event::Event;

    #[test]
    fn one_case_a_host() {
        let finished = campaign().into_iter().filter_map(|stamped| match stamped.event {
            Event::HostFinished { report } => Some(report),
            _ => None,
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), "push crawl", &finished.collect::<Vec<_>>()).unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(file.path()).unwrap());
    }
}
