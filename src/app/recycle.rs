//! `recycle`: the scheduled actions by which a group replaces its hosts, and what they will do.

use super::Told;
use super::campaign::Order;
use super::context::Context;
use crate::cli::request::Recycle;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{Group, ScheduledAction, count};
use crate::plan::Plan;
use crate::plan::group::group_name;
use crate::plan::recycle::preview::preview;
use crate::plan::recycle::{Facts, follow, ours, plan, wanted};
use crate::report::answer::{ActionLine, Foretold, Recycled};
use crate::spec::{self, Need};
use crate::steps::Options;
use jiff::SignedDuration;

/// What was read of a group.
struct Seen {
    group: Group,
    actions: Vec<ScheduledAction>,
    scaling: Vec<String>,
}

impl Context {
    pub(super) async fn recycle(&self, asked: Recycle) -> Result<Exit, Failure> {
        self.need(Need::Recycle)?;
        let Some(recycle) = &self.fleet.recycle else {
            return Err(Failure::to(Exit::Bug, "find `recycle` in a spec that has it"));
        };
        match asked {
            Recycle::Apply => self.schedule("recycle apply", recycle, true).await,
            Recycle::Remove => self.schedule("recycle remove", recycle, false).await,
            Recycle::List => {
                self.check_account().await?;
                self.tell(Told::good(self.scheduled(&recycle.group, None).await?))
            }
            Recycle::Preview { days } => {
                self.check_account().await?;
                let seen = self.seen(&recycle.group).await?;
                let ahead = SignedDuration::from_hours(24 * i64::from(days));
                let told = preview(&self.fleet, recycle, &self.group_facts(&seen), ahead);
                let mut hosts: Vec<_> = seen.group.members.iter().filter(|member| member.counts()).collect();
                hosts.sort_by_key(|member| member.launched);
                self.tell(Told::good(Foretold {
                    group: recycle.group.clone(),
                    hosts: hosts.into_iter().map(|member| member.id.to_string()).collect(),
                    termination_policies: seen.group.policies.clone(),
                    nights: told.nights,
                    warnings: told.warnings,
                    settings: told.settings,
                    api_calls: self.calls(),
                }))
            }
        }
    }

    /// Makes the group's actions of this fleet those of the spec, or none.
    async fn schedule(&self, verb: &str, recycle: &spec::Recycle, apply: bool) -> Result<Exit, Failure> {
        let held = self.hold(verb).await?;
        let order = Order { verb, arguments: format!("{recycle:?}"), options: Options::default() };
        let ran = self
            .run(&held, order, async |look| {
                let seen = self.seen(&recycle.group).await?;
                let facts = self.group_facts(&seen);
                let wanted = if apply { wanted(&self.fleet, recycle, &facts)? } else { Vec::new() };
                Ok(plan(&self.fleet, verb, &facts, &wanted, look.request)?)
            })
            .await?;
        self.tell(Told::good(self.scheduled(&recycle.group, ran.run.map(|run| run.to_string())).await?))
    }

    /// Tells of the windows that a teardown leaves on a group that is not the fleet's: they go on bringing and ending its hosts.
    pub(super) async fn tell_of_windows(&self) {
        let own = group_name(self.fleet.name.as_str());
        let Some(recycle) = self.fleet.recycle.as_ref().filter(|recycle| recycle.group != own) else { return };
        let group = &recycle.group;
        match self.windows_on(group).await {
            Ok(0) => {}
            Ok(left) => self.events.note(format!(
                "{} of this fleet on {group} go on: `fleetwright recycle remove` takes them off",
                count(left, "scheduled action")
            )),
            Err(failure) => self.events.note(format!(
                "scheduled actions of this fleet on {group} would go on, if there are any: {failure}; `fleetwright recycle remove` \
                 takes them off"
            )),
        }
    }

    /// How many scheduled actions of this fleet a group has.
    async fn windows_on(&self, group: &str) -> Result<usize, Failure> {
        let (clients, what) = (self.clients().await?, format!("look at the group {group}"));
        if self.read(&what, async || clients.group(group).await).await?.is_none() {
            return Ok(0);
        }
        let actions = self.read(&what, async || clients.scheduled_actions(group).await).await?;
        Ok(actions.iter().filter(|action| ours(&self.fleet, group, &action.name)).count())
    }

    /// A plan that gives the fleet's own group another size, its windows with it.
    pub(super) async fn with_windows(&self, mut plan: Plan, there: Option<&Group>) -> Result<Plan, Failure> {
        let own = group_name(self.fleet.name.as_str());
        let recycle = self.fleet.recycle.as_ref().filter(|recycle| recycle.group == own && there.is_some());
        if let Some(recycle) = recycle.filter(|_| !plan.is_empty()) {
            let seen = self.seen(&own).await?;
            follow(&mut plan, &self.fleet, recycle, &self.group_facts(&seen));
        }
        Ok(plan)
    }

    fn group_facts<'a>(&self, seen: &'a Seen) -> Facts<'a> {
        Facts { group: &seen.group, actions: &seen.actions, scaling: &seen.scaling, now: self.clock.now() }
    }

    async fn seen(&self, name: &str) -> Result<Seen, Failure> {
        let clients = self.clients().await?;
        let what = format!("look at the group {name}");
        let group = self.read(&what, async || clients.group(name).await).await?.ok_or_else(|| {
            let hint = if name == group_name(self.fleet.name.as_str()) {
                "fleetwright launch     # makes it"
            } else {
                "correct `recycle.group` in the spec; the name counts letter by letter"
            };
            Failure::to(Exit::Usage, format!("find the group {name} in {}", self.fleet.region)).hint(hint)
        })?;
        let actions = self.read(&what, async || clients.scheduled_actions(name).await).await?;
        let scaling = self.read(&what, async || clients.scaling_policies(name).await).await?;
        Ok(Seen { group, actions, scaling })
    }

    /// The group's scheduled actions as they are now.
    async fn scheduled(&self, name: &str, run: Option<String>) -> Result<Recycled, Failure> {
        let mut actions = self.seen(name).await?.actions;
        actions.sort_by(|one, other| (one.start, &one.name).cmp(&(other.start, &other.name)));
        let ours = |action: &ScheduledAction| ours(&self.fleet, name, &action.name);
        Ok(Recycled {
            group: name.to_owned(),
            actions: actions
                .into_iter()
                .map(|action| (ours(&action), action))
                .map(|(ours, action)| ActionLine::new(action, ours))
                .collect(),
            run,
            api_calls: self.calls(),
        })
    }
}
