//! `extend`: hosts power themselves off later.

use super::Told;
use super::campaign::Order;
use super::context::Context;
use crate::cli::request::Extend;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::plan::extend;
use crate::plan::group::DEADMAN;
use crate::report::answer::LivesLonger;
use crate::steps::{Extended, Options, past};
use jiff::{SignedDuration, Timestamp};

impl Context {
    pub(super) async fn extend(&self, wanted: Extend) -> Result<Exit, Failure> {
        let held = self.hold("extend").await?;
        let by = SignedDuration::try_from(wanted.by)
            .map_err(|e| Failure::to(Exit::Usage, format!("extend by {:?}: {e}", wanted.by)))?;
        let order = Order { verb: "extend", arguments: format!("{wanted:?}"), options: Options::default() };
        let ran = self
            .run(&held, order, async |look| {
                let live: Vec<_> = look.survey.instances.iter().filter(|host| host.state.live()).cloned().collect();
                let group = look.survey.group.as_deref().map(|group| group.name.as_str());
                let grouped = match group {
                    Some(group) => Some((group, self.group_end(group).await?)),
                    None => None,
                };
                let mut plan = extend::plan(&self.fleet, &live, grouped, by, self.clock.now(), look.request);
                if grouped.is_some() && self.fleet.recycle.is_some() {
                    plan.notes
                        .push("windows end when the group did: `fleetwright recycle apply` moves them, too".to_owned());
                }
                let unseen = past::unseen(&Self::whole_history(look.state)?, look.survey).len();
                if unseen > 0 {
                    plan.notes.push(format!(
                        "{unseen} hosts that were launched just now can't be seen yet: they stay as they are"
                    ));
                }
                Ok(plan)
            })
            .await?;
        let extended: Option<Extended> = match ran.journal {
            None => None,
            Some(journal) => {
                let output = journal.with_fold(|fold| fold.steps.get("extend").cloned()).unwrap_or_default();
                Some(
                    serde_json::from_value(output)
                        .map_err(|e| Failure::to(Exit::Bug, format!("read what the extension came to: {e}")))?,
                )
            }
        };
        self.tell(Told::good(LivesLonger {
            fleet: self.fleet.name.to_string(),
            until: extended.as_ref().map(|extended| extended.until),
            hosts: extended.map(|extended| extended.hosts).unwrap_or_default(),
            api_calls: self.calls(),
        }))
    }

    /// When a group goes to zero.
    pub(super) async fn group_end(&self, group: &str) -> Result<Option<Timestamp>, Failure> {
        let clients = self.clients().await?;
        let what = format!("list the scheduled actions of {group}");
        let actions = self.read(&what, async || clients.scheduled_actions(group).await).await?;
        Ok(actions.iter().find(|action| action.name == DEADMAN).and_then(|action| action.start))
    }
}
