//! A JUnit report of a push or exec: one test case a host, for CI systems.

use crate::event::{Event, Sink, Stamped};
use crate::model::{HostReport, HostResult};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Collects the hosts of a run.
#[derive(Debug, Default)]
pub struct JunitReport {
    run: Mutex<Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    name: String,
    hosts: Vec<HostReport>,
}

impl JunitReport {
    /// Writes the report to a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.render(&mut bytes)?;
        std::fs::write(path, bytes)
    }

    /// Writes the report as XML.
    fn render(&self, out: &mut dyn Write) -> io::Result<()> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hosts: Vec<&HostReport> = run.hosts.iter().collect();
        hosts.sort_by_key(|report| report.host.slot);
        let mut suite = TestSuite::new(run.name.as_str());
        suite.add_test_cases(hosts.into_iter().map(case));
        let mut report = Report::new("fleetwright");
        report.add_test_suite(suite);
        report.serialize(out).map_err(io::Error::other)
    }
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

impl Sink for JunitReport {
    fn emit(&self, event: &Stamped) {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.event {
            Event::RunStarted { verb, fleet, .. } => run.name = format!("{verb} {fleet}"),
            Event::HostFinished { report } => run.hosts.push(report.clone()),
            Event::StepStarted { .. }
            | Event::StepProgress { .. }
            | Event::StepFinished { .. }
            | Event::Retrying { .. }
            | Event::Capacity { .. }
            | Event::HostStarted { .. }
            | Event::Sampled { .. }
            | Event::Fed { .. }
            | Event::Warning { .. }
            | Event::Note { .. }
            | Event::RunFinished { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::play;
    use super::*;

    #[test]
    fn one_case_a_host() {
        let report = JunitReport::default();
        play(&report);
        let file = tempfile::NamedTempFile::new().unwrap();
        report.write(file.path()).unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(file.path()).unwrap());
    }
}
