//! `recycle now`: hosts give way to new ones, a few at a time. Every round starts from what is there; `plan/renew.rs` decides
//! it, and a launch or a smaller fleet like any other carries it out.

use super::Told;
use super::campaign::{Opened, Order, RENEW};
use super::context::{Context, state};
use super::hold::Held;
use super::watch::Watch;
use crate::cli::request::{Launch, Renew, Until as CliUntil};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{Begun, History};
use crate::model::{Instance, InstanceId, count};
use crate::plan::renew::{STEP, Turn, Wanted, check_there, plan, turn};
use crate::plan::{Action, Plan, scale};
use crate::report::answer::{LiveHosts, Scaled};
use crate::spec::Need;
use crate::steps::{Options, past};
use jiff::SignedDuration;
use serde_json::json;
use std::collections::BTreeSet;

/// What a plan says to do about hosts.
struct Going {
    hosts: Vec<InstanceId>,
    size: u32,
    surge: u32,
}

fn going(plan: &Plan) -> Option<Going> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Renew { hosts, size, surge } => Some(Going { hosts: hosts.clone(), size: *size, surge: *surge }),
        _ => None,
    })
}

/// What became of the hosts that were to give way.
#[derive(Default)]
struct Gave {
    ended: Vec<InstanceId>,
    /// Protected since that was planned.
    stay: Vec<InstanceId>,
}

impl Context {
    pub(super) async fn renew(&self, asked: &Renew) -> Result<Exit, Failure> {
        self.need(Need::Hosts)?;
        let held = self.hold(RENEW).await?;
        let (wanted, gave) = match asked.refresh {
            None => self.in_rounds(&held, asked).await?,
            Some(skip_matching) => {
                let (wanted, ended) = self.by_refresh(&held, asked, skip_matching).await?;
                (wanted, Gave { ended, ..Gave::default() })
            }
        };
        let live = self.live_hosts(&held.state).await?;
        let ended = gave.ended.iter().map(ToString::to_string).collect();
        let hosts = LiveHosts { wanted, live };
        let answer = Scaled { fleet: self.fleet.name.to_string(), hosts, ended, api_calls: self.calls() };
        // It came for one that was protected in the meantime.
        let too_many = !gave.stay.is_empty() && u32::try_from(live).is_ok_and(|live| live > wanted);
        let failure = too_many.then(|| {
            let names = gave.stay.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(", ");
            Failure::to(
                Exit::Partial,
                format!("end {names}, which was protected meanwhile: {live} of {wanted} are there"),
            )
            .hint(format!("fleetwright scale {wanted}     # ends others in their place"))
        });
        self.tell(Told { answer, failure })
    }

    /// Replaces them by launches and smaller fleets of our own; the size that was asked for, and which gave way.
    async fn in_rounds(&self, held: &Held, asked: &Renew) -> Result<(u32, Gave), Failure> {
        let history = Self::whole_history(&held.state)?;
        let of_spec = self.fleet.fleet.as_ref().map_or(0, |hosts| hosts.size);
        let wanted = Wanted {
            size: past::wish(&history).map_or(of_spec, |wish| wish.size),
            surge: asked.surge,
            older_than: asked.older_than.unwrap_or_default().try_into().unwrap_or(SignedDuration::MAX),
        };
        let arguments = format!("{asked:?} {}", wanted.size);
        let order = Order { verb: RENEW, arguments, options: Options::default() };
        let opened = self
            .open(held, &order, async |look| {
                let history = Self::whole_history(look.state)?;
                self.check_launching(&history)?;
                let survey = past::without_ended(self.certain(look.survey, &history).await?, &history);
                self.check_strangers(&survey, &history)?;
                Self::check_known(&survey, &history)?;
                self.check_members(&survey).await?;
                let group = survey.group.as_deref();
                let live: Vec<Instance> = survey.instances.iter().filter(|host| host.state.live()).cloned().collect();
                check_there(&self.fleet, (&live, past::unseen(&history, &survey).len()), wanted.size)?;
                self.image_for_new(asked, &survey, &live).await?;
                let planned = |guarded: &BTreeSet<InstanceId>| {
                    plan(&self.fleet, (&live, group, guarded), wanted, look.request.clone(), self.clock.now())
                };
                let chosen = planned(&BTreeSet::new());
                let guarded = self.guarded(&going(&chosen).map(|going| going.hosts).unwrap_or_default()).await?;
                Ok(planned(&guarded))
            })
            .await?;
        let gave = match opened {
            Some(opened) => self.renewed(held, asked, &opened).await?,
            None => Gave::default(),
        };
        Ok((wanted.size, gave))
    }

    /// Refuses to begin beside a launch that is unfinished: the first host to come would be refused for it, and `resume` would
    /// go on with the recycling.
    fn check_launching(&self, history: &History) -> Result<(), Failure> {
        let launches = |begun: &&Begun| begun.verb == "launch" && !past::gives_way(begun) && !self.global.replan;
        let open = history.unfinished().find_map(|past| past.fold.begun.as_ref().filter(launches));
        open.map_or(Ok(()), |begun| {
            Err(Failure::new(Exit::Refused, format!("run {} of launch is unfinished", begun.run))
                .hint(format!("fleetwright resume {}     # finishes it; then again", begun.run))
                .hint("or the same command with --replan: from what is there"))
        })
    }

    /// Rounds until all have given way; which they were. What fails stays open: the same command goes on.
    async fn renewed(&self, held: &Held, asked: &Renew, opened: &Opened) -> Result<Gave, Failure> {
        self.started(opened.run, RENEW, opened.resumed);
        let going =
            going(&opened.plan).ok_or_else(|| Failure::to(Exit::State, "find in the plan which hosts give way"))?;
        // The plan was agreed to, and so its rounds are.
        self.standing.store(true, std::sync::atomic::Ordering::Relaxed);
        // What was planned some time ago may have been protected since.
        let kept = if opened.resumed { self.guarded(&going.hosts).await } else { Ok(BTreeSet::new()) };
        let ran = match kept {
            Ok(kept) => self.rounds(held, asked, &going, kept).await,
            Err(failure) => Err(failure),
        };
        if ran.is_err() && self.stopped().is_none() {
            self.ask_no_more(held, going.size).await;
        }
        self.standing.store(false, std::sync::atomic::Ordering::Relaxed);
        let stay = ran.map_err(|failure| failure.hint("the same command again goes on where this stopped"))?;
        for id in &stay {
            self.events.warn(format!("host {id} stays: it was protected since this was planned"));
        }
        let ended: Vec<InstanceId> = going.hosts.into_iter().filter(|id| !stay.contains(id)).collect();
        let now = self.clock.now();
        // Killed between this record and the next, it comes here again.
        if !opened.journal.with_fold(|fold| fold.steps.contains_key(STEP)) {
            opened.journal.step(STEP, json!({ "ended": ended }), now).map_err(state)?;
        }
        opened.journal.end(Exit::Done, now).map_err(state)?;
        Ok(Gave { ended, stay })
    }

    /// Rounds until none is left that may go; those that may not. `kept` is what EC2's termination protection is known to keep.
    async fn rounds(
        &self,
        held: &Held,
        asked: &Renew,
        going: &Going,
        mut kept: BTreeSet<InstanceId>,
    ) -> Result<Vec<InstanceId>, Failure> {
        let until = asked.until.unwrap_or(match self.fleet.worker {
            Some(_) => CliUntil::Ready,
            None => CliUntil::Ssh,
        });
        let watch = Watch { held: Some(held), size: None };
        loop {
            // A round that was cut short comes first: what it asked for may be there already.
            self.finish_replacement(held).await?;
            self.finish_shrinking(held).await?;
            let history = Self::whole_history(&held.state)?;
            let survey = past::without_ended(self.survey().await?, &history);
            let unseen = past::unseen(&history, &survey).len();
            let live: Vec<Instance> = survey.instances.into_iter().filter(|host| host.state.live()).collect();
            // A group may protect one of them since.
            let group = survey.group.as_ref();
            let may = |id: &&InstanceId| !kept.contains(*id) && !group.is_some_and(|group| group.protects(id));
            let may: Vec<InstanceId> = going.hosts.iter().filter(may).cloned().collect();
            match turn(&live, unseen, &may, (going.size, going.surge), group.is_some()) {
                Turn::Done => {
                    let stay = live.into_iter().map(|host| host.id);
                    return Ok(stay.filter(|id| going.hosts.contains(id)).collect());
                }
                Turn::Launch(n) => {
                    let launch = Launch { n: Some(n), until, keep: true, ..asked.launch.clone() };
                    let before = live.iter().filter(|host| host.has_place()).count() + unseen;
                    let now = self.replace(&watch, &launch).await?.unwrap_or(before);
                    if now <= before {
                        return Err(Failure::to(
                            Exit::Capacity,
                            format!("launch a host more than the {before} there are"),
                        )
                        .hint("no host was ended for one that did not come"));
                    }
                }
                Turn::End(hosts) => {
                    let guarded = self.guarded(&hosts).await?;
                    if !guarded.is_empty() {
                        kept.extend(guarded);
                        continue;
                    }
                    let have = live.iter().filter(|host| host.has_place()).count() + unseen;
                    if !Self::never_up(&history, &live, &going.hosts).is_empty() {
                        // An earlier call gave them up: they are waited for once more before anything is ended.
                        let have = u32::try_from(have).unwrap_or(u32::MAX);
                        let launch = Launch { n: Some(have), until, keep: true, ..asked.launch.clone() };
                        self.replace(&watch, &launch).await?;
                    }
                    let history = Self::whole_history(&held.state)?;
                    Self::check_up(&Self::never_up(&history, &live, &going.hosts))?;
                    self.end_for_new(held, asked.drain, &hosts).await?;
                }
            }
        }
    }

    /// Lets the fleet's group ask no longer for hosts that did not come: they would come when nobody waits for them.
    async fn ask_no_more(&self, held: &Held, size: u32) {
        let asked = self
            .shrink(held, format!("{RENEW} no more"), async |look, live, unseen| {
                let have = live.iter().filter(|host| host.has_place()).count() + unseen;
                let left = u32::try_from(have).unwrap_or(u32::MAX).max(size);
                let mut plan = scale::no_more(&self.fleet, look.survey.group.as_deref(), left, look.request.clone());
                plan.notes.push(past::GIVES_WAY.to_owned());
                Ok(plan)
            })
            .await;
        if let Err(failure) = asked {
            self.events.warn(failure.to_string());
        }
    }

    /// New hosts that no launch saw up.
    fn never_up<'a>(history: &History, live: &'a [Instance], going: &[InstanceId]) -> Vec<&'a str> {
        let unsettled = past::unsettled(history, live);
        let never = |host: &&Instance| !going.contains(&host.id) && unsettled.contains(&host.id) && host.counts();
        live.iter().filter(never).map(|host| host.id.as_str()).collect()
    }

    /// Refuses to end a host for a new one that never came up.
    fn check_up(ids: &[&str]) -> Result<(), Failure> {
        let Some(first) = ids.first() else { return Ok(()) };
        let names = ids.join(",");
        Err(Failure::to(
            Exit::Partial,
            format!("replace hosts: {} never came up: {names}", count(ids.len(), "new one")),
        )
        .hint(format!("fleetwright status --why {first}"))
        .hint(format!("fleetwright down --only {names}     # ends what is of no use")))
    }

    /// Drains and ends hosts in whose place others are there.
    async fn end_for_new(&self, held: &Held, drain: bool, hosts: &[InstanceId]) -> Result<(), Failure> {
        let arguments = format!("{RENEW} {hosts:?} {drain}");
        let (ended, _) = self
            .shrink(held, arguments, async |look, live, unseen| {
                let mut plan = scale::of(&self.fleet, (live, unseen), hosts, drain, look.request.clone());
                plan.notes.push(past::GIVES_WAY.to_owned());
                Ok(plan)
            })
            .await?;
        let ended: BTreeSet<String> = ended.ended.into_iter().collect();
        let kept: Vec<&str> = hosts.iter().map(InstanceId::as_str).filter(|id| !ended.contains(*id)).collect();
        if kept.is_empty() {
            return Ok(());
        }
        Err(Failure::to(Exit::Partial, format!("end {}: they could not be drained", kept.join(", ")))
            .hint("fleetwright recycle now --no-drain     # what they have in hand comes back later"))
    }

    /// Goes on with a drain that was cut short.
    async fn finish_shrinking(&self, held: &Held) -> Result<(), Failure> {
        let history = Self::whole_history(&held.state)?;
        let open = history.unfinished().find_map(|past| {
            let begun = past.fold.begun.as_ref().filter(|begun| begun.verb == "scale")?;
            past::gives_way(begun).then(|| begun.run.clone())
        });
        let Some(run) = open else { return Ok(()) };
        self.going_on(run, async || {
            let nothing = async |look: &super::campaign::Look<'_>, live: &[Instance], unseen: usize| {
                Ok(scale::of(&self.fleet, (live, unseen), &[], false, look.request.clone()))
            };
            self.shrink(held, String::new(), nothing).await.map(drop)
        })
        .await
    }
}
