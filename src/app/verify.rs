//! `verify`: what must be true of the template before it is copied.

use super::Told;
use super::build::After;
use super::campaign::Order;
use super::context::Context;
use super::hold::Held;
use crate::cli::request::Verify;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::plan::{Unplannable, verify};
use crate::report::answer::Verified;
use crate::spec::playbook::Action;
use crate::spec::{Need, Playbook, require};
use crate::steps::Options;

impl Context {
    /// Whether the verify playbook reboots the template.
    pub(super) fn reboots(&self) -> bool {
        let reboot =
            |playbook: &Playbook| playbook.steps.iter().any(|step| matches!(step.action, Action::Reboot { .. }));
        self.verify.as_deref().is_some_and(reboot)
    }

    pub(super) async fn verify(&self, wanted: Verify) -> Result<Exit, Failure> {
        let held = self.hold("verify").await?;
        let after = After::unless(wanted.keep, After::Stays);
        let work = async |there: &Self| there.verify_held(&held, wanted).await;
        let answer = Box::pin(self.based()).await?.with_template(&held, after, work).await?;
        self.tell(Told::good(answer))
    }

    /// Verifies under a claim that is held already.
    pub(super) async fn verify_held(&self, held: &Held, wanted: Verify) -> Result<Verified, Failure> {
        self.need(Need::Template)?;
        let Some(template) = self.fleet.template.clone() else {
            return Err(Failure::new(Exit::Usage, "verify: the spec has no `template` section"));
        };
        let mut template = template;
        if wanted.skip_canary {
            template.canary = None;
        }
        let mut options = Options::default();
        if template.canary.is_some() && self.unasked().is_none() {
            let items = self.items(held).await?;
            options.items = Some(items.items);
        }
        let order = Order { verb: "verify", arguments: format!("{wanted:?}"), options };
        self.settle_others(held, &order).await?;
        let ran = self
            .run(held, order, async |look| {
                let reboots = self.reboots();
                let group = look.survey.template.as_ref().and_then(|instance| instance.group.clone());
                if let Some(group) = group.filter(|_| reboots && !wanted.allow_member) {
                    return Err(Unplannable::new(
                        Exit::Refused,
                        format!(
                            "template {} is a member of Auto Scaling group {group}: rebooted, it may be replaced",
                            template.id()
                        ),
                        "verify an instance outside the group, or say --allow-member",
                    )
                    .into());
                }
                Ok(verify::plan(&self.fleet, &template, reboots, &look.run.short(), look.request))
            })
            .await?;
        Ok(Verified {
            template: template.id().to_string(),
            run: ran.run.map(|run| run.to_string()),
            verified: true,
            api_calls: self.calls(),
        })
    }

    /// Whether a section is there, without complaining.
    pub(super) fn has(&self, need: Need) -> bool {
        require(&self.fleet, &[need]).is_ok()
    }
}
