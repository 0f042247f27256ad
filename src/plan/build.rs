//! The template that is built: the one host of a fleet of its own, the builder, which is launched, told, reaped and torn down
//! as any other.

use super::token::digest;
use super::{Action, Plan, Step};
use crate::journal::Begun;
use crate::model::{FleetKey, FleetName};
use crate::model::{Instance, InstanceId, Tags, tags};
use crate::spec::Fleet;
use crate::spec::build::Build;
use crate::spec::fleet::{HostsSpec, MetadataSpec, Otherwise};
use crate::spec::image::ImageSpec;
use std::path::Path;
use std::time::Duration;

/// How long room for the one host is looked for.
const WITHIN: Duration = Duration::from_mins(10);
/// What the builder's name ends in. No spec may name a fleet so: names have no dot.
const SUFFIX: &str = ".build";
/// The step that runs the playbook.
pub const STEP: &str = "checks";
/// The verb of its runs.
pub const VERB: &str = "provision";

/// Whose fleet the builder of this one is.
pub fn key(fleet: &FleetKey) -> FleetKey {
    FleetKey { name: FleetName::new(format!("{}{SUFFIX}", fleet.name)), ..fleet.clone() }
}

/// A fleet and the builder of its template, which may be there whatever the spec says by now.
pub fn with_builder(fleet: &FleetName) -> Vec<FleetName> {
    let builder = (!fleet.as_str().ends_with(SUFFIX)).then(|| FleetName::new(format!("{fleet}{SUFFIX}")));
    std::iter::once(fleet.clone()).chain(builder).collect()
}

/// The verb of a run as people are told it: `build launch` and `build down` are those of a builder.
pub fn told(begun: &Begun) -> String {
    if begun.fleet.name.as_str().ends_with(SUFFIX) { format!("build {}", begun.verb) } else { begun.verb.clone() }
}

/// Digest of all that decides what a built template is: base image, playbook with its files, and settings.
pub fn digest_of(fleet: &Fleet, build: &Build, playbook: &str) -> String {
    let Build { base_image, instance_type, playbook: _, subnet, security_groups, key_name, instance_profile, .. } =
        build;
    let groups: Vec<&str> = security_groups.iter().map(AsRef::as_ref).collect();
    digest(&[
        &base_image.id().map_or_else(|| base_image.to_string(), ToString::to_string),
        playbook,
        instance_type,
        subnet.as_str(),
        &groups.join(","),
        key_name,
        instance_profile.as_deref().unwrap_or_default(),
        &format!("{:?} {:?}", build.root, build.expires),
        &format!("{:?}", fleet.tags),
        &fleet.ssh.user,
    ])
}

/// The fleet whose one host is the template. `made_of` is [`digest_of`] it; its host bears it from birth.
pub fn builder(fleet: &Fleet, build: &Build, made_of: &str) -> Fleet {
    let hosts = HostsSpec {
        size: 1,
        group: None,
        accept_min: 1,
        accept_within: WITHIN,
        otherwise: Otherwise::Abort,
        spot_percent: 0,
        on_demand: 1,
        fallback_on_demand: true,
        types: vec![build.instance_type.clone()],
        requirements: None,
        subnets: vec![build.subnet.clone()],
        security_groups: build.security_groups.clone(),
        instance_profile: build.instance_profile.clone(),
        key_name: Some(build.key_name.clone()),
        max_price: None,
        root: build.root.clone(),
        expires: build.expires,
        user_data: None,
        metadata: MetadataSpec { tokens_required: true, hop_limit: 1 },
    };
    Fleet {
        tags: fleet.tags.clone().with(tags::BUILD, made_of),
        digest: made_of.to_owned(),
        fleet: Some(hosts),
        ..empty(fleet)
    }
}

/// The builder without anything to launch: what there is of it can be looked at and ended.
pub fn empty(fleet: &Fleet) -> Fleet {
    Fleet {
        name: key(&fleet.key()).name,
        digest: String::new(),
        template: None,
        image: ImageSpec { name: fleet.image.name.clone(), keep: 0, kms_key: None, copy_to: Vec::new() },
        fleet: None,
        hosts: Vec::new(),
        release: None,
        worker: None,
        queue: None,
        feed: None,
        recycle: None,
        budget: None,
        notify: Vec::new(),
        ..fleet.clone()
    }
}

/// The same fleet with the template that was built for it.
pub fn with_template(fleet: &Fleet, instance: Option<InstanceId>) -> Fleet {
    let template = fleet.template.clone().map(|template| crate::spec::fleet::Template { instance, ..template });
    Fleet { template, ..fleet.clone() }
}

/// The spec's digest for what is gone on with: the same spec with another template that was built is another.
pub fn spec_digest(fleet: &Fleet) -> String {
    let built = fleet.template.as_ref().filter(|_| fleet.build().is_some()).and_then(|built| built.instance.as_ref());
    built.map_or_else(|| fleet.digest.clone(), |id| digest(&[&fleet.digest, id.as_str()]))
}

/// Whether this host of a builder was made of something else.
pub fn is_stale(host: &Instance, made_of: &str) -> bool {
    host.state.live() && made(&host.tags) != Some(made_of)
}

/// What a built template, or an image of it, was made of.
pub fn made(tags: &Tags) -> Option<&str> {
    tags.get(tags::BUILD)
}

/// Plans to make a template of the instance that was launched for it. `made_of` is [`digest_of`] it.
pub fn provision(fleet: &Fleet, playbook: &Path, made_of: &str, request: String) -> Plan {
    let id = fleet.template.as_ref().map(|template| template.id().to_string()).unwrap_or_default();
    let file = playbook.file_name().unwrap_or(playbook.as_os_str()).to_string_lossy();
    let steps = vec![Step::new(STEP, format!("run {file} on {id}"), Action::Checks)];
    let digest: String = made_of.chars().take(12).collect();
    let told = fleet.build().and_then(|build| build.base_image.told()).map(str::to_owned);
    let digest = format!("digest {digest}: of base image, playbook and settings; another makes another template");
    let notes = told.into_iter().chain([digest]).collect();
    Plan { steps, notes, ..Plan::new(VERB, fleet.key(), request) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(build: &str) -> Fleet {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet.yaml");
        std::fs::write(dir.path().join("provision.yaml"), "[{check: 'true'}]").unwrap();
        let spec = format!(
            "version: 1\nname: crawl\naccount: \"123456789012\"\nregion: us-east-1\ntags: {{team: data}}\n\
             image: {{encrypt: {{kms_key: alias/fleet}}, copy_to: [us-west-2]}}\n\
             template: {{build: {{base_image: ami-0123456789abcdef0, instance_type: m7i.large, playbook: provision.yaml{build}}}}}\n\
             fleet: {{size: 4, spot: 50%, subnets: [subnet-0aaaaaaaaaaaaaaaa], security_groups: [sg-0123456789abcdef0], \
             key_name: ops, expires: 3h}}\n"
        );
        std::fs::write(&file, spec).unwrap();
        crate::spec::load(&file, &[], &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false))).fleet
    }

    #[test]
    fn a_builder_is_a_fleet_of_one_host_on_demand_with_what_the_fleet_has() {
        let fleet = read("");
        let build = fleet.build().unwrap();
        assert_eq!(fleet.fleet.as_ref().unwrap().types, ["m7i.large"], "what `fleet` leaves out is that of the build");
        let builder = builder(&fleet, build, "d1");
        let hosts = builder.fleet.as_ref().unwrap();
        assert_eq!((builder.name.as_str(), hosts.size, hosts.spot_percent, hosts.on_demand), ("crawl.build", 1, 0, 1));
        assert_eq!((hosts.subnets[0].as_str(), hosts.key_name.as_deref()), ("subnet-0aaaaaaaaaaaaaaaa", Some("ops")));
        assert_eq!((hosts.expires, hosts.root.encrypted), (Duration::from_hours(3), true));
        assert_eq!((builder.tags.get("team"), made(&builder.tags)), (Some("data"), Some("d1")));
        assert_eq!(
            (&builder.template, builder.image.kms_key.as_deref(), builder.image.copy_to.len()),
            (&None, None, 0)
        );
    }

    #[test]
    fn another_base_playbook_or_setting_is_another_template_and_a_size_is_none() {
        let digest = |fleet: &Fleet, playbook| digest_of(fleet, fleet.build().unwrap(), playbook);
        let fleet = read("");
        let one = digest(&fleet, "p1");
        assert_ne!(one, digest(&fleet, "p2"));
        assert_ne!(one, digest(&read(", instance_profile: builder"), "p1"));
        let mut larger = fleet.clone();
        larger.fleet.as_mut().unwrap().size = 5;
        assert_eq!(one, digest(&larger, "p1"));
        let host = |tags: &[(&str, &str)]| Instance { tags: tags.iter().copied().collect(), ..Instance::sample("i-1") };
        assert!(!is_stale(&host(&[(tags::BUILD, &one)]), &one));
        assert!(is_stale(&host(&[(tags::BUILD, "other")]), &one) && is_stale(&host(&[]), &one));
    }

    #[test]
    fn the_newest_image_of_a_name_is_as_good_as_its_id_and_another_one_another_template() {
        use crate::spec::build::BaseImage;
        let mut fleet = read("");
        let by_id = digest_of(&fleet, fleet.build().unwrap(), "p1");
        let found = |id: &str| BaseImage::Found { id: id.into(), told: format!("base image {id}: the newest") };
        let mut based = |base| {
            fleet.template.as_mut().unwrap().build.as_mut().unwrap().base_image = base;
            (digest_of(&fleet, fleet.build().unwrap(), "p1"), fleet.clone())
        };
        assert_eq!(based(found("ami-0123456789abcdef0")).0, by_id);
        let (other, fleet) = based(found("ami-0fff"));
        assert_ne!(other, by_id);
        let plan = provision(&fleet, Path::new("provision.yaml"), &other, String::new());
        assert_eq!(plan.notes[0], "base image ami-0fff: the newest");
    }

    #[test]
    fn runs_on_one_built_template_are_not_gone_on_with_on_another() {
        let fleet = read("");
        let on = |id: &str| with_template(&fleet, Some(id.into()));
        assert_ne!(spec_digest(&on("i-1")), spec_digest(&on("i-2")));
        // What is launched is of the same spec whatever built its image.
        assert_eq!((&on("i-1").digest, &spec_digest(&fleet)), (&fleet.digest, &fleet.digest));
        assert_eq!(on("i-1").template_instance().map(InstanceId::as_str), Some("i-1"));
        let planned = with_template(&fleet, None);
        let plan = provision(&planned, Path::new("a/provision.yaml"), &"0123456789abcdef".repeat(4), String::new());
        assert_eq!(plan.steps[0].title, "run provision.yaml on the one that build makes");
        assert!(plan.notes[0].starts_with("digest 0123456789ab: "), "{:?}", plan.notes);
        assert_eq!(crate::plan::lint::lint(&plan), []);
    }
}
