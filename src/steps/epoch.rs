//! The epoch: the launch template version that this campaign's hosts are born from.

use super::Steps;
use super::call::Repeat;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::engine::tools::Until;
use crate::engine::wait::Seen;
use crate::exit::Exit;
use crate::model::{FaultKind, LaunchTemplate, Survey, TemplateId, TemplateRequest, tags};
use crate::plan::CONSISTENT;
use crate::plan::launch::{epoch_name, reusable, settled};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What the step leaves for later ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// The launch template.
    pub template: TemplateId,
    /// Its version.
    pub version: i64,
    /// When its hosts end themselves.
    pub expires: Option<Timestamp>,
}

impl Epoch {
    /// Its name in tags and tokens.
    pub fn name(&self) -> String {
        epoch_name(self.template.as_str(), self.version)
    }
}

impl Steps {
    /// An unfinished creation comes first; else a version of ours that is good enough is used again.
    pub(super) async fn probe_epoch(
        &self,
        step: &str,
        wanted: &TemplateRequest,
        expires_seconds: i64,
    ) -> Result<Option<Done>, Failure> {
        if self.journal.with_fold(|fold| fold.of_step(step).next().is_some()) {
            return Ok(None);
        }
        let survey = self.template_survey(wanted).await?;
        self.check_owner(survey.launch_template.as_ref())?;
        let expires = SignedDuration::from_secs(expires_seconds);
        let Some(version) = reusable(&survey, &wanted.description, expires, self.clock.now()) else {
            return Ok(None);
        };
        let Some(template) = &survey.launch_template else { return Ok(None) };
        let epoch =
            Epoch { template: template.id.clone(), version: version.number, expires: expiry(&version.instance_tags) };
        let detail = format!("version {} of {} is still good", epoch.version, epoch.template);
        Ok(Some(Done::unchanged(super::output(&epoch)?, detail)))
    }

    /// Makes the template, or a version onto it; whoever was faster is adopted when it is the same epoch.
    pub(super) async fn make_epoch(
        &self,
        step: &str,
        wanted: &TemplateRequest,
        expires_seconds: i64,
    ) -> Result<Done, Failure> {
        let expires = self.clock.now() + SignedDuration::from_secs(expires_seconds);
        for _ in 0..3 {
            let survey = self.template_survey(wanted).await?;
            self.check_owner(survey.launch_template.as_ref())?;
            let request = settled(wanted, &survey, &self.fleet, &self.run.to_string(), expires);
            let what = format!("make a version of launch template {}", wanted.name);
            let made: Result<Epoch, Failure> = self
                .mutate(
                    step,
                    &what,
                    Repeat::Safe,
                    async || self.clients.draft_template(&request).await,
                    async |permit| {
                        let (template, version) = self.clients.create_template(permit).await?;
                        let epoch = Epoch { template, version, expires: Some(expires) };
                        Ok((vec![epoch.template.to_string()], epoch))
                    },
                )
                .await;
            match made {
                Ok(epoch) => {
                    let detail = format!("version {} of {}", epoch.version, epoch.template);
                    return Ok(Done::new(super::output(&epoch)?, detail));
                }
                Err(failure) if somebody_was_faster(&failure) => {
                    if let Some(epoch) = self.adopt_epoch(step, wanted).await? {
                        let detail =
                            format!("version {} of {}, made by another machine", epoch.version, epoch.template);
                        return Ok(Done::unchanged(super::output(&epoch)?, detail));
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::new(Exit::Refused, format!("launch template {} keeps changing under our hands", wanted.name))
            .hint("fleetwright status     # another machine may be running this campaign"))
    }

    /// Waits until the template that somebody else made is visible (up to five minutes) and looks for our digest in it.
    async fn adopt_epoch(&self, step: &str, wanted: &TemplateRequest) -> Result<Option<Epoch>, Failure> {
        let deadline = self.clock.now() + CONSISTENT;
        let template = self
            .until(
                Until {
                    step: step.to_owned(),
                    what: format!("launch template {} to be visible", wanted.name),
                    good: 1,
                    deadline,
                },
                async || match self.clients.launch_template(&wanted.name).await? {
                    Some(template) => Ok(Seen::Good(template)),
                    None => Ok(Seen::NotYet("not visible yet".into())),
                },
            )
            .await?;
        self.check_owner(Some(&template))?;
        let version = template.versions.iter().rev().find(|v| v.description.as_deref() == Some(&wanted.description));
        Ok(version.map(|version| Epoch {
            template: template.id.clone(),
            version: version.number,
            expires: expiry(&version.instance_tags),
        }))
    }

    async fn template_survey(&self, wanted: &TemplateRequest) -> Result<Survey, Failure> {
        let launch_template =
            self.read("read the launch template", async || self.clients.launch_template(&wanted.name).await).await?;
        Ok(Survey {
            at: self.clock.now(),
            account: self.fleet.account.clone(),
            region: self.fleet.region.clone(),
            template: None,
            instances: Vec::new(),
            launch_template,
            images: Vec::new(),
            subnets: Vec::new(),
        })
    }

    fn check_owner(&self, template: Option<&LaunchTemplate>) -> Result<(), Failure> {
        match template {
            Some(template) if template.tags.get(tags::FLEET) != Some(self.fleet.name.as_str()) => Err(Failure::new(
                Exit::Refused,
                format!(
                    "launch template {} ({}) exists and does not carry this fleet's tag",
                    template.name, template.id
                ),
            )
            .hint("choose another `name` in the spec, or have its owner delete it")),
            Some(_) | None => Ok(()),
        }
    }
}

fn expiry(tags: &crate::model::Tags) -> Option<Timestamp> {
    tags.get(tags::EXPIRES).and_then(|text| text.parse().ok())
}

/// The name is taken, or the token was used for other bytes (another `expires`): both mean that somebody else is starting
/// the same fleet.
fn somebody_was_faster(failure: &Failure) -> bool {
    failure
        .fault
        .as_ref()
        .is_some_and(|fault| fault.kind == FaultKind::Exists || fault.code == "IdempotentParameterMismatch")
}
