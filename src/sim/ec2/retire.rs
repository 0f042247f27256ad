//! EnableImageDeprecation, DisableImage: what their owner advises against, or lets nobody launch.

use super::network::done;
use super::params::invalid;
use super::records::{Image, Making};
use super::{Ask, Ec2, ids};
use crate::sim::api::{ApiError, Handled};
use crate::sim::xml::Xml;
use jiff::Timestamp;

impl Ec2 {
    /// From then on others are shown the image only when they name it or ask for such.
    pub(super) fn enable_image_deprecation(&mut self, ask: &Ask) -> Handled {
        let at = ask.params.need("DeprecateAt")?;
        let wrong = || invalid(format!("Value ({at}) for parameter DeprecateAt is invalid."));
        let at: Timestamp = at.parse().map_err(|_| wrong())?;
        if at < ask.now {
            return Err(wrong());
        }
        self.retire(ask, |image| image.deprecated = Some(at))
    }

    /// From now on nobody can launch the image, and nobody else sees it.
    pub(super) fn disable_image(&mut self, ask: &Ask) -> Handled {
        self.retire(ask, |image| (image.disabled, image.public) = (true, false))
    }

    fn retire(&mut self, ask: &Ask, change: impl FnOnce(&mut Image)) -> Handled {
        let id = ask.params.need("ImageId")?.to_owned();
        let image = self.images.seen(&id, &ask.eye).ok_or_else(|| ids::unknown("ami", &id))?;
        if image.owner != self.account {
            return Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}")));
        }
        if image.made != Making::Done {
            return Err(ApiError::new("InvalidAMIID.Unavailable", format!("The image ID '{id}' is not available")));
        }
        self.images.change(&id, ask.now, change);
        let mut xml = Xml::new();
        xml.text("return", true);
        Ok(done(xml, None))
    }

    /// Whether DescribeImages leaves an image out unless such were asked for: another account's that is deprecated and that
    /// nobody named, and every one that is disabled.
    pub(super) fn retired(&self, image: &Image, ask: &Ask) -> Result<bool, ApiError> {
        let asked = |name: &str| ask.params.flag(name).map(|flag| flag == Some(true));
        let old = image.owner != self.account && image.deprecated.is_some_and(|at| at <= ask.now);
        let named = ask.params.texts("ImageId").contains(&image.id);
        Ok(old && !named && !asked("IncludeDeprecated")? || image.disabled && !asked("IncludeDisabled")?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{IMAGE, TEMPLATE, World, run, texts};

    #[test]
    fn what_is_deprecated_or_disabled_is_listed_only_where_asked_for() {
        let mut world = World::new();
        let own =
            texts(&world.ok("CreateImage", &[("InstanceId", TEMPLATE), ("Name", "crawl-1")]), "imageId").remove(0);
        world.pass(180);
        let named = |more: &[(&'static str, &'static str)]| {
            [&[("Filter.1.Name", "state"), ("Filter.1.Value.1", "*")], more].concat()
        };
        let listed = |world: &mut World, more: &[(&'static str, &'static str)]| {
            let mut all = texts(&world.ok("DescribeImages", &named(more)), "imageId");
            all.sort();
            all
        };
        let both = {
            let mut both = vec![IMAGE.to_owned(), own.clone()];
            both.sort();
            both
        };
        assert_eq!(listed(&mut world, &[]), both);

        // Its owner sees what it has deprecated; nobody else does unless asked for.
        let at = world.now.saturating_add(jiff::SignedDuration::from_mins(5)).unwrap();
        world.ok("EnableImageDeprecation", &[("ImageId", &own), ("DeprecateAt", &at.to_string())]);
        let now = world.now;
        world.ec2.images.change(IMAGE, now, |image| {
            (image.deprecated, image.owner) = (Some(at), "amazon".to_owned());
        });
        assert_eq!(listed(&mut world, &[]), both, "not yet");
        world.pass(600);
        assert_eq!(listed(&mut world, &[]), [own.as_str()]);
        assert_eq!(listed(&mut world, &[("IncludeDeprecated", "true")]), both);
        assert_eq!(texts(&world.ok("DescribeImages", &[("ImageId.1", IMAGE)]), "deprecationTime").len(), 1, "named");
        world.run(&[]);

        let now = world.now;
        world.ec2.images.change(&own, now, |image| image.public = true);
        world.ok("DisableImage", &[("ImageId", &own)]);
        assert_eq!(listed(&mut world, &[]), Vec::<String>::new());
        assert_eq!(texts(&world.ok("DescribeImages", &[("ImageId.1", &own)]), "imageId").len(), 0, "named, too");
        let body = world.ok("DescribeImages", &named(&[("IncludeDisabled", "true")]));
        assert_eq!(
            (texts(&body, "imageState"), texts(&body, "isPublic")),
            (vec!["disabled".to_owned()], vec!["false".to_owned()])
        );
        assert_eq!(world.fails("RunInstances", &run(&[("ImageId", &own)])).code, "InvalidAMIID.Unavailable");
        assert_eq!(world.fails("DisableImage", &[("ImageId", IMAGE)]).code, "AuthFailure");
        let past = [("ImageId", own.as_str()), ("DeprecateAt", "2020-01-01T00:00:00Z")];
        assert_eq!(world.fails("EnableImageDeprecation", &past).code, "InvalidParameterValue");
    }
}
