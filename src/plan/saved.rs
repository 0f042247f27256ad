//! A plan kept in a file, with all that it rests on: carried out only while that still holds.

use super::token::digest;
use super::{Action, Plan};
use crate::model::{RunId, Survey};
use crate::spec::Value;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the file says it is.
const FORMAT: &str = "fleetwright plan";
/// Rises when the file changes its meaning.
const VERSION: u32 = 1;
/// Largest file that is read, bytes: a plan for 10,000 hosts names each of those that are there.
pub const MOST_BYTES: u64 = 8 << 20;
/// How long a plan holds: a client token older than a day is not replayed, a verification older than that does not count.
pub const HOLDS: SignedDuration = SignedDuration::from_hours(24);

/// What a plan was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The fields of the spec that the verb uses.
    pub values: Vec<Value>,
    /// Digests of the playbooks, by the field that names them.
    pub playbooks: BTreeMap<String, String>,
    /// The template instance: id, type, subnet and groups.
    pub template: Option<String>,
    /// The newest image that can be launched.
    pub image: Option<String>,
    /// Live hosts.
    pub hosts: BTreeSet<String>,
}

impl Basis {
    /// Puts in what a look at the account saw.
    #[must_use]
    pub fn seen(mut self, survey: &Survey) -> Self {
        self.template = survey.template.as_ref().map(|from| {
            let groups: Vec<String> = from.security_groups.iter().map(ToString::to_string).collect();
            let subnet = from.subnet.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {} {subnet} {}", from.id, from.instance_type, groups.join(" "))
        });
        let image = survey.images.iter().find(|image| image.launchable());
        self.image = image.map(|image| image.id.to_string());
        let live = survey.instances.iter().filter(|host| host.state.live());
        self.hosts = live.map(|host| host.id.to_string()).collect();
        self
    }
}

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    format: String,
    version: u32,
    /// When it was made, world time.
    pub made: Timestamp,
    /// The run that carries it out: there is one of them at most.
    pub run: RunId,
    /// What it was made from.
    pub basis: Basis,
    /// The plan.
    pub plan: Plan,
    /// Over all the rest.
    digest: String,
}

/// Why a file is no plan that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsaved {
    /// Not such a file at all.
    #[error("it is no saved plan: {0}")]
    NoPlan(String),
    /// Written by another version.
    #[error("it has version {0} of the format; this program reads version {VERSION}")]
    Version(u32),
    /// Something in it was changed.
    #[error("it was changed after it was written: its digest does not match")]
    Changed,
}

impl Saved {
    /// A plan with what it rests on.
    pub fn new(made: Timestamp, run: RunId, basis: Basis, plan: Plan) -> Self {
        let mut saved =
            Self { format: FORMAT.to_owned(), version: VERSION, made, run, basis, plan, digest: String::new() };
        saved.digest = saved.content();
        saved
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// Never for a plan: all its keys are text.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// When it is not what [`Self::text`] wrote.
    pub fn read(text: &[u8]) -> Result<Self, Unsaved> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let no_plan = |error: serde_json::Error| Unsaved::NoPlan(error.to_string());
        let head: Head = serde_json::from_slice(text).map_err(no_plan)?;
        if head.format != FORMAT {
            return Err(Unsaved::NoPlan("`format` says something else".to_owned()));
        }
        if head.version != VERSION {
            return Err(Unsaved::Version(head.version));
        }
        let saved: Self = serde_json::from_slice(text).map_err(no_plan)?;
        if saved.digest == saved.content() { Ok(saved) } else { Err(Unsaved::Changed) }
    }

    fn content(&self) -> String {
        let unsigned = Self { digest: String::new(), ..self.clone() };
        digest(&[&serde_json::to_string(&unsigned).unwrap_or_default()])
    }

    /// What of the spec is no longer what it was, in words.
    pub fn spec_differs(&self, now: &Basis) -> Vec<String> {
        let mut told = Vec::new();
        let value = |values: &[Value], path: &str| values.iter().find(|value| value.path == path).cloned();
        let both = self.basis.values.iter().chain(&now.values);
        let paths: BTreeSet<&str> = both.map(|value| value.path.as_str()).collect();
        for path in paths {
            let (then, now) = (value(&self.basis.values, path), value(&now.values, path));
            let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), |value| value.value.clone());
            if text(&then) != text(&now) {
                let place = now.as_ref().and_then(|value| value.place.clone()).map(|place| format!(" ({place})"));
                told.push(format!("{path} was {}, is {}{}", text(&then), text(&now), place.unwrap_or_default()));
            }
        }
        let fields: BTreeSet<&String> = self.basis.playbooks.keys().chain(now.playbooks.keys()).collect();
        let changed = fields.into_iter().filter(|field| self.basis.playbooks.get(*field) != now.playbooks.get(*field));
        told.extend(changed.map(|field| format!("the playbook {field} has another content")));
        told
    }

    /// What of the account is no longer what it was, in words; none when the same steps come out of it.
    pub fn plan_differs(&self, now: &Basis, plan: &Plan) -> Vec<String> {
        if same(&self.plan, plan) {
            return Vec::new();
        }
        let mut told = Vec::new();
        let then = &self.basis;
        if then.hosts != now.hosts {
            told.push(format!("{} hosts were there, {} are now", then.hosts.len(), now.hosts.len()));
        }
        let none = || "none".to_owned();
        for (what, then, now) in [("image", &then.image, &now.image), ("template", &then.template, &now.template)] {
            if then != now {
                let words = |fact: &Option<String>| fact.clone().unwrap_or_else(none);
                told.push(format!("the {what} was {}, is {}", words(then), words(now)));
            }
        }
        if told.is_empty() {
            let apart = |one: &Plan, other: &Plan| {
                let apart = one.steps.iter().filter(|step| !other.steps.contains(step));
                apart.map(|step| step.title.clone()).collect::<Vec<_>>().join(", ")
            };
            let (then, now) = (apart(&self.plan, plan), apart(plan, &self.plan));
            told.push(if then == now {
                format!("the settings of \"{now}\" are others now")
            } else {
                format!("\"{then}\" was planned, \"{now}\" would be")
            });
        }
        told
    }
}

/// Whether two plans do the same; how long is still to be waited for changes by itself.
fn same(one: &Plan, other: &Plan) -> bool {
    let steps = |plan: &Plan| {
        let mut steps = plan.steps.clone();
        for step in &mut steps {
            if let Action::Quiet { seconds } = &mut step.action {
                *seconds = 0;
            }
        }
        steps
    };
    one.verb == other.verb && one.fleet == other.fleet && one.request == other.request && steps(one) == steps(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, FleetKey, FleetName, Region};
    use crate::plan::Step;
    use crate::spec::origin::Origin;
    use proptest::prelude::*;

    fn saved() -> Saved {
        let fleet = FleetKey {
            account: AccountId::from("123456789012"),
            region: Region::from("us-east-1"),
            name: FleetName::from("a"),
        };
        let plan = Plan {
            steps: vec![
                Step::new("quiet", "wait", Action::Quiet { seconds: 9 }),
                Step::new("sweep", "look", Action::Sweep),
            ],
            ..Plan::new("down", fleet, "r".to_owned())
        };
        let value = Value {
            path: "fleet.size".to_owned(),
            value: "8".to_owned(),
            from: Origin::File,
            place: Some("fleet.yaml:7".to_owned()),
            variables: Vec::new(),
        };
        let basis = Basis { values: vec![value], image: Some("ami-1".to_owned()), ..Basis::default() };
        let run = RunId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        Saved::new("2026-03-01T00:00:00Z".parse().unwrap(), run, basis, plan)
    }

    #[test]
    fn what_differs_is_named() {
        let saved = saved();
        let mut now = saved.basis.clone();
        assert_eq!(saved.spec_differs(&now), [""; 0]);
        now.values[0].value = "9".to_owned();
        now.playbooks.insert("release.playbook".to_owned(), "x".to_owned());
        let told = saved.spec_differs(&now);
        assert_eq!(told[0], "fleet.size was 8, is 9 (fleet.yaml:7)");
        assert_eq!(told[1], "the playbook release.playbook has another content");

        let mut plan = saved.plan.clone();
        plan.steps[0].action = Action::Quiet { seconds: 3 };
        now.image = Some("ami-2".to_owned());
        assert_eq!(saved.plan_differs(&now, &plan), [""; 0], "the same steps are the same plan");
        plan.steps.remove(0);
        assert_eq!(saved.plan_differs(&now, &plan), ["the image was ami-1, is ami-2"]);
        now.image = saved.basis.image.clone();
        assert_eq!(saved.plan_differs(&now, &plan), ["\"wait\" was planned, \"\" would be"]);
    }

    #[test]
    fn other_files_and_other_versions_are_told_apart() {
        let text = saved().text().unwrap();
        assert_eq!(Saved::read(text.as_bytes()), Ok(saved()));
        assert_eq!(Saved::read(text.replace("\"version\": 1", "\"version\": 2").as_bytes()), Err(Unsaved::Version(2)));
        assert!(matches!(Saved::read(b"{\"plans\": []}"), Err(Unsaved::NoPlan(_))));
        assert_eq!(Saved::read(text.replace("ami-1", "ami-9").as_bytes()), Err(Unsaved::Changed));
    }

    proptest! {
        #[test]
        fn a_file_with_any_byte_changed_or_cut_is_refused(at in 0usize..2_000, byte in any::<u8>(), cut in any::<bool>()) {
            let text = saved().text().unwrap().into_bytes();
            let at = at % (text.len() - 1);
            let mut other = text.clone();
            if cut { other.truncate(at) } else { other[at] = byte }
            let good = Saved::read(&other);
            prop_assert!(good == Ok(saved()) || good.is_err() && other != text);
        }
    }
}
