//! The epoch: the launch template version that this campaign's hosts are born from.

use super::Steps;
use super::call::{Repeat, state};
use super::image::Made;
use super::past::without_ended;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::engine::tools::Until;
use crate::engine::wait::Seen;
use crate::exit::Exit;
use crate::journal::{History, IntentState, Outcome};
use crate::model::{Fault, FaultKind, LaunchTemplate, Survey, TemplateId, TemplateRequest, TemplateVersion, tags};
use crate::plan::CONSISTENT;
use crate::plan::birth::of_image;
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
    /// The version wanted, of the image that the step `of` left where there is one.
    pub(super) async fn of_image(
        &self,
        wanted: &TemplateRequest,
        of: Option<&str>,
    ) -> Result<TemplateRequest, Failure> {
        let Some(of) = of else { return Ok(wanted.clone()) };
        let made: Made = self.output_of(of)?;
        let what = format!("look at image {}", made.image);
        let image = self
            .read(&what, async || self.clients.image(&made.image).await)
            .await?
            .ok_or_else(|| Failure::to(Exit::Unavailable, format!("see image {}, which step {of} left", made.image)))?;
        Ok(of_image(wanted.clone(), &self.fleet, &image))
    }

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
        match self.still_good(&survey, wanted, expires_seconds) {
            Some(epoch) => {
                let detail = format!("version {} of {} is still good", epoch.version, epoch.template);
                Ok(Some(Done::unchanged(super::output(&epoch)?, detail)))
            }
            None => Ok(None),
        }
    }

    /// A version of this very epoch that was made before, here or on another machine.
    fn still_good(&self, survey: &Survey, wanted: &TemplateRequest, expires_seconds: i64) -> Option<Epoch> {
        let expires = SignedDuration::from_secs(expires_seconds);
        let version = reusable(survey, &wanted.description, expires, self.clock.now())?;
        let template = survey.launch_template.as_ref()?;
        Some(Epoch { template: template.id.clone(), version: version.number, expires: expiry(&version.instance_tags) })
    }

    /// Makes the template, or a version onto it; whoever was faster is adopted when it is the same epoch.
    pub(super) async fn make_epoch(
        &self,
        step: &str,
        wanted: &TemplateRequest,
        expires_seconds: i64,
        grouped: bool,
    ) -> Result<Done, Failure> {
        let exact = self.clock.now() + SignedDuration::from_secs(expires_seconds);
        let end = Timestamp::from_second(exact.as_second()).unwrap_or(exact);
        let expires = (!grouped).then_some(end);
        // A stored version whose hosts would live for less than nine tenths of their time is not sent again. Should it be
        // there all the same: it is found by template and description, and costs nothing.
        if let Some(old) = self.forgotten(step, SignedDuration::from_secs(expires_seconds / 10)) {
            self.journal.settle(old.id, Outcome::Failed(outdated(&old)), self.clock.now()).map_err(state)?;
        }
        for _ in 0..3 {
            let mut survey = self.template_survey(wanted).await?;
            if survey.launch_template.as_ref().is_some_and(|template| template.versions.is_empty()) {
                survey.launch_template = Some(self.visible_template(step, wanted, false).await?);
            }
            self.check_owner(survey.launch_template.as_ref())?;
            // Made by another machine since the probe: only a call of our own whose outcome is open comes before it.
            let open = self.journal.with_fold(|fold| fold.of_step(step).any(IntentState::open));
            if let Some(epoch) = self.still_good(&survey, wanted, expires_seconds).filter(|_| !open) {
                let detail = format!("version {} of {}, made by another machine", epoch.version, epoch.template);
                return Ok(Done::unchanged(super::output(&epoch)?, detail));
            }
            let mut request = settled(wanted, &survey, &self.fleet, &self.run.to_string(), expires);
            if grouped {
                // Its hosts name no end, and until there is a group nothing else does.
                request.template_tags = request.template_tags.with(tags::EXPIRES, end.to_string());
            }
            let what = format!("make a version of launch template {}", wanted.name);
            let made: Result<Epoch, Failure> = self
                .mutate(
                    step,
                    &what,
                    Repeat::Safe,
                    async || self.clients.draft_template(&request).await,
                    async |permit| {
                        let (template, version) = self.clients.create_template(permit).await?;
                        let epoch = Epoch { template, version, expires };
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
                    // Another `expires` under our token: the version is there, and must only become visible. A template of
                    // our name: whatever it holds, the next round sees it.
                    let same = failure.fault.as_ref().is_some_and(|fault| fault.kind != FaultKind::Exists);
                    self.visible_template(step, wanted, same).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::new(Exit::Refused, format!("launch template {} keeps changing under our hands", wanted.name))
            .hint("fleetwright status     # another machine may be running this campaign"))
    }

    /// Waits until the template that somebody else made is visible with a version, the one of our epoch where it must be
    /// there; up to five minutes.
    async fn visible_template(
        &self,
        step: &str,
        wanted: &TemplateRequest,
        same_epoch: bool,
    ) -> Result<LaunchTemplate, Failure> {
        let deadline = self.clock.now() + CONSISTENT;
        let what = format!("launch template {} to be visible", wanted.name);
        self.until(Until { step: step.to_owned(), what, good: 1, deadline }, async || {
            let seen = self.clients.launch_template(&wanted.name).await?;
            let ours = |v: &TemplateVersion| !same_epoch || v.description.as_deref() == Some(&wanted.description);
            Ok(match seen.filter(|template| template.versions.iter().any(ours)) {
                Some(template) => Seen::Good(template),
                None => Seen::NotYet("not visible yet".into()),
            })
        })
        .await
    }

    async fn template_survey(&self, wanted: &TemplateRequest) -> Result<Survey, Failure> {
        let launch_template =
            self.read("read the launch template", async || self.clients.launch_template(&wanted.name).await).await?;
        let history = History::read(&self.state).map_err(state)?;
        let nothing = Survey::untaken(self.clock.now(), self.fleet.account.clone(), self.fleet.region.clone());
        Ok(without_ended(Survey { launch_template, ..nothing }, &history))
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

/// Why a stored creation is not sent again.
fn outdated(intent: &IntentState) -> Fault {
    Fault {
        kind: FaultKind::Gone,
        action: intent.call.action.clone(),
        code: "outdated".to_owned(),
        message: format!("asked at {}, never answered", intent.at),
        reason: "its hosts would end themselves too soon: a new version is made".to_owned(),
        request_id: None,
    }
}

/// The name is taken, or the token was used for other bytes (another `expires`): both mean that somebody else is starting
/// the same fleet.
fn somebody_was_faster(failure: &Failure) -> bool {
    failure
        .fault
        .as_ref()
        .is_some_and(|fault| fault.kind == FaultKind::Exists || fault.code == "IdempotentParameterMismatch")
}
