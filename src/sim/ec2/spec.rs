//! What an instance is to be: parameters of RunInstances or of a launch template, read and checked.

use super::devices::devices;
use super::params::{Node, invalid};
use super::records::{Guard, Image, ImageDevice, Making, Market, MetadataOptions, Tags};
use super::tag::{Specifications, specifications};
use super::visible::Eye;
use super::{Ec2, cost, ids};
use crate::sim::api::ApiError;
use crate::sim::seed::SeedType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// EC2's limit on user data before base64.
const USER_DATA: usize = 16 * 1024;

/// Everything about an instance but its place.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) image: Image,
    pub(super) kind: SeedType,
    pub(super) key: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) profile: Option<String>,
    pub(super) user_data: Option<String>,
    pub(super) devices: Vec<ImageDevice>,
    pub(super) metadata: MetadataOptions,
    pub(super) market: Market,
    /// Millionths of a dollar an hour.
    pub(super) max_price: Option<u64>,
    pub(super) shutdown: String,
    pub(super) guard: Guard,
    pub(super) monitored: bool,
    pub(super) ebs_optimized: bool,
    pub(super) tenancy: String,
    pub(super) tags: Specifications,
}

/// Resource types that a launch can tag.
const TAGGED: [&str; 4] = ["instance", "volume", "network-interface", "spot-instances-request"];

/// A launch template's data with the parameters of a call over it: the call wins, parameter by parameter; tags and
/// block devices are joined, by key and by device name, and options of the metadata service one by one.
pub(super) fn joined(template: &Node, call: &Node) -> Node {
    let mut both = template.overlaid(call);
    for name in ["MetadataOptions", "Placement"] {
        if let (Some(base), Some(over)) = (template.at(name), call.at(name)) {
            both = both.with(name, base.overlaid(over));
        }
    }
    let all = |name: &str| Node::from_members([template, call].iter().flat_map(|node| node.list(name)).cloned());
    // Readers of these two lists let a later entry win over an earlier one of the same key.
    both.with("TagSpecification", all("TagSpecification")).with("BlockDeviceMapping", all("BlockDeviceMapping"))
}

/// The subnet that the parameters name, in either place.
pub(super) fn subnet(node: &Node) -> Option<String> {
    node.string("SubnetId").or_else(|| interface(node)?.string("SubnetId"))
}

fn interface(node: &Node) -> Option<&Node> {
    node.list("NetworkInterface").into_iter().next()
}

/// One of a few words.
fn word(node: &Node, path: &str, known: &[&str], default: &str) -> Result<String, ApiError> {
    let word = node.text(path).unwrap_or(default);
    if !known.contains(&word) {
        return Err(invalid(format!("Value ({word}) for parameter {path} is invalid. Expecting one of {known:?}.")));
    }
    Ok(word.to_owned())
}

impl Ec2 {
    /// Reads and checks; every mistake has EC2's code for it.
    pub(super) fn spec(&self, node: &Node, eye: &Eye) -> Result<Spec, ApiError> {
        let image = self.launchable(node.need("ImageId")?, eye)?;
        let kind = self.kind(node.text("InstanceType").unwrap_or("m1.small"))?;
        if kind.architecture != image.architecture {
            return Err(invalid(format!(
                "The architecture '{}' of the specified instance type does not match the architecture '{}' of the \
                 specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
                kind.architecture, image.architecture
            )));
        }
        let key = node.string("KeyName");
        if let Some(key) = key.as_ref().filter(|key| !self.network.keys.all().any(|known| known.name == **key)) {
            return Err(ids::unknown("key", key));
        }
        let market = match node.text("InstanceMarketOptions.MarketType") {
            Some("spot") => Market::Spot,
            Some(other) => {
                return Err(invalid(format!("Invalid value '{other}' for InstanceMarketOptions.MarketType.")));
            }
            None => Market::OnDemand,
        };
        let switch = ["enabled", "disabled"];
        let metadata = MetadataOptions {
            tokens: word(node, "MetadataOptions.HttpTokens", &["optional", "required"], "optional")?,
            hops: node.number("MetadataOptions.HttpPutResponseHopLimit")?.unwrap_or(1),
            endpoint: word(node, "MetadataOptions.HttpEndpoint", &switch, "enabled")?,
            tags: word(node, "MetadataOptions.InstanceMetadataTags", &switch, "disabled")?,
        };
        if !(1..=64).contains(&metadata.hops) {
            return Err(invalid("HttpPutResponseHopLimit must be between 1 and 64"));
        }
        Ok(Spec {
            key,
            groups: self.groups(node)?,
            profile: self.profile(node)?,
            user_data: user_data(node)?,
            devices: devices(node, &image)?,
            metadata,
            market,
            max_price: price(node, "InstanceMarketOptions.SpotOptions.MaxPrice")?,
            shutdown: word(node, "InstanceInitiatedShutdownBehavior", &["stop", "terminate"], "stop")?,
            guard: Guard {
                terminate: node.flag("DisableApiTermination")?.unwrap_or(false),
                stop: node.flag("DisableApiStop")?.unwrap_or(false),
            },
            monitored: node.flag("Monitoring.Enabled")?.unwrap_or(false),
            ebs_optimized: node.flag("EbsOptimized")?.unwrap_or(false),
            tenancy: word(node, "Placement.Tenancy", &["default", "dedicated", "host"], "default")?,
            tags: specifications(node, &TAGGED)?,
            image,
            kind,
        })
    }

    /// An image that can be launched now.
    fn launchable(&self, id: &str, eye: &Eye) -> Result<Image, ApiError> {
        let image = self.images.seen(id, eye).ok_or_else(|| ids::unknown("ami", id))?;
        match image.made {
            Making::Done if !image.disabled => Ok(image.clone()),
            Making::Done | Making::Pending | Making::Failed => {
                Err(ApiError::new("InvalidAMIID.Unavailable", format!("The image ID '{id}' is not available")))
            }
        }
    }

    /// An instance type that the region offers.
    pub(super) fn kind(&self, name: &str) -> Result<SeedType, ApiError> {
        self.types
            .iter()
            .find(|kind| kind.name == name)
            .cloned()
            .ok_or_else(|| invalid(format!("Invalid value '{name}' for InstanceType.")))
    }

    /// Security groups by id or name, from the call or its network interface.
    fn groups(&self, node: &Node) -> Result<Vec<String>, ApiError> {
        if let Some(interface) = interface(node) {
            if node.text("SubnetId").is_some() || !node.texts("SecurityGroupId").is_empty() {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same \
                     request",
                ));
            }
            return self.known_groups(interface.texts("SecurityGroupId"));
        }
        let mut groups = node.texts("SecurityGroupId");
        for name in node.texts("SecurityGroup") {
            let group = self.network.groups.all().find(|group| group.name == name);
            groups.push(group.ok_or_else(|| ids::unknown_group_name(&name))?.id.clone());
        }
        self.known_groups(groups)
    }

    fn known_groups(&self, groups: Vec<String>) -> Result<Vec<String>, ApiError> {
        if let Some(bad) = groups.iter().find(|id| self.network.groups.get(id).is_none()) {
            return Err(ids::unknown("sg", bad));
        }
        Ok(if groups.is_empty() { vec![self.network.default_group.clone()] } else { groups })
    }

    /// The instance profile by name or ARN.
    fn profile(&self, node: &Node) -> Result<Option<String>, ApiError> {
        let (name, field) = match (node.text("IamInstanceProfile.Name"), node.text("IamInstanceProfile.Arn")) {
            (Some(name), _) => (name, "name"),
            (None, Some(arn)) => (arn.rsplit('/').next().unwrap_or(arn), "arn"),
            (None, None) => return Ok(None),
        };
        if self.profiles.iter().any(|known| known == name) {
            return Ok(Some(name.to_owned()));
        }
        Err(invalid(format!(
            "Value ({name}) for parameter iamInstanceProfile.{field} is invalid. Invalid IAM Instance Profile {field}"
        )))
    }
}

/// User data as given, once it is known to be good base64 of at most 16 KiB.
fn user_data(node: &Node) -> Result<Option<String>, ApiError> {
    let Some(text) = node.string("UserData") else { return Ok(None) };
    let compact: String = text.split_whitespace().collect();
    let bytes = STANDARD
        .decode(&compact)
        .map_err(|_| ApiError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."))?;
    if bytes.len() > USER_DATA {
        return Err(invalid(format!("User data is limited to {USER_DATA} bytes")));
    }
    Ok(Some(compact))
}

/// A price in dollars an hour.
pub(super) fn price(node: &Node, path: &str) -> Result<Option<u64>, ApiError> {
    node.text(path)
        .map(|text| cost::micros(text).ok_or_else(|| invalid(format!("Invalid value '{text}' for {path}."))))
        .transpose()
}

/// Tags for one resource type of a launch.
pub(super) fn tags_for(tags: &Specifications, kind: &str) -> Tags {
    tags.get(kind).cloned().unwrap_or_default()
}
