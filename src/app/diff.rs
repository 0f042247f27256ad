//! `diff`: the spec against the live fleet. Changes nothing.

use super::Told;
use super::context::{Context, state};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{Instance, Mark, tags};
use crate::plan::diff::{self, Input};
use crate::plan::slots;
use crate::report::answer::{FleetDiff, HostDiff};
use crate::spec::Need;
use crate::steps::past;
use crate::survey::For;
use sha2::{Digest, Sha256};

impl Context {
    pub(super) async fn diff(&self, exit_code: bool) -> Result<Exit, Failure> {
        self.need(Need::Hosts)?;
        let Some(hosts) = &self.fleet.fleet else {
            return Err(Failure::new(Exit::Usage, "diff: the spec has no `fleet` section"));
        };
        let survey = self.own_survey(For::Planning).await?;
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let survey = past::without_ended(survey, &history);
        let mut unknown = Vec::new();
        let image = survey.images.iter().find(|image| image.launchable());
        if image.is_none() {
            unknown.push("image: this fleet has none that can be launched".to_owned());
        }
        if hosts.requirements.is_some() {
            unknown.push("type: the spec has requirements in place of types".to_owned());
        }
        let mut releases = self.pushed_digest()?.into_iter().collect::<Vec<_>>();
        if releases.is_empty() {
            unknown.push("release: the spec names none, or it is not built".to_owned());
        } else {
            // Of the newest image's release, hosts are born with its tag.
            let born = image.and_then(|image| image.tags.get(tags::RELEASE)).map(str::to_owned);
            releases.extend(self.release_digest()?.filter(|today| born.as_ref() == Some(today)));
        }
        let input =
            Input { fleet: &self.fleet, hosts, survey: &survey, image, releases: &releases, now: self.clock.now() };
        let live: Vec<Instance> = survey.instances.iter().filter(|host| host.state.live()).cloned().collect();
        let slots = slots::assign(&past::slots(&history), &live);
        let mut rows: Vec<HostDiff> = live
            .iter()
            .map(|host| {
                let deviations = diff::host(&input, host);
                HostDiff {
                    slot: slots.get(&host.id).copied(),
                    id: host.id.to_string(),
                    equal: deviations.is_empty(),
                    quarantined: host.marked(Mark::Quarantine).is_some(),
                    deviations,
                }
            })
            .collect();
        rows.sort_by_key(|host| host.slot);
        let deviations = diff::fleet(&input);
        let equal = deviations.is_empty() && rows.iter().all(|host| host.equal);
        let fleet = self.fleet.name.to_string();
        let exit = self.tell(Told::good(FleetDiff {
            fleet,
            equal,
            deviations,
            hosts: rows,
            unknown,
            api_calls: self.calls(),
        }))?;
        Ok(if exit_code && !equal { Exit::Changes } else { exit })
    }

    /// The digest that a push of today's release tags hosts with; none when it is not there.
    fn pushed_digest(&self) -> Result<Option<String>, Failure> {
        let Some(release) = &self.fleet.release else { return Ok(None) };
        match std::fs::read(&release.from) {
            Ok(bytes) => Ok(Some(data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::to(Exit::Usage, format!("read release {}: {error}", release.from.display()))),
        }
    }
}
