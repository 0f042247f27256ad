//! The plan of `bake`: an image of the verified template.

use super::{Action, Plan, Step};
use crate::journal::Fold;
use crate::model::{CopyRequest, ImageRequest, Region, Tags, tags};
use crate::spec::Fleet;
use crate::spec::fleet::Template;
use serde_json::Value;

/// All that a bake is planned from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The checked spec.
    pub fleet: &'a Fleet,
    /// `template:` of the spec.
    pub template: &'a Template,
    /// The run's id.
    pub run: &'a str,
    /// The run's short id, appended to the image's name.
    pub run_short: &'a str,
    /// Digest of the verification that the image rests on; none when the operator did without.
    pub attestation: Option<&'a str>,
    /// Digest of release and playbooks, where the spec names a release.
    pub release: Option<&'a str>,
    /// Digest of what the template was built of, where it was.
    pub build: Option<&'a str>,
    /// Whether somebody logs in to the template: the worker is stopped and the disk searched.
    pub login: bool,
    /// Whether the template is left running while its disk is read.
    pub no_reboot: bool,
    /// Digest of spec, verb and arguments.
    pub request: String,
}

/// The name of the image that a run makes.
fn name(fleet: &Fleet, run_short: &str) -> String {
    format!("{}-{run_short}", fleet.image.name)
}

/// Tags of the image that hosts are launched from, and of its snapshots.
fn image_tags(input: &Input<'_>) -> Tags {
    let more = [
        (tags::ATTESTATION, input.attestation),
        (tags::RELEASE, input.release),
        (tags::BUILD, input.build),
        (tags::KEY, input.fleet.image.kms_key.as_deref()),
    ];
    let known = more.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let born = born(input, &name(input.fleet, input.run_short));
    known.fold(born, |tags, (key, value)| tags.with(key, value))
}

/// Tags of every image that a bake makes.
fn born(input: &Input<'_>, name: &str) -> Tags {
    input
        .fleet
        .tags
        .clone()
        .with(tags::FLEET, input.fleet.name.as_str())
        .with(tags::RUN, input.run)
        .with(tags::INTENT, super::token::run_intent(input.run))
        .with(tags::NAME, name)
}

/// What CreateImage makes: the image itself, or one that is only there to be copied.
fn first(input: &Input<'_>) -> ImageRequest {
    let Input { fleet, template, run_short, .. } = input;
    let (name, tags) = if fleet.image.kms_key.is_some() {
        let name = format!("fleetwright-draft-{}-{run_short}", fleet.name);
        let tags = born(input, &name).with(tags::DRAFT, input.run);
        (name, tags)
    } else {
        (name(fleet, run_short), image_tags(input))
    };
    let instance = template.id();
    let description = format!("fleetwright: {} from {instance}", fleet.name);
    ImageRequest { name, instance, description, no_reboot: input.no_reboot, tags }
}

/// The copies: the encrypted one in the fleet's own region, and those in others, which are copies of that one.
fn copies(input: &Input<'_>) -> Vec<Step> {
    let Input { fleet, run, run_short, .. } = input;
    let (home, key) = (&fleet.region, &fleet.image.kms_key);
    let name = name(fleet, run_short);
    let encrypted = key.as_ref().map(|key| format!(", encrypted with {key}")).unwrap_or_default();
    let copy = |region: &Region, of: &str| {
        let tags = image_tags(input);
        Action::CopyImage(CopyRequest {
            region: region.clone(),
            token: super::token::token(&fleet.key(), &["copy-image", run, region.as_str()]),
            name: name.clone(),
            description: format!("fleetwright: {} from {} in {home}", fleet.name, input.template.id()),
            kms_key: key.clone(),
            tags: if region == home { tags } else { tags.with(tags::COPIED_FROM, home.as_str()) },
            of: of.to_owned(),
        })
    };
    let wait = |id: &str, of: &str, region: &Region| {
        let action = Action::Copied { of: of.to_owned(), region: region.clone() };
        Step::new(id, format!("wait until the copy in {region} is available"), action)
    };
    let mut steps = Vec::new();
    if key.is_some() {
        steps.push(Step::new(ENCRYPT, format!("copy it as {name}{encrypted}"), copy(home, IMAGE)));
        steps.push(wait("encrypted", ENCRYPT, home));
        let gone = Action::DraftGone { of: IMAGE.to_owned() };
        steps.push(Step::new("draft", "end the image that was copied, and its snapshots", gone));
    }
    let of = if key.is_some() { ENCRYPT } else { IMAGE };
    let abroad = &fleet.image.copy_to;
    steps.extend(abroad.iter().map(|region| {
        let title = format!("copy {name} to {region}{encrypted}");
        Step::new(&format!("copy-{region}"), title, copy(region, of))
    }));
    steps.extend(abroad.iter().map(|region| wait(&format!("copied-{region}"), &format!("copy-{region}"), region)));
    steps
}

/// The step that makes what is copied, or launched where nothing is encrypted.
const IMAGE: &str = "image";
/// The step that makes the encrypted copy.
const ENCRYPT: &str = "encrypt";

/// The image that a bake left for launches in the fleet's own region, by what its steps left.
pub fn made(fold: &Fold) -> Option<&Value> {
    fold.steps.get(ENCRYPT).or_else(|| fold.steps.get(IMAGE))
}

/// The step of a planned bake that leaves that image.
pub fn maker(plan: &Plan) -> &'static str {
    if plan.steps.iter().any(|step| step.id == ENCRYPT) { ENCRYPT } else { IMAGE }
}

/// Name and tags of the image that a planned bake will leave for launches in the fleet's own region.
pub fn to_come(plan: &Plan) -> Option<(String, Tags)> {
    let of = |step: &Step| match &step.action {
        Action::Image(request) if request.tags.get(tags::DRAFT).is_none() => {
            Some((request.name.clone(), request.tags.clone()))
        }
        Action::CopyImage(request) if request.region == plan.fleet.region => {
            Some((request.name.clone(), request.tags.clone()))
        }
        _ => None,
    };
    plan.steps.iter().find_map(of)
}

/// Plans a bake.
pub fn plan(input: &Input<'_>) -> Plan {
    let Input { fleet, template, .. } = input;
    let request = first(input);
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    let stopped = input.login && fleet.worker.is_some();
    // The search comes first: a template that is refused keeps its worker.
    if input.login {
        steps.push(Step::new("scan", "look for what must not be copied", Action::Scan));
    } else {
        notes.push(format!("{} is not searched for keys and credentials, and its worker goes on", template.id()));
    }
    if stopped {
        steps.push(Step::new("quiesce", "stop the worker", Action::Quiesce));
    }
    steps.push(Step::new(IMAGE, format!("image {}", request.name), Action::Image(request)));
    steps.push(Step::new("available", "wait until the image is available", Action::ImageAvailable));
    if stopped {
        steps.push(Step::new("unquiesce", "start the worker again", Action::Unquiesce));
    }
    steps.extend(copies(input));
    if !fleet.image.copy_to.is_empty() {
        let regions: Vec<&str> = fleet.image.copy_to.iter().map(Region::as_str).collect();
        notes.push(format!(
            "copies in {} cost their snapshots by the month there, and once the transfer out of {}",
            regions.join(", "),
            fleet.region
        ));
    }
    Plan { steps, notes, ..Plan::new("bake", fleet.key(), input.request.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lint::lint;

    fn planned(image: &str) -> Plan {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet.yaml");
        let spec = format!(
            "version: 1\nname: crawl\naccount: \"123456789012\"\nregion: us-east-1\ntags: {{team: data}}\n\
             template: {{instance: i-0123456789abcdef0}}\nimage: {image}\n"
        );
        std::fs::write(&file, spec).unwrap();
        let fleet = crate::spec::load(&file, &[], &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false))).fleet;
        let template = fleet.template.as_ref().unwrap();
        let (attestation, request) = (Some("att"), String::new());
        let input = Input {
            fleet: &fleet,
            template,
            run: "0190-run",
            run_short: "abcd1234",
            attestation,
            release: None,
            build: None,
            login: false,
            no_reboot: false,
            request,
        };
        let plan = plan(&input);
        assert_eq!(lint(&plan), []);
        plan
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|step| step.id.as_str()).collect()
    }

    #[test]
    fn without_copies_the_image_is_what_create_image_makes() {
        let plan = planned("{keep: 1}");
        assert_eq!(ids(&plan), ["image", "available"]);
        let (name, tags) = to_come(&plan).unwrap();
        let told = (name.as_str(), tags.get(tags::ATTESTATION), tags.get(tags::DRAFT));
        assert_eq!(told, ("crawl-abcd1234", Some("att"), None));
    }

    #[test]
    fn what_is_only_made_to_be_copied_is_no_image_to_launch_and_ends_before_copies_abroad() {
        let plan = planned("{encrypt: {kms_key: alias/fleet}, copy_to: [us-west-2, eu-west-1]}");
        let copies = ["copy-us-west-2", "copy-eu-west-1", "copied-us-west-2", "copied-eu-west-1"];
        assert_eq!(ids(&plan), [&["image", "available", "encrypt", "encrypted", "draft"][..], &copies].concat());
        let Action::Image(draft) = &plan.steps[0].action else { panic!("{:?}", plan.steps[0]) };
        assert_eq!(draft.name, "fleetwright-draft-crawl-abcd1234");
        assert_eq!((draft.tags.get(tags::DRAFT), draft.tags.get(tags::ATTESTATION)), (Some("0190-run"), None));
        let copies: Vec<&CopyRequest> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::CopyImage(request) => Some(request),
                _ => None,
            })
            .collect();
        let from: Vec<&str> = copies.iter().map(|copy| copy.of.as_str()).collect();
        assert_eq!(from, ["image", "encrypt", "encrypt"]);
        for copy in &copies {
            assert_eq!((copy.name.as_str(), copy.kms_key.as_deref()), ("crawl-abcd1234", Some("alias/fleet")));
            let told = [tags::ATTESTATION, tags::KEY, tags::RUN, tags::FLEET, "team"].map(|key| copy.tags.get(key));
            assert_eq!(told, ["att", "alias/fleet", "0190-run", "crawl", "data"].map(Some));
            assert_eq!(copy.tags.get(tags::COPIED_FROM), (copy.region.as_str() != "us-east-1").then_some("us-east-1"));
        }
        assert!(copies[0].token != copies[1].token && copies[1].token != copies[2].token);
        assert_eq!(to_come(&plan).unwrap().1.get(tags::KEY), Some("alias/fleet"));
        assert!(plan.notes.iter().any(|note| note.contains("us-west-2, eu-west-1 cost")), "{:?}", plan.notes);
    }

    #[test]
    fn copies_abroad_need_no_encryption() {
        let plan = planned("{copy_to: [us-west-2]}");
        assert_eq!(ids(&plan), ["image", "available", "copy-us-west-2", "copied-us-west-2"]);
        let Action::CopyImage(copy) = &plan.steps[2].action else { panic!("{:?}", plan.steps[2]) };
        assert_eq!((copy.of.as_str(), &copy.kms_key), ("image", &None));
    }
}
