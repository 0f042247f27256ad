//! What the campaign has cost, and the budget that stops it.

use super::context::{Context, state};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::{FleetDir, History};
use crate::model::{Cost, Market, Money, Offer, Offers, Survey, count};
use crate::plan::bill::{self, End, Used};
use crate::plan::estimate::{Estimate, length};
use crate::plan::launch::rates;
use crate::plan::rates::Rates;
use crate::report::answer::Spent;
use crate::spec::fleet::Budget;
use crate::steps::past;
use crate::survey::For;
use crate::survey::offers::{Extras, price};
use jiff::{SignedDuration, Timestamp};

/// Where the length of a job is not known, a launch must leave the budget an hour.
const HOUR: i64 = 3600;

/// Between two looks at the money where no budget asks for it, world time: it tells, and decides nothing.
const LOOK: SignedDuration = SignedDuration::from_mins(5);

/// What is known of the money while a job is waited for.
#[derive(Default)]
pub(super) struct Purse {
    prices: Option<Offers>,
    seen: Option<(Timestamp, Spent)>,
}

impl Context {
    /// What the campaign has cost and costs. Prices are asked for once, and again when a type comes that was not there.
    pub(super) async fn spent(&self, survey: &Survey, history: &History, prices: &mut Option<Offers>) -> Spent {
        let used = past::used(history, survey);
        let nothing = Offers::default();
        let offers = if used.is_empty() { &nothing } else { self.prices(&used, survey, prices).await };
        let none = Rates { offers, root_gib: None, addresses: false };
        let rates = self.fleet.fleet.as_ref().map_or(none, |hosts| rates(offers, hosts, survey, None));
        Spent {
            hosts: u32::try_from(used.iter().filter(|host| host.end == End::Lives).count()).unwrap_or(u32::MAX),
            so_far: bill::so_far(&used, &rates, self.clock.now()),
            per_hour: bill::hourly(&used, &rates),
            to_finish: None,
            doubts: offers.doubts.clone(),
        }
    }

    async fn prices<'a>(&self, used: &[Used], survey: &Survey, known: &'a mut Option<Offers>) -> &'a Offers {
        let has = |offers: &Offers, kind: &str| offers.types.iter().any(|offer| offer.name == kind);
        let current = known.take().filter(|offers| used.iter().all(|host| has(offers, &host.instance_type)));
        let offers = if let Some(offers) = current {
            offers
        } else {
            let mut offers = Offers::default();
            for host in used {
                if !has(&offers, &host.instance_type) {
                    offers.types.push(Offer { name: host.instance_type.clone(), ..Offer::default() });
                }
            }
            let hosts = self.fleet.fleet.as_ref();
            let extras = Extras {
                spot: hosts.is_some_and(|hosts| hosts.spot_percent > 0)
                    || used.iter().any(|host| host.market == Market::Spot),
                volume: hosts.map_or("gp3", |hosts| hosts.root.volume_type.as_str()),
                addresses: survey.subnets.iter().any(|subnet| subnet.public_addresses),
            };
            if let Ok(clients) = self.clients().await {
                price(&clients, &mut offers, extras, self.clock.now()).await;
            }
            offers
        };
        known.insert(offers)
    }

    /// The same with a look of its own; nothing where the spec launches nothing.
    async fn spent_now(&self, dir: &FleetDir, prices: &mut Option<Offers>) -> Result<Option<Spent>, Failure> {
        if self.fleet.fleet.is_none() {
            return Ok(None);
        }
        let history = History::read(dir).map_err(state)?;
        let survey = self.look(For::Telling).await?;
        Ok(Some(self.spent(&survey, &history, prices).await))
    }

    /// At the end of a wait: the money is worth telling, but is no reason to fail.
    pub(super) async fn spent_at_last(&self, dir: &FleetDir, mut purse: Purse) -> Option<Spent> {
        self.spent_now(dir, &mut purse.prices).await.ok().flatten()
    }

    /// What the campaign has cost, where all of it is known.
    pub(super) async fn spent_in_all(&self, dir: &FleetDir) -> Option<Money> {
        let spent = self.spent_at_last(dir, Purse::default()).await?;
        spent.so_far.micro_usd.filter(|_| spent.so_far.complete)
    }

    /// The money while a job is waited for, with what is left to pay: looked at in each round where a budget stops the wait,
    /// else now and then, once the end can be told.
    pub(super) async fn spent_meanwhile(
        &self,
        dir: &FleetDir,
        purse: &mut Purse,
        eta: Option<SignedDuration>,
    ) -> Result<Option<Spent>, Failure> {
        let now = self.clock.now();
        let fresh = |(at, _): &&(Timestamp, Spent)| now.duration_since(*at) < LOOK;
        let seen = match (self.fleet.budget, purse.seen.as_ref().filter(fresh)) {
            (None, Some((_, spent))) => Some(spent.clone()),
            (None, None) if eta.is_none() => None,
            // Telling what it costs is no reason to fail.
            (None, None) => self.spent_now(dir, &mut purse.prices).await.ok().flatten(),
            (Some(budget), _) => {
                let first = purse.prices.is_none();
                let spent = self.spent_now(dir, &mut purse.prices).await?;
                if let Some(spent) = spent.as_ref().filter(|spent| first && !spent.so_far.complete) {
                    self.doubt(&budget, &spent.doubts);
                }
                spent
            }
        };
        if purse.seen.as_ref().is_none_or(|seen| !fresh(&seen)) {
            purse.seen = seen.clone().map(|spent| (now, spent));
        }
        let left = |spent: &Spent| eta.map(|eta| spent.per_hour.per_hour_for(eta.as_secs()));
        Ok(seen.map(|spent| Spent { to_finish: left(&spent), ..spent }))
    }

    /// How it stands when the budget is used up; none while it is not, or where the spec has none.
    pub(super) fn over_budget(&self, spent: Option<&Spent>, outlook: &str) -> Option<String> {
        let (budget, spent) = (self.fleet.budget?, spent?);
        match bill::stand(budget.stop_at, spent.so_far) {
            bill::Budget::Left(_) => None,
            bill::Budget::Reached(so_far) => {
                let left = spent.to_finish.map(|left| format!(", about {left} to finish at today's pace"));
                let left = left.unwrap_or_default();
                Some(format!("{so_far} of the budget's {} are spent{left}; still {outlook}", budget.stop_at))
            }
        }
    }

    /// Refuses what can't be paid any more: items are not fed into a fleet whose budget is used up.
    pub(super) async fn check_budget(&self, verb: &str, dir: &FleetDir) -> Result<(), Failure> {
        if self.fleet.budget.is_none() {
            return Ok(());
        }
        let spent = self.spent_meanwhile(dir, &mut Purse::default(), None).await?;
        match self.over_budget(spent.as_ref(), "nothing was started") {
            None => Ok(()),
            Some(why) => Err(Failure::to(Exit::Refused, format!("{verb}: {why}")).hint(RAISE).hint(END)),
        }
    }

    /// Refuses a launch that would pass the budget, with the arithmetic.
    pub(super) async fn check_launch_budget(
        &self,
        survey: &Survey,
        history: &History,
        estimate: Option<&Estimate>,
    ) -> Result<(), Failure> {
        let (Some(budget), Some(estimate)) = (self.fleet.budget, estimate) else { return Ok(()) };
        let spent = self.spent(survey, history, &mut None).await;
        let (seconds, why) =
            length(&self.job()).unwrap_or((HOUR, "an hour, since nobody knows how long the job takes".to_owned()));
        let (rest, new) = (spent.per_hour.per_hour_for(seconds), estimate.per_hour.low.per_hour_for(seconds));
        let sum = [spent.so_far, rest, new].into_iter().sum::<Cost>();
        if !sum.complete {
            self.doubt(&budget, &estimate.doubts);
        }
        match bill::stand(budget.stop_at, sum) {
            bill::Budget::Left(_) => Ok(()),
            bill::Budget::Reached(sum) => Err(Failure::to(
                Exit::Refused,
                format!(
                    "launch {}: {} spent so far + {rest} for the {} there + {new} for the new ones = {sum}, \
                     and the budget is {} (for {seconds} s: {why})",
                    count(estimate.hosts, "host"),
                    spent.so_far,
                    count(spent.hosts, "host"),
                    budget.stop_at
                ),
            )
            .hint("fewer hosts (`fleet.size`, -n), or cheaper ones (`fleet.spot`, `fleet.types`)")
            .hint(RAISE)),
        }
    }

    fn doubt(&self, budget: &Budget, doubts: &[String]) {
        let why = doubts.first().map(|doubt| format!(": {doubt}")).unwrap_or_default();
        self.events.warn(format!("the budget of {} counts only what has a known price{why}", budget.stop_at));
    }
}

const RAISE: &str = "raise `budget.stop_at` in the spec and run the same command again: nothing is lost";
const END: &str = "fleetwright down       # ends the fleet, where it is still running";
