//! The base image that a spec means by owner and name: the newest that can be launched, or why there is none.

use super::Unplannable;
use crate::exit::Exit;
use crate::model::{Image, ImageState};
use crate::spec::Fleet;
use crate::spec::build::{BaseImage, Build};
use jiff::Timestamp;

/// What to do about a base image that is not found.
const LOOK: &str = "aws ec2 describe-images --include-deprecated --owners";

/// An image, and since or until when its owner advises against it, where that was said.
pub type Dated = (Image, Option<Timestamp>);

/// The newest of the images that the owner and the name mean.
///
/// # Errors
///
/// When there is none that can be launched, or when two are equally new: nobody could tell which is meant.
pub fn newest<'a>(
    found: &'a [Dated],
    wanted: &BaseImage,
    architecture: Option<&str>,
    now: Timestamp,
) -> Result<&'a Image, Unplannable> {
    let BaseImage::Newest { owner, name } = wanted else {
        return Err(Unplannable::new(Exit::Bug, format!("look for {wanted}: it is named by its id"), ""));
    };
    let refused = |why: String| {
        let listed = format!("{LOOK} {owner} --filters 'Name=name,Values={name}'     # lists what there is");
        let of = architecture.map(|one| format!(" for {one}")).unwrap_or_default();
        Err(Unplannable::new(Exit::Usage, format!("find the base image: {owner}'s {name}{of}: {why}"), listed))
    };
    let advised_against = |at: &Option<Timestamp>| at.is_some_and(|at| at <= now);
    let mut good: Vec<&Image> = found
        .iter()
        .filter(|(image, deprecated)| image.state == ImageState::Available && !advised_against(deprecated))
        .map(|(image, _)| image)
        .collect();
    good.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
    match good[..] {
        [] => {
            let mut bad: Vec<&Dated> = found.iter().collect();
            bad.sort_by_key(|(image, _)| std::cmp::Reverse(image.created));
            refused(match bad.first() {
                None => "there is none in this region, or its owner lets us not use it".to_owned(),
                Some((image, Some(at))) if *at <= now => {
                    format!("the newest, {} ({}), is deprecated since {at}", image.id, image.name)
                }
                Some((image, _)) => format!("the newest, {} ({}), is {}", image.id, image.name, image.state.as_str()),
            })
        }
        [one, two, ..] if one.created == two.created => {
            let equal = format!("{} ({}) and {} ({}) are of the same moment", one.id, one.name, two.id, two.name);
            refused(format!("{equal}: say more of the name"))
        }
        [one, ..] => Ok(one),
    }
}

/// The same fleet with its base image by its id, and what was found, in words.
pub fn with_base(fleet: &Fleet, build: &Build, image: &Image) -> Fleet {
    let date = image.created.map(|at| format!(" of {}", at.strftime("%F"))).unwrap_or_default();
    let told = format!("base image {} ({}{date}): {}", image.id, image.name, build.base_image);
    let base_image = BaseImage::Found { id: image.id.clone(), told };
    let build = Build { base_image, ..build.clone() };
    let template = fleet.template.clone();
    Fleet {
        template: template.map(|template| crate::spec::fleet::Template { build: Some(build), ..template }),
        ..fleet.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
    }

    fn image(id: &str, hour: i64) -> Image {
        Image {
            id: id.into(),
            name: format!("al-{id}"),
            owner: "1".to_owned(),
            state: ImageState::Available,
            state_reason: None,
            created: Some(at(hour)),
            architecture: None,
            root_device: None,
            snapshots: Vec::new(),
            gib: 8,
            root_gib: Some(8),
            template: None,
            base: None,
            tags: Tags::default(),
        }
    }

    #[test]
    fn the_newest_that_can_be_launched_is_taken_and_doubt_is_told() {
        let wanted = BaseImage::Newest { owner: "amazon".to_owned(), name: "al-*".to_owned() };
        let disabled = Image { state: ImageState::Other("disabled".to_owned()), ..image("off", 9) };
        let old = (image("old", 1), None);
        let all =
            [old.clone(), (image("new", 3), Some(at(50))), (image("past", 8), Some(at(9))), (disabled.clone(), None)];
        let found = |images: &[Dated]| newest(images, &wanted, Some("x86_64"), at(10)).map(|one| one.id.to_string());
        assert_eq!(found(&all).as_deref(), Ok("new"));
        assert_eq!(found(&all[..1]).as_deref(), Ok("old"));
        let why = |images: &[Dated]| found(images).unwrap_err();
        let beginning = "find the base image: amazon's al-* for x86_64: ";
        for (images, end) in [
            (vec![], "there is none in this region, or its owner lets us not use it"),
            (vec![all[2].clone()], "the newest, past (al-past), is deprecated since 2027-01-15T17:00:00Z"),
            (vec![all[2].clone(), all[3].clone()], "the newest, off (al-off), is disabled"),
            (
                vec![old.clone(), (image("twin", 1), None)],
                "twin (al-twin) and old (al-old) are of the same moment: say more of the name",
            ),
        ] {
            let refused = why(&images);
            assert_eq!(refused.message, format!("{beginning}{end}"));
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.hints[0].contains("--owners amazon --filters 'Name=name,Values=al-*'"), "{refused:?}");
        }
    }
}
