//! `doctor`: what stands in the way of the job. Changes nothing.

use super::Told;
use super::context::Context;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::checkup::{Checkup, Way};
use crate::model::{Instance, InstanceState};
use crate::plan::doctor::{State, exit, judge};
use crate::plan::session::job_length;
use crate::report::answer::Diagnosis;
use crate::report::count;
use crate::ssh::Target;
use crate::steps::ssh_hint;

/// Variables that decide how AWS is reached.
const WAY: [&str; 7] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "AWS_CA_BUNDLE"];

impl Context {
    pub(super) async fn doctor(&self) -> Result<Exit, Failure> {
        if !self.fleet.in_aws() {
            return Err(Failure::to(
                Exit::Usage,
                "look: the spec names neither account nor region, only machines of others",
            )
            .hint("fleetwright exec -- true     # shows which of them can be entered"));
        }
        let mut way: Way = WAY.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?))).collect();
        let endpoint = self.global.endpoint_url.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
        way.extend(endpoint.filter(|url| !url.is_empty()).map(|url| ("AWS_ENDPOINT_URL", url)));
        let clients = self.clients().await?;
        let mut checkup = Box::pin(crate::survey::examine(&clients, &self.fleet, way, &*self.clock)).await;
        checkup.job = job_length(&self.fleet, &self.job());
        checkup.ssh = self.enter(&checkup).await?;
        let findings = judge(&self.fleet, &checkup);
        let exit = exit(&findings);
        let problems = findings.iter().filter(|finding| finding.state == State::Problem).count();
        let failure = (exit != Exit::Done).then(|| match problems {
            0 => Failure::to(exit, "see all that had to be looked at").hint("the same command again looks again"),
            n => Failure::new(exit, format!("{} in the way", count(n as u64, "problem"))),
        });
        let answer = Diagnosis {
            fleet: self.fleet.name.to_string(),
            account: self.fleet.account.to_string(),
            region: self.fleet.region.to_string(),
            findings,
            exit_code: exit.code(),
            api_calls: self.calls(),
        };
        self.tell(Told { answer, failure })
    }

    /// Logs in to the template as `verify` would, and leaves at once.
    async fn enter(&self, checkup: &Checkup) -> Result<Option<Result<(), (String, String)>>, Failure> {
        let Some(Ok(Some(template))) = &checkup.template else { return Ok(None) };
        let runs = |instance: &&Instance| instance.state == InstanceState::Running;
        let Some(host) = Some(template).filter(runs).and_then(|instance| self.host(instance, 0)) else {
            return Ok(None);
        };
        let reach = self.reach(&self.state_dir()?)?;
        Ok(Some(match reach.ssh.connect(&Target::of(&host), &reach.others_trust).await {
            Ok(_session) => Ok(()),
            Err(fault) => {
                let why = format!("{} does not let us in ({}): {}", host.id, fault.stage, fault.message);
                Err((why, ssh_hint(&host, &fault)))
            }
        }))
    }
}
