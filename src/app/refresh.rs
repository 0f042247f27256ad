//! `recycle now --instance-refresh`: Auto Scaling replaces the hosts of the fleet's own group, and is watched.

use super::campaign::{Look, Order, RENEW};
use super::context::Context;
use super::hold::Held;
use crate::cli::request::{Renew, Until as CliUntil};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::Fold;
use crate::model::{Image, Instance, InstanceId, Survey, tags};
use crate::plan::launch::{check_attested, choose_image};
use crate::plan::renew::check_release;
use crate::plan::{Action, Plan, Until, group, refresh};
use crate::steps::{Options, past};

impl Context {
    /// Has all hosts replaced that are to be; the size that the group has, and which of the old ones are gone.
    pub(super) async fn by_refresh(
        &self,
        held: &Held,
        asked: &Renew,
        skip_matching: bool,
    ) -> Result<(u32, Vec<InstanceId>), Failure> {
        let order = Order { verb: RENEW, arguments: format!("{asked:?}"), options: Options::default() };
        let ran =
            Box::pin(self.run(held, order, async |look| self.plan_refresh(look, asked, skip_matching).await)).await?;
        let survey = self.survey().await?;
        let wanted = survey.group.as_deref().map_or(0, |group| group.desired);
        let Some(journal) = ran.journal else { return Ok((wanted, Vec::new())) };
        let stays = |id: &InstanceId| survey.instances.iter().any(|host| host.id == *id && host.counts());
        let mut old = journal.with_fold(before);
        old.retain(|id| !stays(id));
        Ok((wanted, old))
    }

    async fn plan_refresh(&self, look: Look<'_>, asked: &Renew, skip_matching: bool) -> Result<Plan, Failure> {
        let history = Self::whole_history(look.state)?;
        let survey = past::without_ended(self.certain(look.survey, &history).await?, &history);
        self.check_strangers(&survey, &history)?;
        let of_group = self.fleet.fleet.as_ref().and_then(|hosts| Some((hosts, hosts.group.as_ref()?)));
        let Some((hosts, spec)) = of_group else {
            return Err(Failure::to(
                Exit::Usage,
                format!("begin an instance refresh: {} has no group (`fleet.mode: instances`)", self.fleet.name),
            )
            .hint("fleetwright recycle now     # in rounds, for hosts of any kind"));
        };
        let Some(there) = group::of(hosts, &survey)?.flatten() else {
            return Err(Failure::to(
                Exit::Usage,
                format!("find the group {} in {}", group::group_name(self.fleet.name.as_str()), self.fleet.region),
            )
            .hint("fleetwright launch     # makes it"));
        };
        let live: Vec<Instance> = survey.instances.iter().filter(|host| host.state.live()).cloned().collect();
        let image = self.image_for_new(asked, &survey, &live).await?;
        let follow = self.followed(&survey, &image, None).await?;
        let until = match (asked.until, &self.fleet.worker) {
            (Some(CliUntil::Running), _) => Until::Running,
            (Some(CliUntil::Ready), _) | (None, Some(_)) => Until::Ready,
            (Some(CliUntil::Ssh), _) | (None, None) => Until::Ssh,
        };
        let preferences = refresh::preferences(spec, there.desired, asked.surge, skip_matching);
        Ok(refresh::plan(&self.fleet, hosts, (there, preferences), &live, (until, follow), look.request))
    }

    /// The image that new hosts are launched from; one that lacks what was pushed is refused unless told otherwise.
    pub(super) async fn image_for_new(
        &self,
        asked: &Renew,
        survey: &Survey,
        live: &[Instance],
    ) -> Result<Image, Failure> {
        let image = match &asked.launch.image {
            Some(id) => {
                let named = self.named_image(id).await?;
                check_attested(&named, asked.launch.unattested)?;
                named
            }
            None => choose_image(&survey.images, &self.fleet.image, asked.launch.unattested)?.clone(),
        };
        if !asked.stale_image {
            let born = image.tags.get(tags::RELEASE);
            check_release(live, (&image.id, born), self.release_digest()?.as_deref())?;
        }
        Ok(image)
    }
}

/// The hosts that were there when the run was planned.
fn before(fold: &Fold) -> Vec<InstanceId> {
    let plan = fold.begun.as_ref().and_then(|begun| serde_json::from_value::<Plan>(begun.plan.clone()).ok());
    let steps = plan.map(|plan| plan.steps).unwrap_or_default();
    steps
        .into_iter()
        .find_map(|step| match step.action {
            Action::Settle { existing, .. } => Some(existing),
            _ => None,
        })
        .unwrap_or_default()
}
