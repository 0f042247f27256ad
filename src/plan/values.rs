//! Which values of the spec matter to which verb, and those that the account gives where the spec is silent.

use crate::model::{Image, Instance};
use crate::spec::Value;
use crate::spec::origin::Origin;

/// What every verb uses: they say which fleet it is.
const ALWAYS: [&str; 3] = ["name", "account", "region"];

/// Sections and fields that a verb uses.
fn used(verb: &str) -> &'static [&'static str] {
    match verb {
        "verify" => &["template", "worker", "ssh"],
        "bake" => &["tags", "template.instance", "image", "worker.service", "release"],
        "launch" => &["tags", "template.instance", "image.encrypt", "fleet", "ssh"],
        "push" => &["hosts", "release", "ssh"],
        "feed" => &["queue", "feed"],
        "up" => &["done"],
        "down" => &["image.keep", "image.copy_to"],
        _ => &[],
    }
}

/// The values that these verbs use.
pub fn of_verbs(values: &[Value], verbs: &[&str]) -> Vec<Value> {
    let within = |path: &str, section: &str| {
        path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let wanted = |path: &str| {
        ALWAYS.contains(&path) || verbs.iter().flat_map(|verb| used(verb)).any(|section| within(path, section))
    };
    values.iter().filter(|value| wanted(&value.path)).cloned().collect()
}

/// Puts in what a launch takes from the template instance and from the image where the spec says nothing.
pub fn fill(values: &mut [Value], template: Option<&Instance>, image: Option<&Image>) {
    let list = |words: Vec<String>| (!words.is_empty()).then(|| format!("[{}]", words.join(", ")));
    let template = template.into_iter().flat_map(|from| {
        let subnet = from.subnet.iter().map(ToString::to_string).collect();
        let groups = from.security_groups.iter().map(ToString::to_string).collect();
        [
            ("fleet.types", list(vec![from.instance_type.clone()])),
            ("fleet.subnets", list(subnet)),
            ("fleet.security_groups", list(groups)),
            ("fleet.instance_profile", from.instance_profile.clone()),
            ("fleet.key_name", from.key_name.clone()),
        ]
        .map(|(path, value)| (path, value, Origin::Template, from.id.to_string()))
    });
    let image = image.into_iter().map(|from| {
        let size = from.root_gib.map(|gib| format!("{gib}GiB"));
        ("fleet.root.size", size, Origin::Image, from.id.to_string())
    });
    for (path, value, from, place) in template.chain(image) {
        let silent = values.iter_mut().find(|known| known.path == path && known.from == Origin::Default);
        if let (Some(known), Some(value)) = (silent, value) {
            *known = Value { value, from, place: Some(place), ..known.clone() };
        }
    }
}
