//! `scale`: the fleet has N hosts, whether it had more or fewer; and `down --only`, which names the hosts that go.

use super::Told;
use super::campaign::{Look, Order};
use super::context::Context;
use super::hold::Held;
use crate::cli::request::{GoesFirst, HostPick, Scale, Target as Picks};
use crate::engine::failure::Failure;
use crate::engine::fanout::{Lanes, fan_out};
use crate::exit::Exit;
use crate::journal::{Begun, FleetDir};
use crate::model::{Group, Host, HostReport, HostResult, Instance, InstanceId, count_is, shell_word};
use crate::plan::scale::{self, Load};
use crate::plan::waves::{MaxFail, Waves};
use crate::plan::{Plan, slots};
use crate::report::answer::{Launched, LiveHosts, Scaled};
use crate::ssh::{Input, Limits, Target};
use crate::steps::{Options, past};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Prints how many children the worker's processes have, and the host's load average of a minute. The text that tells the
/// worker is on standard input, so that it is in no command line.
const ASK: &str = r#"
IFS= read -r wanted
mine=' '
for dir in /proc/[0-9]*; do
    line=$(tr '\0' ' ' 2>/dev/null <"$dir/cmdline") || continue
    case $line in *"$wanted"*) mine="$mine${dir#/proc/} ";; esac
done
n=0
for dir in /proc/[0-9]*; do
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$dir/status" 2>/dev/null)
    case $mine in *" $parent "*) n=$((n + 1));; esac
done
read -r load rest </proc/loadavg
echo "$n $load"
"#;
/// A fleet that somebody changes while it is scaled is scaled again so often; then the operator has to look.
const ROUNDS: usize = 3;
/// For one host, wall time.
const SHORT: Limits = Limits { timeout: Duration::from_secs(30), max_output: 4096 };

impl Context {
    pub(super) async fn scale(&self, wanted: Scale) -> Result<Exit, Failure> {
        let held = self.hold("scale").await?;
        self.adopt_first(&held, wanted.launch.adopt).await?;
        let mut told: Option<Scaled> = None;
        for _ in 0..ROUNDS {
            let (now, over) = match self.scaled(&held, &wanted).await {
                Ok(round) => round,
                Err(failure) => return self.fallen_short(told, failure),
            };
            let ended = told.into_iter().flat_map(|before| before.ended).chain(now.ended).collect();
            let (there, now) = (now.hosts.live, Scaled { ended, ..now });
            if over {
                self.note_size(wanted.n);
                return self.tell(Told::good(now));
            }
            if self.applied.is_some() {
                let what = format!("scale to {}: {} there, and the plan is done", wanted.n, count_is(there, "host"));
                let failure = Failure::to(Exit::Partial, what).hint(format!("fleetwright scale {}", wanted.n));
                return self.fallen_short(Some(now), failure);
            }
            self.events.note(format!("{} there, {} are wanted: once more", count_is(there, "host"), wanted.n));
            told = Some(now);
        }
        let what = format!("scale to {}: another number is there after {ROUNDS} rounds", wanted.n);
        let failure =
            Failure::to(Exit::Partial, what).hint("fleetwright status     # what is there, and why hosts ended");
        self.fallen_short(told, failure)
    }

    /// Tells what the rounds before a failure came to.
    fn fallen_short(&self, told: Option<Scaled>, failure: Failure) -> Result<Exit, Failure> {
        match told {
            Some(answer) => self.tell(Told { answer, failure: Some(failure) }),
            None => Err(failure),
        }
    }

    /// Says that a spec of more hosts would have the last word.
    fn note_size(&self, n: u32) {
        if let Some(size) = self.fleet.fleet.as_ref().map(|hosts| hosts.size).filter(|size| *size > n) {
            self.events.note(format!(
                "fleet.size is {size}: `launch` and `up` would bring the fleet back to it; set it to {n} to stay there"
            ));
        }
    }

    /// One round of launching or ending, from what is there; and whether that is final: a launch says itself what it
    /// lacks, and without a run nothing was changed, by anybody.
    async fn scaled(&self, held: &Held, wanted: &Scale) -> Result<(Scaled, bool), Failure> {
        let survey = self.survey().await?;
        let history = Self::whole_history(&held.state)?;
        let asked = self.request(&self.launch_order(&wanted.launch));
        let begun =
            |wanted: &dyn Fn(&Begun) -> bool| history.unfinished().any(|p| p.fold.begun.as_ref().is_some_and(wanted));
        let shrinking = begun(&|begun| begun.verb == "scale");
        // Its hosts may all be there, and then there is more to do with them, or nobody knows.
        let growing = begun(&|begun| begun.verb == "launch" && begun.request == asked);
        let survey = past::without_ended(survey, &history);
        let have =
            survey.instances.iter().filter(|host| host.has_place()).count() + past::unseen(&history, &survey).len();
        let n = usize::try_from(wanted.n).unwrap_or(usize::MAX);
        if growing || !shrinking && have < n {
            let Launched { fleet, hosts, api_calls } = self.launch_held(held, &wanted.launch).await?;
            return Ok((Scaled { fleet, hosts, ended: Vec::new(), api_calls }, true));
        }
        let arguments = format!("{} {:?} {}", wanted.n, wanted.order, wanted.drain);
        let (answer, ran) = self
            .shrink(held, arguments, async |look, live, unseen| {
                self.check_members(look.survey).await?;
                let loads = match wanted.order {
                    GoesFirst::Idlest => self.loads(look.state, live).await?,
                    GoesFirst::Oldest | GoesFirst::Newest => BTreeMap::new(),
                };
                let order = match wanted.order {
                    GoesFirst::Oldest => scale::Order::Oldest,
                    GoesFirst::Newest => scale::Order::Newest,
                    GoesFirst::Idlest => scale::Order::Idlest,
                };
                let (size, drain, request) = (wanted.n, wanted.drain, look.request.clone());
                let wished = past::wish(&Self::whole_history(look.state)?).map(|wish| wish.size);
                let (fleet, group, loads) = (&self.fleet, look.survey.group.as_deref(), &loads);
                let mut kept = BTreeSet::new();
                let plan = loop {
                    let (guarded, request) = (&kept, request.clone());
                    let plan = scale::plan(&scale::Input {
                        fleet,
                        live,
                        unseen,
                        group,
                        size,
                        wished,
                        order,
                        guarded,
                        loads,
                        drain,
                        request,
                    })?;
                    // Asked of what is chosen alone: another goes in the place of one that EC2 keeps.
                    let more = self.guarded(scale::ends(&plan)).await?;
                    if more.is_empty() {
                        break plan;
                    }
                    kept.extend(more);
                };
                self.with_windows(plan, group).await
            })
            .await?;
        let live = answer.hosts.live;
        let over = match &survey.group {
            // Hosts of a group come and go after the call that asks for them: its number is the one that counts, unless
            // somebody deletes it.
            Some(group) => {
                let (clients, what) = (self.clients().await?, format!("look at the group {}", group.name));
                let group = self.read(&what, async || clients.group_alone(&group.name).await).await?;
                let stays = |group: &Group| group.status.is_none() && (!ran || group.desired == wanted.n);
                group.map_or(wanted.n == 0, |group| stays(&group))
            }
            None => live == n || !ran && live == have,
        };
        Ok((Scaled { hosts: LiveHosts { wanted: wanted.n, ..answer.hosts }, ..answer }, over))
    }

    /// Drains and ends the hosts that were named, and no others.
    pub(super) async fn down_only(&self, only: &BTreeSet<HostPick>, adopt: bool, drain: bool) -> Result<Exit, Failure> {
        let held = self.hold("down").await?;
        self.adopt_first(&held, adopt).await?;
        let arguments = format!("only {only:?} {drain}");
        let answer = self
            .shrink(&held, arguments, async |look, live, unseen| {
                let chosen = self.named(look, live, only)?;
                let group = look.survey.group.as_deref();
                let guarded = self.guarded(&chosen).await?;
                let kept: Vec<&Instance> = live
                    .iter()
                    .filter(|host| chosen.contains(&host.id))
                    .filter(|host| guarded.contains(&host.id) || scale::protected(host, group))
                    .collect();
                // Before its worker is drained, not after.
                if let Some(first) = kept.first() {
                    let ids: Vec<&str> = kept.iter().map(|host| host.id.as_str()).collect();
                    let mut failure =
                        Failure::new(Exit::Refused, format!("refused to end what is protected: {}", ids.join(" ")));
                    if scale::protected(first, group) {
                        failure = failure.hint(format!("fleetwright protect {} --off     # lets it end", first.id));
                    }
                    return Err(match guarded.first() {
                        Some(id) => failure.hint(format!(
                            "aws ec2 modify-instance-attribute --no-disable-api-termination --instance-id {id}     # takes EC2's \
                             termination protection off"
                        )),
                        None => failure,
                    });
                }
                let plan = scale::of(&self.fleet, (live, unseen), &chosen, drain, look.request.clone());
                self.with_windows(plan, look.survey.group.as_deref()).await
            })
            .await?;
        self.tell(Told::good(answer.0))
    }

    /// Runs a plan that ends some hosts, made from what is certain to be there; and whether there was one to run.
    pub(super) async fn shrink(
        &self,
        held: &Held,
        arguments: String,
        planner: impl AsyncFn(&Look<'_>, &[Instance], usize) -> Result<Plan, Failure>,
    ) -> Result<(Scaled, bool), Failure> {
        let history = Self::whole_history(&held.state)?;
        // Hosts that a launch of unknown outcome may still bring are not counted: it comes first.
        if let Some(at) = past::open_creation(&history) {
            return Err(Failure::new(
                Exit::Refused,
                format!("scale: the outcome of a launch of {at} is unknown, so nobody knows how many hosts there are"),
            )
            .hint("fleetwright resume     # finds out, and finishes the launch"));
        }
        let options = Options::default();
        let ran = self
            .run(held, Order { verb: "scale", arguments, options }, async |look| {
                let history = Self::whole_history(look.state)?;
                let survey = past::without_ended(self.certain(look.survey, &history).await?, &history);
                self.check_strangers(&survey, &history)?;
                let unseen = past::unseen(&history, &survey).len();
                let live: Vec<Instance> = survey.instances.into_iter().filter(|host| host.state.live()).collect();
                planner(&look, &live, unseen).await
            })
            .await?;
        let ended = ran
            .journal
            .and_then(|journal| journal.with_fold(|fold| fold.steps.get("end").cloned()))
            .and_then(|output| serde_json::from_value(output.get("ended")?.clone()).ok())
            .unwrap_or_default();
        let live = self.live_hosts(&held.state).await?;
        let scaled = Scaled {
            fleet: self.fleet.name.to_string(),
            hosts: LiveHosts { wanted: u32::try_from(live).unwrap_or(u32::MAX), live },
            ended,
            api_calls: self.calls(),
        };
        Ok((scaled, ran.run.is_some()))
    }

    /// Ids of the hosts that were named by id or slot and live; every name must be one of a host, and one that has ended
    /// needs nothing more.
    fn named(&self, look: &Look<'_>, live: &[Instance], only: &BTreeSet<HostPick>) -> Result<Vec<InstanceId>, Failure> {
        let history = Self::whole_history(look.state)?;
        let (known, gone) = (past::slots(&history), past::gone(&history));
        let slots = slots::assign(&known, live);
        let seen = |id: &InstanceId| look.survey.instances.iter().any(|host| host.id == *id && !host.state.live());
        let mut hosts = Vec::new();
        for pick in only {
            let (host, was, name) = match pick {
                HostPick::Id(id) => (live.iter().find(|host| *id == host.id), Some(id), id.to_string()),
                HostPick::Slot(slot) => {
                    let was = known.iter().find(|(_, one)| *one == slot).map(|(id, _)| id);
                    (live.iter().find(|host| slots.get(&host.id) == Some(slot)), was, format!("slot {slot}"))
                }
            };
            match (host, was) {
                (Some(host), _) => hosts.push(host.id.clone()),
                (None, Some(id)) if gone.contains(id) || seen(id) => {
                    self.events.note(format!("{id} has ended already"));
                }
                (None, _) => {
                    let live = format!("find {name} among the live hosts of {}", self.fleet.name);
                    let failure = Failure::to(Exit::Usage, live);
                    return Err(failure.hint("fleetwright status     # lists ids and slots"));
                }
            }
        }
        Ok(hosts)
    }

    /// How busy each host is, where it could be asked.
    async fn loads(&self, dir: &FleetDir, live: &[Instance]) -> Result<BTreeMap<InstanceId, Load>, Failure> {
        let Some(worker) = &self.fleet.worker else {
            return Err(Failure::to(Exit::Usage, "tell which hosts are idle: the spec names no `worker`")
                .hint("fleetwright scale N --order oldest"));
        };
        let hosts: Vec<Host> = self.pick(dir, &Picks::default()).await?;
        let hosts: Vec<Host> = hosts.into_iter().filter(|host| live.iter().any(|i| i.id == host.id)).collect();
        let reach = self.reach(dir)?;
        self.learn_all(&reach, dir, &hosts).await?;
        let lanes = Lanes::new(usize::try_from(self.fleet.ssh.parallel).unwrap_or(64));
        let waves = Waves::plan(hosts.len(), 0, MaxFail::Percent(100));
        let wanted = format!("{}\n", worker.process).into_bytes();
        let cancel = self.cancel.stop_token();
        let asked = fan_out(hosts, &waves, &lanes, cancel, &self.events, |host, mut lane| {
            let (reach, wanted) = (reach.clone(), Input::Bytes(wanted.clone().into()));
            async move {
                let begun = Instant::now();
                let said = match reach.ssh.connect(&Target::of(&host), &reach.trust).await {
                    Ok(session) => {
                        lane.connected().await;
                        session.exec(&format!("sh -c {}", shell_word(ASK)), wanted, SHORT).await
                    }
                    Err(fault) => Err(fault),
                };
                let took = begun.elapsed();
                match said {
                    Ok(said) => HostReport {
                        host,
                        result: HostResult::Ok,
                        stage: None,
                        cause: None,
                        exit_status: None,
                        output: String::from_utf8_lossy(&said.stdout).into_owned(),
                        took,
                    },
                    Err(fault) => fault.host_report(host, took),
                }
            }
        })
        .await;
        self.check_cancel()?;
        Ok(asked.reports.into_iter().filter_map(|report| Some((report.host.id, load(&report.output)?))).collect())
    }
}

/// `2 0.35` as a host prints it.
fn load(text: &str) -> Option<Load> {
    let (children, load) = text.trim().split_once(' ')?;
    let (whole, part) = load.split_once('.')?;
    let hundredths = whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part.get(..2)?.parse().ok()?)?;
    Some(Load { children: children.parse().ok()?, load: hundredths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_prints_is_read() {
        assert_eq!(load("2 0.35\n"), Some(Load { children: 2, load: 35 }));
        assert_eq!(load("0 12.05"), Some(Load { children: 0, load: 1205 }));
        assert_eq!(load(""), None);
        assert_eq!(load("sh: no"), None);
    }
}
