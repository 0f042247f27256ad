//! DescribeInstanceAttribute, ModifyInstanceAttribute, ModifyInstanceMetadataOptions.

use super::instances::write_metadata_options;
use super::params::{Node, invalid, lower_first, missing};
use super::power::{ok, wrong_state};
use super::records::State;
use super::{Ask, Ec2};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

impl Ec2 {
    /// One attribute of one instance.
    pub(super) fn describe_instance_attribute(&self, ask: &Ask) -> Handled {
        let instance = self.named_one(ask)?;
        let attribute = ask.params.need("Attribute")?;
        let mut xml = Xml::new();
        xml.text("instanceId", &instance.id);
        let value = match attribute {
            "disableApiTermination" => Some(instance.guard.terminate.to_string()),
            "disableApiStop" => Some(instance.guard.stop.to_string()),
            "instanceInitiatedShutdownBehavior" => Some(instance.shutdown.clone()),
            "instanceType" => Some(instance.instance_type.clone()),
            "userData" => instance.user_data.clone(),
            "rootDeviceName" => Some(instance.root_device.clone()),
            "ebsOptimized" => Some(instance.ebs_optimized.to_string()),
            "sourceDestCheck" | "enaSupport" => Some("true".to_owned()),
            "sriovNetSupport" => Some("simple".to_owned()),
            "kernel" | "ramdisk" => None,
            "groupSet" => {
                xml.list("groupSet", &instance.groups, |xml, id| {
                    xml.text("groupId", id).text("groupName", self.network.group_name(id));
                });
                return Ok(Reply { body: xml.finish(), ..Reply::default() });
            }
            "blockDeviceMapping" => {
                xml.list("blockDeviceMapping", &instance.devices, |xml, device| {
                    xml.text("deviceName", &device.device).open("ebs", |xml| {
                        xml.text("volumeId", &device.volume)
                            .text("status", "attached")
                            .text("attachTime", super::when(device.at))
                            .text("deleteOnTermination", device.ends);
                    });
                });
                return Ok(Reply { body: xml.finish(), ..Reply::default() });
            }
            "productCodes" => {
                xml.open("productCodes", |_| ());
                return Ok(Reply { body: xml.finish(), ..Reply::default() });
            }
            other => {
                return Err(invalid(format!("Value ({other}) for parameter attribute is invalid. Unknown attribute.")));
            }
        };
        xml.open(attribute, |xml| {
            xml.opt("value", value);
        });
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// One attribute at a time, as EC2 wants it.
    pub(super) fn modify_instance_attribute(&mut self, ask: &Ask) -> Handled {
        let instance = self.named_one(ask)?;
        let id = instance.id.clone();
        let (attribute, value) = asked(&ask.params)?;
        let flag = || match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(invalid(format!("Invalid value '{value}' for {attribute}. Expecting a boolean."))),
        };
        let stopped = || {
            if instance.state == State::Stopped {
                return Ok(());
            }
            Err(wrong_state(format!("The instance '{id}' is not in the 'stopped' state.")))
        };
        let at = ask.now;
        match attribute.as_str() {
            "disableApiTermination" => {
                let flag = flag()?;
                self.instances.change(&id, at, |instance| instance.guard.terminate = flag);
            }
            "disableApiStop" => {
                let flag = flag()?;
                self.instances.change(&id, at, |instance| instance.guard.stop = flag);
            }
            "ebsOptimized" => {
                stopped()?;
                let flag = flag()?;
                self.instances.change(&id, at, |instance| instance.ebs_optimized = flag);
            }
            "instanceInitiatedShutdownBehavior" => {
                if !["stop", "terminate"].contains(&value.as_str()) {
                    return Err(invalid(format!("Invalid value '{value}' for InstanceInitiatedShutdownBehavior.")));
                }
                self.instances.change(&id, at, |instance| instance.shutdown.clone_from(&value));
            }
            "userData" => {
                stopped()?;
                if STANDARD.decode(&value).is_err() {
                    return Err(ApiError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."));
                }
                self.instances.change(&id, at, |instance| instance.user_data = Some(value.clone()));
            }
            "instanceType" => {
                stopped()?;
                let kind = self.kind(&value)?;
                let price = Self::price(&kind, instance.market);
                self.instances.change(&id, at, |instance| {
                    instance.instance_type = kind.name;
                    instance.vcpus = kind.vcpus;
                    instance.price = price;
                });
            }
            "groupSet" => {
                let groups = ask.params.texts("GroupId");
                if let Some(bad) = groups.iter().find(|id| self.network.groups.get(id).is_none()) {
                    return Err(super::ids::unknown("sg", bad));
                }
                self.instances.change(&id, at, |instance| instance.groups = groups);
            }
            other => {
                return Err(invalid(format!(
                    "Value ({other}) for parameter attribute is invalid. It can't be modified."
                )));
            }
        }
        Ok(ok())
    }

    /// Only the options given change.
    pub(super) fn modify_instance_metadata_options(&mut self, ask: &Ask) -> Handled {
        let instance = self.named_one(ask)?;
        if !instance.state.live() {
            return Err(wrong_state(format!("The instance '{}' is not in a valid state for this.", instance.id)));
        }
        let mut options = instance.metadata.clone();
        let fields = [
            ("HttpTokens", &mut options.tokens, ["optional", "required"]),
            ("HttpEndpoint", &mut options.endpoint, ["enabled", "disabled"]),
            ("InstanceMetadataTags", &mut options.tags, ["enabled", "disabled"]),
        ];
        let mut given = false;
        for (name, field, known) in fields {
            if let Some(word) = ask.params.text(name) {
                if !known.contains(&word) {
                    return Err(invalid(format!("Value ({word}) for parameter {name} is invalid.")));
                }
                word.clone_into(field);
                given = true;
            }
        }
        if let Some(hops) = ask.params.number("HttpPutResponseHopLimit")? {
            if !(1..=64).contains(&hops) {
                return Err(invalid("HttpPutResponseHopLimit must be between 1 and 64"));
            }
            options.hops = hops;
            given = true;
        }
        if !given {
            return Err(missing("HttpTokens, HttpPutResponseHopLimit, HttpEndpoint or InstanceMetadataTags"));
        }
        self.instances.change(&instance.id, ask.now, |instance| instance.metadata = options);
        let mut xml = Xml::new();
        xml.text("instanceId", &instance.id);
        if let Some(instance) = self.instances.get(&instance.id) {
            write_metadata_options(&mut xml, "instanceMetadataOptions", instance);
        }
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}

/// Which attribute is to change, and its new value. The older form names the attribute and gives its value beside it.
fn asked(params: &Node) -> Result<(String, String), ApiError> {
    let value = |path: &str| params.raw(path).unwrap_or_default().to_owned();
    if let Some(name) = params.text("Attribute") {
        return Ok((name.to_owned(), value("Value")));
    }
    let given = params.children().filter(|(_, node)| node.raw("Value").is_some()).map(|(name, _)| name);
    match given.collect::<Vec<_>>()[..] {
        [name] => Ok((lower_first(name), value(&format!("{name}.Value")))),
        [] if params.at("GroupId").is_some() => Ok(("groupSet".to_owned(), String::new())),
        [] => Err(missing("attribute")),
        _ => Err(ApiError::new("InvalidParameterCombination", "Fields for multiple attribute types specified")),
    }
}
