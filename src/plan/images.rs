//! Which images stay, and the plan of `images prune`.

use super::{Action, Plan, Step};
use crate::model::{Image, ImageState, Survey, tags};
use crate::spec::Fleet;

/// Who still needs an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Live hosts of ours that were started from it, by id.
    pub hosts: Vec<String>,
    /// Versions of the fleet's launch template that name it.
    pub versions: Vec<i64>,
    /// Whether the newest version is among them: the next host would be started from it.
    pub next: bool,
}

/// What becomes of an image when images are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Somebody needs it.
    Used,
    /// Somebody does not want it ended.
    Protected,
    /// It is among the newest that are kept.
    Kept,
    /// It failed, is disabled, or there are enough newer ones.
    Surplus,
}

/// Who needs this image.
pub fn users(survey: &Survey, image: &Image) -> Users {
    let hosts = survey.instances.iter().filter(|host| host.state.live() && host.image == image.id);
    let versions: Vec<_> = survey.launch_template.iter().flat_map(|template| &template.versions).collect();
    let newest = versions.iter().map(|version| version.number).max();
    let naming = versions.iter().filter(|version| version.image.as_deref() == Some(image.id.as_str()));
    let naming: Vec<i64> = naming.map(|version| version.number).collect();
    Users {
        hosts: hosts.map(|host| host.id.to_string()).collect(),
        next: newest.is_some_and(|newest| naming.contains(&newest)),
        versions: naming,
    }
}

/// The fate of each image of the survey, in its order: newest first. Images that failed, or that nobody launches, do not
/// count among those kept.
pub fn fates(survey: &Survey, keep: u32) -> Vec<Fate> {
    let mut kept = 0;
    let fate = |image: &Image| {
        // What somebody disabled, or a bake that was cut short only made to copy, is no image to launch.
        let failed = match &image.state {
            ImageState::Failed => true,
            ImageState::Other(state) if state == "disabled" => true,
            _ => image.tags.get(tags::DRAFT).is_some(),
        };
        let newest = !failed && kept < keep;
        kept += u32::from(!failed);
        let users = users(survey, image);
        if !users.hosts.is_empty() || users.next {
            Fate::Used
        } else if image.tags.get(tags::PROTECT).is_some() {
            Fate::Protected
        } else if newest {
            Fate::Kept
        } else {
            Fate::Surplus
        }
    };
    survey.images.iter().map(fate).collect()
}

/// The images that nobody needs and that are not among the newest `keep`.
pub fn surplus(survey: &Survey, keep: u32) -> Vec<&Image> {
    let fates = fates(survey, keep);
    survey.images.iter().zip(fates).filter(|(_, fate)| *fate == Fate::Surplus).map(|(image, _)| image).collect()
}

/// One region's images, as a look saw them, and ids of its snapshots that no image holds.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The look.
    pub survey: Survey,
    /// The snapshots.
    pub loose: Vec<String>,
}

/// Plans the end of the images that nobody needs, and of snapshots that no image holds, in each region.
pub fn plan(fleet: &Fleet, seen: &[Seen], request: String) -> Plan {
    let keep = fleet.image.keep;
    let mut plan = Plan::new("images prune", fleet.key(), request);
    for Seen { survey, loose } in seen {
        let region = Some(&survey.region).filter(|region| **region != fleet.region);
        let place = region.map(|region| format!(" in {region}")).unwrap_or_default();
        let surplus = surplus(survey, keep).into_iter();
        let images = surplus.map(|image| format!("{} ({}){place} is ended", image.id, image.name));
        let snapshots = loose.iter().map(|id| format!("{id}{place}, which no image holds, is deleted"));
        let notes: Vec<String> = images.chain(snapshots).collect();
        if !notes.is_empty() {
            let id = region.map_or_else(|| "images".to_owned(), |region| format!("images-{region}"));
            let title = format!("end images{place} that are not in use, beyond the newest {keep}");
            plan.steps.push(Step::new(&id, title, Action::Images { keep, region: region.cloned() }));
            plan.notes.extend(notes);
        }
    }
    if plan.notes.is_empty() {
        plan.notes.push(format!("no image is beyond the newest {keep} and those in use"));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Instance, InstanceState, LaunchTemplate, Tags, TemplateVersion};
    use jiff::Timestamp;

    fn image(id: &str, state: ImageState, tags: Tags) -> Image {
        Image {
            id: id.into(),
            name: id.to_owned(),
            owner: "1".to_owned(),
            state,
            state_reason: None,
            created: None,
            architecture: None,
            root_device: None,
            snapshots: Vec::new(),
            gib: 8,
            root_gib: Some(8),
            template: None,
            base: None,
            tags,
        }
    }

    fn host(image: &str, state: InstanceState) -> Instance {
        Instance { state, image: image.into(), ..Instance::sample(&format!("i-{image}")) }
    }

    fn version(number: i64, image: &str) -> TemplateVersion {
        TemplateVersion {
            number,
            description: None,
            created: None,
            image: Some(image.to_owned()),
            instance_tags: Tags::default(),
        }
    }

    #[test]
    fn what_is_needed_protected_or_new_stays() {
        use Fate::{Kept, Protected, Surplus, Used};
        use ImageState::{Available, Failed, Pending};
        let mut survey = Survey::untaken(Timestamp::UNIX_EPOCH, "1".into(), "us-east-1".into());
        let none = Tags::default;
        survey.images = vec![
            image("disabled", ImageState::Other("disabled".to_owned()), none()),
            image("failed", Failed, none()),
            image("pending", Pending, none()),
            image("draft", Available, none().with(tags::DRAFT, "run")),
            image("new", Available, none()),
            image("named", Available, none()),
            image("once", Available, none()),
            image("dead", Available, none()),
            image("live", Available, none()),
            image("mine", Available, none().with(tags::PROTECT, "")),
        ];
        survey.instances = vec![host("dead", InstanceState::Terminated), host("live", InstanceState::Stopped)];
        survey.launch_template = Some(LaunchTemplate {
            id: "lt-1".into(),
            name: "t".to_owned(),
            tags: none(),
            versions: vec![version(1, "once"), version(2, "named")],
        });
        assert_eq!(fates(&survey, 2), [Surplus, Surplus, Kept, Surplus, Kept, Used, Surplus, Surplus, Used, Protected]);
        assert_eq!(fates(&survey, 0)[..4], [Surplus; 4]);
        let ids: Vec<&str> = surplus(&survey, 2).iter().map(|image| image.id.as_str()).collect();
        assert_eq!(ids, ["disabled", "failed", "draft", "once", "dead"]);
        assert_eq!(users(&survey, &survey.images[6]).versions, [1]);
    }
}
