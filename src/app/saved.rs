//! Saved plans: written by `plan VERB --out FILE`, carried out by `VERB --plan FILE` while all that they rest on still holds.

use super::context::Context;
use crate::cli::request::{Apply, Verb};
use crate::cli::{Global, Request};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{RunId, Survey, shell_word};
use crate::plan::saved::{Basis, HOLDS, MOST_BYTES, Saved};
use crate::plan::{Plan, values};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A plan from a file.
#[derive(Clone)]
pub(super) struct Applied {
    file: PathBuf,
    /// What the file holds.
    pub(super) saved: Saved,
}

impl Applied {
    /// The refusal that says what differs.
    fn refused(&self, differs: &[String]) -> Failure {
        let words = self.saved.plan.arguments.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ");
        Failure::to(Exit::Refused, format!("carry out plan {}: {}", self.file.display(), differs.join("; ")))
            .hint(format!("fleetwright {words}     # plans it again"))
    }
}

/// The request that a plan was made of, with the plan: `--set` and `--region` are those that it was made with.
pub(super) fn opened(global: Global, apply: Apply) -> Result<(Global, Verb, Applied), Failure> {
    let file = apply.file;
    let failed = |why: String| Failure::to(Exit::Usage, format!("read plan {}: {why}", file.display()));
    let mut text = Vec::new();
    let opened = std::fs::File::open(&file).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text));
    opened.map_err(|e| failed(e.to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(failed(format!("it is longer than {MOST_BYTES} bytes, so it is no saved plan")));
    }
    let again = format!("fleetwright plan {} --out FILE     # writes one", apply.verb);
    let saved = Saved::read(&text).map_err(|e| failed(e.to_string()).hint(again.clone()))?;
    if saved.plan.verb != apply.verb {
        return Err(failed(format!("it is a plan of {}, not of {}", saved.plan.verb, apply.verb)).hint(again));
    }
    if !global.set.is_empty() || global.region.is_some() {
        return Err(failed("--set and --region are those that it was made with; they can't be given again".to_owned())
            .hint(again));
    }
    let words = std::iter::once("fleetwright".to_owned()).chain(saved.plan.arguments.iter().cloned());
    let made_of = crate::cli::parse(words).map_err(|stop| failed(stop.text()))?;
    let Request { global: Global { set, region, .. }, verb: Verb::Plan(plan) } = made_of else {
        return Err(failed("it was not made by `plan`".to_owned()).hint(again));
    };
    Ok((Global { region, set, ..global }, *plan.of, Applied { file, saved }))
}

impl Context {
    /// What a plan of this verb rests on, before the account was looked at.
    fn basis(&self, verb: &str) -> Basis {
        let digest = |field: &str, playbook: &Option<_>| {
            let playbook: Option<&std::sync::Arc<crate::spec::Playbook>> = playbook.as_ref();
            playbook.map(|playbook| (field.to_owned(), playbook.digest.clone()))
        };
        let playbooks = [digest("template.verify", &self.verify), digest("release.playbook", &self.deploy)];
        Basis {
            values: values::of_verbs(&self.values, &[verb]),
            playbooks: playbooks.into_iter().flatten().collect(),
            ..Basis::default()
        }
    }

    /// Writes a plan down: readable by its owner only, and whole or not at all.
    pub(super) fn save(&self, file: &Path, run: RunId, plan: Plan, survey: Option<&Survey>) -> Result<(), Failure> {
        let basis = self.basis(&plan.verb);
        let basis = survey.map_or(basis.clone(), |survey| basis.seen(survey));
        let saved = Saved::new(self.clock.now(), run, basis, plan);
        let failed = |why: String| Failure::to(Exit::State, format!("write plan {}: {why}", file.display()));
        let text = saved.text().map_err(|e| failed(e.to_string()))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A new file of tempfile's is 0600.
        let mut new = tempfile::NamedTempFile::new_in(folder)
            .map_err(|e| failed(format!("no file can be made in {}: {}", folder.display(), e.kind())))?;
        new.write_all(text.as_bytes()).map_err(|e| failed(e.to_string()))?;
        new.as_file().sync_all().map_err(|e| failed(e.to_string()))?;
        new.persist(file).map(drop).map_err(|e| failed(e.to_string()))
    }

    /// Refuses a saved plan whose spec is not the present one. Needs no look at the account.
    pub(super) fn check_spec(&self) -> Result<(), Failure> {
        let Some(applied) = &self.applied else { return Ok(()) };
        let (then, now) = (&applied.saved.plan.fleet, self.fleet.key());
        let mut differs = Vec::new();
        if *then != now {
            differs.push(format!("it is about {then}, the spec about {now}"));
        }
        differs.extend(applied.saved.spec_differs(&self.basis(&applied.saved.plan.verb)));
        if differs.is_empty() { Ok(()) } else { Err(applied.refused(&differs)) }
    }

    /// Refuses a saved plan that would come out otherwise today, that is too old, or that was carried out before.
    pub(super) fn check_plan(&self, plan: &Plan, survey: &Survey, begun: bool) -> Result<(), Failure> {
        let Some(applied) = self.applied.as_ref().filter(|_| !plan.is_empty()) else { return Ok(()) };
        let saved = &applied.saved;
        if begun {
            return Err(applied.refused(&[format!("run {} has carried it out already", saved.run)]));
        }
        let age = self.clock.now().duration_since(saved.made);
        if age > HOLDS {
            let age = format!("it is {} old and holds for {}", crate::report::span(age), crate::report::span(HOLDS));
            return Err(applied.refused(&[age]));
        }
        let differs = saved.plan_differs(&self.basis(&saved.plan.verb).seen(survey), plan);
        if !differs.is_empty() {
            return Err(applied.refused(&differs));
        }
        Ok(())
    }
}
