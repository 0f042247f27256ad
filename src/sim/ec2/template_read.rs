//! DescribeLaunchTemplates, DescribeLaunchTemplateVersions, and how templates are written.

use super::filter::Filters;
use super::network::done;
use super::page::{Bounds, page};
use super::params::{Node, lower_first, missing};
use super::records::{Tags, Template, Version};
use super::template::no_such_name;
use super::{Ask, Ec2, when, write_tags};
use crate::sim::api::{ApiError, Handled};
use crate::sim::xml::Xml;

/// A template without its versions.
pub(super) fn write_template(xml: &mut Xml, template: &Template) {
    xml.text("launchTemplateId", &template.id)
        .text("launchTemplateName", &template.name)
        .text("createTime", when(template.created))
        .text("createdBy", &template.creator)
        .text("defaultVersionNumber", template.default)
        .text("latestVersionNumber", template.latest());
    write_tags(xml, &template.tags);
}

/// One version with its data.
pub(super) fn write_version(xml: &mut Xml, template: &Template, version: &Version) {
    xml.text("launchTemplateId", &template.id)
        .text("launchTemplateName", &template.name)
        .text("versionNumber", version.number)
        .opt("versionDescription", version.description.as_ref())
        .text("createTime", when(version.created))
        .text("createdBy", &version.creator)
        .text("defaultVersion", version.number == template.default)
        .open("launchTemplateData", |xml| write_data(xml, &version.data));
}

/// Parameters as EC2 answers them: first letter small, lists as `..Set`. Three lists have names of their own.
fn write_data(xml: &mut Xml, node: &Node) {
    for (name, child) in node.children() {
        let small = lower_first(name);
        let members = child.members();
        if let Some(value) = child.value() {
            xml.text(&small, value);
        } else if members.is_empty() {
            xml.open(&small, |xml| write_data(xml, child));
        } else if name == "SecurityGroupId" && node.at("DeviceIndex").is_some() {
            xml.open("groupSet", |xml| {
                for group in members {
                    xml.opt("groupId", group.value());
                }
            });
        } else {
            let set = match name {
                "LicenseSpecification" => "licenseSet".to_owned(),
                "PrivateIpAddress" => "privateIpAddressesSet".to_owned(),
                _ => format!("{small}Set"),
            };
            xml.open(&set, |xml| {
                for member in members {
                    match member.value() {
                        Some(value) => {
                            xml.text("item", value);
                        }
                        None => {
                            xml.open("item", |xml| write_data(xml, member));
                        }
                    }
                }
            });
        }
    }
}

impl Ec2 {
    /// DescribeLaunchTemplates.
    pub(super) fn describe_launch_templates(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &["create-time", "launch-template-name", "tag"])?;
        let wanted = ask.wanted("LaunchTemplateId", "lt", |id| self.templates.seen(id, &ask.eye).is_some())?;
        let names = ask.params.texts("LaunchTemplateName");
        for name in &names {
            if !self.templates.all_seen(&ask.eye).any(|(_, template)| template.name == *name) {
                return Err(no_such_name(name));
            }
        }
        let found = self.templates.all_seen(&ask.eye).filter(|(_, template)| {
            wanted.takes(&template.id)
                && (names.is_empty() || names.contains(&template.name))
                && filters.pass(&template.tags, |name| {
                    vec![match name {
                        "create-time" => when(template.created),
                        _ => template.name.clone(),
                    }]
                })
        });
        let page = page(&ask.params, "DescribeLaunchTemplates", Bounds(1, 200), found)?;
        let mut xml = Xml::new();
        xml.list("launchTemplates", &page.items, |xml, template| write_template(xml, template));
        Ok(done(xml, page.next))
    }

    /// Of one template: the versions named, or a range, newest first. Without a template: `$Latest` or `$Default` of all.
    pub(super) fn describe_launch_template_versions(&self, ask: &Ask) -> Handled {
        let known = [
            "create-time",
            "ebs-optimized",
            "iam-instance-profile",
            "image-id",
            "instance-type",
            "is-default-version",
            "kernel-id",
            "ram-disk-id",
        ];
        let filters = Filters::read(&ask.params, &known)?;
        let words = ask.params.texts("LaunchTemplateVersion");
        let named = ask.params.text("LaunchTemplateId").or(ask.params.text("LaunchTemplateName")).is_some();
        let mut rows: Vec<(usize, (Template, Version))> = Vec::new();
        if named {
            let template = self.template_named(&ask.params, ask)?;
            let least = bound(&template, ask.params.text("MinVersion"))?.unwrap_or(0);
            let most = bound(&template, ask.params.text("MaxVersion"))?.unwrap_or(u64::MAX);
            let mut numbers = Vec::new();
            for word in &words {
                numbers.push(template.version(word)?.number);
            }
            for version in template.versions.iter().rev() {
                let asked = if numbers.is_empty() {
                    (least..=most).contains(&version.number)
                } else {
                    numbers.contains(&version.number)
                };
                if asked {
                    // A place that never changes: later versions come before this one.
                    let place = usize::MAX - usize::try_from(version.number).unwrap_or_default();
                    rows.push((place, (template.clone(), version.clone())));
                }
            }
        } else {
            if words.is_empty() {
                return Err(missing("LaunchTemplateId, LaunchTemplateName or LaunchTemplateVersion"));
            }
            if words.iter().any(|word| !matches!(word.as_str(), "$Latest" | "$Default")) {
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    "Without a launch template only the versions $Latest and $Default can be described.",
                ));
            }
            for (place, template) in self.templates.all_seen(&ask.eye) {
                for word in &words {
                    let version = template.version(word)?.clone();
                    if !rows.iter().any(|(_, (t, v))| t.id == template.id && v.number == version.number) {
                        rows.push((place, (template.clone(), version)));
                    }
                }
            }
        }
        let found = rows.into_iter().filter(|(_, (template, version))| {
            filters.pass(&Tags::new(), |name| {
                let fact = match name {
                    "create-time" => Some(when(version.created)),
                    "ebs-optimized" => version.data.string("EbsOptimized"),
                    "iam-instance-profile" => version
                        .data
                        .string("IamInstanceProfile.Name")
                        .or_else(|| version.data.string("IamInstanceProfile.Arn")),
                    "image-id" => version.data.string("ImageId"),
                    "instance-type" => version.data.string("InstanceType"),
                    "is-default-version" => Some((version.number == template.default).to_string()),
                    "kernel-id" => version.data.string("KernelId"),
                    _ => version.data.string("RamDiskId"),
                };
                fact.into_iter().collect()
            })
        });
        let page = page(&ask.params, "DescribeLaunchTemplateVersions", Bounds(1, 200), found)?;
        let mut xml = Xml::new();
        xml.list("launchTemplateVersionSet", &page.items, |xml, (template, version)| {
            write_version(xml, template, version);
        });
        Ok(done(xml, page.next))
    }
}

/// An end of a range, which need not be a version that exists.
fn bound(template: &Template, word: Option<&str>) -> Result<Option<u64>, ApiError> {
    word.map(|word| match word.parse() {
        Ok(number) => Ok(number),
        Err(_) => template.version(word).map(|version| version.number),
    })
    .transpose()
}
