//! What a doctor's look saw: facts of the account and of the way there, each with the fault that kept it from being seen.

use super::{
    AccountId, Fault, Image, ImageId, Instance, InstanceId, LaunchTemplate, Market, Offer, SecurityGroupId, Subnet,
    SubnetId, Tags, TemplateId,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// One read: what it saw, or why it saw nothing. Absent around it: the spec does not need it, so nobody asked.
pub type Seen<T> = Result<T, Fault>;

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account that pays.
    pub account: AccountId,
    /// The user or assumed role.
    pub arn: String,
}

/// Environment variables that decide how AWS is reached, as far as they are set.
pub type Way = BTreeMap<&'static str, String>;

/// Why nothing is known that meets what the spec asks for: no type of the requirements, no image of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotChosen {
    /// It could not be looked for.
    Unseen(Fault),
    /// There is none: why, and what to do.
    None(String, String),
}

/// A call that is only asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// RunInstances: with its role, it needs `iam:PassRole` too.
    Launch(Box<TrialLaunch>),
    /// CreateLaunchTemplate of this name with these tags.
    Template(String, Tags),
    /// CreateLaunchTemplateVersion.
    TemplateVersion(TemplateId),
    /// CreateFleet from this template, in this market.
    Fleet(TemplateId, Market),
    /// CreateImage of this instance, with this name and these tags.
    Image(InstanceId, String, Tags),
    /// DeregisterImage.
    Deregister(ImageId),
    /// CreateTags: the host lives longer.
    Extend(InstanceId, String),
    /// TerminateInstances.
    Terminate(InstanceId),
    /// DeleteLaunchTemplate.
    DeleteTemplate(TemplateId),
}

impl Trial {
    /// The API action.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Launch(_) => "RunInstances",
            Self::Template(..) => "CreateLaunchTemplate",
            Self::TemplateVersion(_) => "CreateLaunchTemplateVersion",
            Self::Fleet(..) => "CreateFleet",
            Self::Image(..) => "CreateImage",
            Self::Deregister(_) => "DeregisterImage",
            Self::Extend(..) => "CreateTags",
            Self::Terminate(_) => "TerminateInstances",
            Self::DeleteTemplate(_) => "DeleteLaunchTemplate",
        }
    }
}

/// A launch as it would be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialLaunch {
    /// The image: the fleet's newest, or the template's own.
    pub image: ImageId,
    /// Whether the image is one of the fleet's: a policy may allow only those.
    pub own_image: bool,
    /// The first type of the spec.
    pub instance_type: String,
    /// The first subnet.
    pub subnet: SubnetId,
    /// Security groups.
    pub security_groups: Vec<SecurityGroupId>,
    /// The key pair.
    pub key_name: Option<String>,
    /// The instance profile's name or ARN.
    pub profile: Option<String>,
    /// The market of most hosts.
    pub market: Market,
    /// Whether IMDSv2 is demanded.
    pub tokens_required: bool,
    /// IMDS hop limit.
    pub hop_limit: u8,
    /// Tags of the host from birth.
    pub tags: Tags,
}

/// What a dry run answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It would have been carried out.
    Allowed,
    /// These credentials may not.
    Refused(Refused),
    /// EC2 answered neither.
    Unclear(Fault),
}

/// A refusal, decoded as far as these credentials may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The action that is missing, `service:Action`: not always the one that was called.
    pub action: String,
    /// What it was wanted on, where AWS says.
    pub resource: Option<String>,
    /// Whether a statement denies it, rather than none allowing it; unknown where the message could not be decoded.
    pub explicit: Option<bool>,
    /// Why the encoded message could not be decoded.
    pub undecoded: Option<String>,
    /// The answer itself.
    pub fault: Fault,
}

/// A KMS key that volumes of hosts are encrypted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its ARN.
    pub arn: String,
    /// Whether AWS manages it: then every service that needs it may use it.
    pub by_aws: bool,
    /// `Enabled`, `Disabled`, `PendingDeletion` ..
    pub state: String,
    /// Who has a grant with CreateGrant among its operations; none asked for where AWS manages the key.
    pub grantees: Option<Seen<Vec<String>>>,
}

/// An instance profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFacts {
    /// Its name.
    pub name: String,
    /// ARN of its role; hosts of a profile without one have no credentials.
    pub role: Option<String>,
}

/// A vCPU quota and what is in use of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaFacts {
    /// For example `L-1216C47A`.
    pub code: &'static str,
    /// The market it counts.
    pub market: Market,
    /// The families it counts, as AWS writes them.
    pub families: &'static str,
    /// vCPUs of one host, the largest of the spec's types in these families.
    pub vcpus_each: u32,
    /// vCPUs allowed.
    pub limit: Seen<u32>,
}

/// The queue of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// Whether its counters could be read.
    pub counters: Seen<()>,
    /// The dead-letter queue: whether it is there.
    pub dead_letter: Option<(String, Seen<bool>)>,
}

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// World time.
    pub at: Timestamp,
    /// How AWS is reached.
    pub way: Way,
    /// Whose credentials these are.
    pub caller: Seen<Caller>,
    /// Until when they hold; none for those that do not end.
    pub session_end: Option<Seen<Option<Timestamp>>>,
    /// How long the job may take, and what says so.
    pub job: Option<(SignedDuration, String)>,
    /// The template instance, none where it is not there.
    pub template: Option<Seen<Option<Instance>>>,
    /// The image that the template is built of, none where it is not there.
    pub base: Option<Result<Option<Image>, NotChosen>>,
    /// Whether SSH enters the template: none where it was not tried, else why it did not and what to do.
    pub ssh: Option<Result<(), (String, String)>>,
    /// The fleet's images, newest first.
    pub images: Option<Seen<Vec<Image>>>,
    /// The fleet's hosts, in any state.
    pub hosts: Option<Seen<Vec<Instance>>>,
    /// The fleet's launch template, none where it is not made yet.
    pub launch_template: Option<Seen<Option<LaunchTemplate>>>,
    /// The wanted subnets, as far as they are there.
    pub subnets: Option<Seen<Vec<Subnet>>>,
    /// The types that meet the requirements, where the spec has some; absent too where the subnets' zones are not known.
    pub chosen: Option<Result<Vec<String>, NotChosen>>,
    /// The wanted types, as far as the region offers them.
    pub types: Option<Seen<BTreeMap<String, Offer>>>,
    /// Dry runs, in the order asked; by action.
    pub trials: Vec<(Trial, Permission)>,
    /// Whether a service-linked role is there, by its name.
    pub roles: Vec<(&'static str, Seen<bool>)>,
    /// The instance profile of the hosts, none where it is not there; by name.
    pub profile: Option<(String, Seen<Option<ProfileFacts>>)>,
    /// Keys of the hosts' volumes, by what names them.
    pub keys: Vec<(String, Seen<KeyFacts>)>,
    /// Why the names of the keys could not be read.
    pub keys_unread: Option<Fault>,
    /// vCPU quotas.
    pub quotas: Vec<QuotaFacts>,
    /// vCPUs in use, by market and quota code.
    pub vcpus_in_use: Option<Seen<BTreeMap<&'static str, u32>>>,
    /// EC2's word for whether images can be made public.
    pub image_sharing: Option<Seen<String>>,
    /// The queue.
    pub queue: Option<QueueFacts>,
}

impl Checkup {
    /// What is known before AWS was asked anything but who calls.
    pub fn begun(at: Timestamp, way: Way, caller: Seen<Caller>) -> Self {
        Self {
            at,
            way,
            caller,
            session_end: None,
            job: None,
            template: None,
            base: None,
            ssh: None,
            images: None,
            hosts: None,
            launch_template: None,
            subnets: None,
            chosen: None,
            types: None,
            trials: Vec::new(),
            roles: Vec::new(),
            profile: None,
            keys: Vec::new(),
            keys_unread: None,
            quotas: Vec::new(),
            vcpus_in_use: None,
            image_sharing: None,
            queue: None,
        }
    }
}
