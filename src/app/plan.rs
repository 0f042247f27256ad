//! `plan`: what a verb would do. Changes nothing.

use super::campaign::Look;
use super::context::{Context, state};
use super::print;
use crate::cli::request::{Launch, Plan as Wanted, PlanVerb};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::count;
use crate::plan::{Plan, bake, down, feed, lint, push, verify};
use crate::report::answer::Plans;
use crate::steps::past;

impl Context {
    pub(super) async fn plan(&self, wanted: Wanted) -> Result<Exit, Failure> {
        self.check_account().await?;
        let survey = self.survey().await?;
        let dir = self.state_dir()?;
        let verbs = match wanted.verb {
            PlanVerb::Up => {
                vec![PlanVerb::Verify, PlanVerb::Bake, PlanVerb::Launch, PlanVerb::Push, PlanVerb::Feed, PlanVerb::Down]
            }
            verb => vec![verb],
        };
        let mut plans = Vec::new();
        for verb in verbs {
            let look = Look { run: self.new_run(), survey: &survey, state: &dir, request: String::new() };
            plans.push(self.planned(verb, look, wanted.verb == PlanVerb::Up).await?);
        }
        for plan in &plans {
            if let Some(broken) = lint::lint(plan).first() {
                return Err(Failure::to(Exit::Bug, format!("make a plan that keeps its own rules: {broken}")));
            }
        }
        let answer = Plans { plans };
        print(&self.global, &answer)?;
        let changes = answer.plans.iter().any(|plan| !plan.is_empty());
        Ok(if wanted.detailed_exitcode && changes { Exit::Changes } else { Exit::Done })
    }

    async fn planned(&self, verb: PlanVerb, look: Look<'_>, whole: bool) -> Result<Plan, Failure> {
        let lacking = |section: &str| Failure::new(Exit::Usage, format!("plan: the spec has no `{section}` section"));
        match verb {
            PlanVerb::Verify => {
                let template = self.fleet.template.as_ref().ok_or_else(|| lacking("template"))?;
                Ok(verify::plan(&self.fleet, template, self.reboots(), &look.run.short(), look.request))
            }
            PlanVerb::Bake => {
                let template = self.fleet.template.as_ref().ok_or_else(|| lacking("template"))?;
                let attestation = self.attestation(look.state, template.instance.as_str())?;
                let mut plan = bake::plan(&bake::Input {
                    fleet: &self.fleet,
                    template,
                    run: &look.run.to_string(),
                    run_short: &look.run.short(),
                    attestation: attestation.as_ref().map(|attestation| attestation.digest.as_str()),
                    release: self.release_digest()?.as_deref(),
                    login: true,
                    no_reboot: false,
                    request: look.request,
                });
                if attestation.is_none() && !whole {
                    plan.notes.push("no verification of the last 24 h: verify first".to_owned());
                }
                Ok(plan)
            }
            PlanVerb::Launch if whole && look.survey.images.is_empty() => {
                let mut plan = Plan {
                    verb: "launch".to_owned(),
                    fleet: self.fleet.key(),
                    request: look.request,
                    steps: Vec::new(),
                    notes: Vec::new(),
                    arguments: Vec::new(),
                    estimate: None,
                };
                let size = self.fleet.fleet.as_ref().map_or(0, |hosts| hosts.size);
                plan.notes.push(format!("{}, planned once the image is baked", count(size, "host")));
                Ok(plan)
            }
            PlanVerb::Launch => self.plan_launch(look, &Launch::default()).await,
            PlanVerb::Push => {
                let hosts = self.pick(look.state, &crate::cli::request::Target::default()).await?;
                Ok(push::plan(&self.fleet, hosts.len(), self.release_digest()?.as_deref(), look.request))
            }
            PlanVerb::Feed => {
                let mut plan = feed::plan(&self.fleet, 0, look.request);
                if let Some(step) = plan.steps.first_mut() {
                    "items from the spec's source into the queue".clone_into(&mut step.title);
                }
                Ok(plan)
            }
            PlanVerb::Down => {
                let history = History::read(look.state).map_err(state)?;
                let open = past::open_creation(&history);
                let mut plan = down::plan(&self.fleet, false, open, self.clock.now(), look.request);
                plan.notes.push(format!("now there: {}", count(crate::survey::live(look.survey).len(), "host")));
                Ok(plan)
            }
            PlanVerb::Up => Err(Failure::to(Exit::Bug, "plan `up` as one: it is a row of plans")),
        }
    }
}
