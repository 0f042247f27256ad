//! Launch templates as others use them: found by id or name, and their versions by number or alias.

use super::params::{Node, invalid, missing};
use super::records::{Template, Version};
use super::{Ask, Ec2, ids};
use crate::sim::api::ApiError;

impl Template {
    /// Highest number that is still there; deleted numbers are never given again.
    pub(super) fn latest(&self) -> u64 {
        self.versions.iter().map(|version| version.number).max().unwrap_or_default()
    }

    /// A version by number, `$Latest` or `$Default`.
    pub(super) fn version(&self, word: &str) -> Result<&Version, ApiError> {
        let number = match word {
            "$Latest" => self.latest(),
            "$Default" => self.default,
            digits => digits.parse().map_err(|_| invalid(format!("Invalid value '{digits}' for a version.")))?,
        };
        self.versions.iter().find(|version| version.number == number).ok_or_else(|| {
            ApiError::new(
                "InvalidLaunchTemplateId.VersionNotFound",
                format!("Could not find launch template version {word} of launch template {}", self.id),
            )
        })
    }
}

/// A launch template by a name that nobody has.
pub(super) fn no_such_name(name: &str) -> ApiError {
    ApiError::new(
        "InvalidLaunchTemplateName.NotFoundException",
        format!("The specified launch template, with template name {name}, does not exist."),
    )
}

impl Ec2 {
    /// The template that `LaunchTemplateId` or `LaunchTemplateName` names, as this reader sees it.
    pub(super) fn template_named(&self, node: &Node, ask: &Ask) -> Result<Template, ApiError> {
        match (node.text("LaunchTemplateId"), node.text("LaunchTemplateName")) {
            (Some(_), Some(_)) => Err(ApiError::new(
                "InvalidParameterCombination",
                "Either the launch template ID or the launch template name can be specified, not both.",
            )),
            (Some(id), None) => self.templates.seen(id, &ask.eye).cloned().ok_or_else(|| ids::unknown("lt", id)),
            (None, Some(name)) => {
                let mut seen = self.templates.all_seen(&ask.eye).map(|(_, template)| template);
                seen.find(|template| template.name == name).cloned().ok_or_else(|| no_such_name(name))
            }
            (None, None) => Err(missing("LaunchTemplateId or LaunchTemplateName")),
        }
    }

    /// The version that a launch names; `$Default` if it names none.
    pub(super) fn template_version(&self, node: &Node, ask: &Ask) -> Result<(Template, Version), ApiError> {
        let template = self.template_named(node, ask)?;
        let version = template.version(node.text("Version").unwrap_or("$Default"))?.clone();
        Ok((template, version))
    }
}
