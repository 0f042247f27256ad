//! CreateLaunchTemplate, CreateLaunchTemplateVersion, ModifyLaunchTemplate and the two deletes.

use super::params::{Node, invalid, missing};
use super::records::{Template, Version};
use super::spec::tags_for;
use super::tag::specifications;
use super::template_read::{write_template, write_version};
use super::tokens::{self, TokenKey};
use super::{Ask, Ec2};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::partition;
use crate::sim::xml::Xml;

impl Ec2 {
    /// A template with version 1. The name is unique in the account and region, whoever can see it yet.
    pub(super) fn create_launch_template(&mut self, ask: &Ask) -> Handled {
        let name = name(ask.params.need("LaunchTemplateName")?)?;
        let key = token(ask, "CreateLaunchTemplate")?;
        if let Some([id, ..]) = self.earlier(key.as_ref(), ask)?.as_deref() {
            return self.template_answer(id, Vec::new());
        }
        let data = data(ask)?;
        if data.is_empty() {
            return Err(missing("LaunchTemplateData"));
        }
        let tags = specifications(&ask.params, &["launch-template"])?;
        if self.templates.all().any(|template| template.name == name) {
            return Err(ApiError::new(
                "InvalidLaunchTemplateName.AlreadyExistsException",
                format!("Launch template name already in use: {name}"),
            ));
        }
        let id = self.ids.long("lt");
        let creator = self.caller(ask);
        let version =
            Version { number: 1, description: description(ask)?, created: ask.now, creator: creator.clone(), data };
        let template = Template {
            id: id.clone(),
            name,
            created: ask.now,
            creator,
            default: 1,
            latest: 1,
            versions: vec![version],
            tags: tags_for(&tags, "launch-template"),
        };
        self.templates.insert(&id, ask.now, template);
        if let Some(key) = key {
            self.tokens.spend(key, ask.pairs, vec![id.clone()], ask.now);
        }
        self.template_answer(&id, vec![id.clone()])
    }

    /// A new version, on top of `SourceVersion` if one is named.
    pub(super) fn create_launch_template_version(&mut self, ask: &Ask) -> Handled {
        let key = token(ask, "CreateLaunchTemplateVersion")?;
        if let Some([id, number]) = self.earlier(key.as_ref(), ask)?.as_deref() {
            return self.version_answer(id, number, Vec::new());
        }
        let seen = self.template_named(&ask.params, ask)?;
        let given = data(ask)?;
        let data = match ask.params.text("SourceVersion") {
            Some(word) => seen.version(word)?.data.overlaid(&given),
            None => given,
        };
        if data.is_empty() {
            return Err(missing("LaunchTemplateData"));
        }
        // The number comes from the truth, not from what this reader sees.
        let number = self.templates.get(&seen.id).map_or(1, |template| template.latest + 1);
        let (created, creator) = (ask.now, self.caller(ask));
        let version = Version { number, description: description(ask)?, created, creator, data };
        self.templates.change(&seen.id, ask.now, |template| {
            template.latest = number;
            template.versions.push(version);
        });
        let number = number.to_string();
        if let Some(key) = key {
            self.tokens.spend(key, ask.pairs, vec![seen.id.clone(), number.clone()], ask.now);
        }
        self.version_answer(&seen.id, &number, vec![format!("{}:{number}", seen.id)])
    }

    /// Another default version.
    pub(super) fn modify_launch_template(&mut self, ask: &Ask) -> Handled {
        let template = self.template_named(&ask.params, ask)?;
        if let Some(word) = ask.params.text("SetDefaultVersion") {
            let number = template.version(word)?.number;
            self.templates.change(&template.id, ask.now, |template| template.default = number);
        }
        self.template_answer(&template.id, Vec::new())
    }

    /// The template and all its versions.
    pub(super) fn delete_launch_template(&mut self, ask: &Ask) -> Handled {
        let template = self.template_named(&ask.params, ask)?;
        let answer = self.template_answer(&template.id, Vec::new())?;
        self.templates.remove(&template.id, ask.now);
        Ok(Reply { ended: vec![template.id], ..answer })
    }

    /// Each version by itself; the default one stays.
    pub(super) fn delete_launch_template_versions(&mut self, ask: &Ask) -> Handled {
        let seen = self.template_named(&ask.params, ask)?;
        let words = ask.params.texts("LaunchTemplateVersion");
        if words.is_empty() {
            return Err(missing("LaunchTemplateVersion"));
        }
        if words.len() > 200 {
            return Err(invalid("At most 200 launch template versions can be deleted in one call"));
        }
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for word in words {
            let number = word.parse::<u64>().ok().and_then(|_| seen.version(&word).ok()).map(|found| found.number);
            let default = self.templates.get(&seen.id).map_or(seen.default, |template| template.default);
            match number {
                None => {
                    bad.push((
                        word,
                        "launchTemplateVersionDoesNotExist",
                        "The launch template version does not exist.",
                    ));
                }
                Some(number) if number == default => {
                    bad.push((word, "unexpectedError", "The default launch template version can't be deleted."));
                }
                Some(number) => {
                    self.templates.change(&seen.id, ask.now, |template| {
                        template.versions.retain(|version| version.number != number);
                    });
                    good.push(number);
                }
            }
        }
        let mut xml = Xml::new();
        xml.list("successfullyDeletedLaunchTemplateVersionSet", &good, |xml, number| {
            xml.text("launchTemplateId", &seen.id).text("launchTemplateName", &seen.name).text("versionNumber", number);
        });
        xml.list("unsuccessfullyDeletedLaunchTemplateVersionSet", bad, |xml, (word, code, message)| {
            xml.text("launchTemplateId", &seen.id).text("launchTemplateName", &seen.name);
            xml.opt("versionNumber", word.parse::<u64>().ok()).open("responseError", |xml| {
                xml.text("code", code).text("message", message);
            });
        });
        let ended = good.iter().map(|number| format!("{}:{number}", seen.id)).collect();
        Ok(Reply { body: xml.finish(), ended, ..Reply::default() })
    }

    fn earlier(&self, key: Option<&TokenKey>, ask: &Ask) -> Result<Option<Vec<String>>, ApiError> {
        let Some(key) = key else { return Ok(None) };
        Ok(self.tokens.earlier(key, ask.pairs, ask.now)?.map(<[String]>::to_vec))
    }

    fn caller(&self, ask: &Ask) -> String {
        format!("arn:{}:iam::{}:user/{}", partition::of(&self.region), self.account, ask.eye.principal)
    }

    fn template_answer(&self, id: &str, made: Vec<String>) -> Handled {
        let template = self.templates.get(id).ok_or_else(|| super::ids::unknown("lt", id))?;
        let mut xml = Xml::new();
        xml.open("launchTemplate", |xml| write_template(xml, template));
        Ok(Reply { body: xml.finish(), made, ..Reply::default() })
    }

    fn version_answer(&self, id: &str, number: &str, made: Vec<String>) -> Handled {
        let template = self.templates.get(id).ok_or_else(|| super::ids::unknown("lt", id))?;
        let version = template.version(number)?;
        let mut xml = Xml::new();
        xml.open("launchTemplateVersion", |xml| write_version(xml, template, version));
        Ok(Reply { body: xml.finish(), made, ..Reply::default() })
    }
}

/// A regional token.
pub(super) fn token(ask: &Ask, action: &str) -> Result<Option<TokenKey>, ApiError> {
    let Some(token) = ask.params.string("ClientToken") else { return Ok(None) };
    tokens::check(&token)?;
    Ok(Some(TokenKey { action: action.to_owned(), token, zone: None }))
}

fn data(ask: &Ask) -> Result<Node, ApiError> {
    let data = ask.params.at("LaunchTemplateData").cloned().unwrap_or_default();
    specifications(&data, &["instance", "volume", "network-interface", "spot-instances-request"])?;
    Ok(data)
}

/// At most 255 characters.
fn description(ask: &Ask) -> Result<Option<String>, ApiError> {
    let text = ask.params.string("VersionDescription");
    if text.as_ref().is_some_and(|text| text.chars().count() > 255) {
        return Err(invalid("VersionDescription must be at most 255 characters long"));
    }
    Ok(text)
}

/// 3 to 128 of the characters that EC2 allows.
fn name(name: &str) -> Result<String, ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
    if (3..=128).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(name.to_owned());
    }
    Err(ApiError::new(
        "InvalidLaunchTemplateName.MalformedException",
        "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following \
         characters: - ( ) . / _",
    ))
}
