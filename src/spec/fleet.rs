//! The spec as checked: after this room nobody validates again.

use super::build::Build;
use super::image::ImageSpec;
use super::named::ForeignHost;
use super::notify::Notify;
use crate::model::{
    AccountId, Address, FleetKey, FleetName, Instance, InstanceId, Money, Region, SecurityGroupId, SubnetId, Tags,
};
use crate::time::tempo::Tempo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One whole, checked fleet.yaml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// The file it was read from.
    pub file: PathBuf,
    /// The folder that relative paths start from; every path in here is joined to it already.
    pub dir: PathBuf,
    /// SHA-256, hex, over everything that decides what a host of the fleet is, the bytes of its user data among it;
    /// size, acceptance, price bound, release, queue, feed, done and rehearsal are left out (`digest.rs` lists both), so
    /// that a change of size or pace is no other fleet.
    pub digest: String,
    /// The fleet's name.
    pub name: FleetName,
    /// The account it may act in.
    pub account: AccountId,
    /// The region it acts in.
    pub region: Region,
    /// `state:` where journals and the claim are shared; none when they are on this machine only.
    #[serde(default)]
    pub state: Option<SharedState>,
    /// The owner's own tags, put on everything.
    pub tags: Tags,
    /// The template instance.
    pub template: Option<Template>,
    /// How images are named and kept.
    pub image: ImageSpec,
    /// What to launch.
    pub fleet: Option<HostsSpec>,
    /// How hosts are reached.
    pub ssh: SshSpec,
    /// Machines that fleetwright did not launch; `push` and `exec` go to them when there are any, and nothing else does.
    pub hosts: Vec<ForeignHost>,
    /// What push brings to hosts.
    pub release: Option<Release>,
    /// The worker that runs on every host.
    pub worker: Option<Worker>,
    /// Where the items wait.
    pub queue: Option<Queue>,
    /// Where items come from.
    pub feed: Option<Feed>,
    /// When the job is over.
    pub done: Done,
    /// When a group's hosts are replaced.
    pub recycle: Option<Recycle>,
    /// What it may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Who hears how a verb ended.
    #[serde(default)]
    pub notify: Vec<Notify>,
    /// What stands in for things that can't be had on a laptop.
    pub rehearsal: Rehearsal,
}

/// Stands for the account where the spec is about foreign machines only and names none.
pub const NO_ACCOUNT: &str = "no-account";
/// Stands for the region in the same case.
pub const NO_REGION: &str = "no-region";

impl Fleet {
    /// Whether the spec says which account and region it is about; without them nothing may be asked of AWS.
    pub fn in_aws(&self) -> bool {
        self.account.as_str() != NO_ACCOUNT && self.region.as_str() != NO_REGION
    }

    /// Account, region and name.
    pub fn key(&self) -> FleetKey {
        FleetKey { account: self.account.clone(), region: self.region.clone(), name: self.name.clone() }
    }
}

/// `state:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedState {
    /// The bucket's name.
    pub bucket: String,
    /// What keys in it begin with: empty, or ending in a slash.
    pub prefix: String,
}

/// `template:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// `instance:` the working instance; none while one that is built is not there.
    pub instance: Option<InstanceId>,
    /// `build:` in place of `instance`: how it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// `verify:` playbook of checks.
    pub verify: Option<PathBuf>,
    /// `canary:` real items through a private queue.
    pub canary: Option<Canary>,
}

/// `template.canary:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// `items:` how many of the feed's first items, 1..=100, default 3.
    pub items: u32,
    /// `within:` default 5m.
    pub within: Duration,
}

/// What to do when `accept.min` can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// End what was launched: nothing is left.
    Abort,
    /// Keep what was launched.
    Keep,
}

/// `fleet:`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostsSpec {
    /// `size:` hosts wanted, 1..=10_000.
    pub size: u32,
    /// `mode: auto-scaling-group`: how the group that holds the hosts behaves; none for plain instances.
    #[serde(default)]
    pub group: Option<GroupSpec>,
    /// `accept.min:` the size itself if absent.
    pub accept_min: u32,
    /// `accept.within:` how long capacity is looked for, default 10m.
    pub accept_within: Duration,
    /// `accept.otherwise:` default abort.
    pub otherwise: Otherwise,
    /// `spot:` share of the fleet, 0..=100 percent, default 0.
    pub spot_percent: u8,
    /// `on_demand:` fewest on-demand hosts, whatever `spot` says, default 0.
    pub on_demand: u32,
    /// `fallback: on-demand | none`: whether spot that can't be had is replaced by on-demand, default on-demand.
    pub fallback_on_demand: bool,
    /// `types:` in order of preference; the template's type if empty and there are no requirements.
    pub types: Vec<String>,
    /// `requirements:` in place of `types`.
    #[serde(default)]
    pub requirements: Option<Requirements>,
    /// `subnets:` the template's if empty; one per zone.
    pub subnets: Vec<SubnetId>,
    /// `security_groups:` the template's if empty.
    pub security_groups: Vec<SecurityGroupId>,
    /// `instance_profile:` the template's if absent.
    pub instance_profile: Option<String>,
    /// `key_name:` the template's if absent.
    pub key_name: Option<String>,
    /// `max_price:` per hour, spot only.
    pub max_price: Option<Money>,
    /// `root:` the root volume.
    pub root: RootVolume,
    /// `expires:` when hosts power themselves off, default 12h.
    pub expires: Duration,
    /// `user_data:` a file, never inherited from the template.
    pub user_data: Option<PathBuf>,
    /// `metadata:` IMDS options.
    pub metadata: MetadataSpec,
}

/// `fleet.group:` how the fleet's own Auto Scaling group behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// `grace:` how long a new host may look unhealthy before it is replaced, default 5m.
    pub grace: Duration,
    /// `rebalance:` whether spot hosts are replaced once EC2 holds them for likely to be interrupted, default false: the
    /// group is larger than its size while it does that.
    pub rebalance: bool,
    /// `drain_within:` how long Auto Scaling waits for the worker of a host that it ends, 30s to 2h, default 5m.
    pub drain_within: Duration,
}

/// `fleet.requirements:` what any instance type must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// `vcpus:`
    pub vcpus: Between,
    /// `memory:` GiB.
    pub memory_gib: Between,
    /// `architecture:` the image's if absent.
    pub architecture: Option<String>,
    /// `generation: current | any`, default current.
    pub current_only: bool,
    /// `burstable:` whether types with CPU credits count, default false.
    pub burstable: bool,
    /// `exclude:` names that do not count; `*` stands for any run of characters.
    pub exclude: Vec<String>,
}

/// A lower bound, perhaps with an upper one; both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between {
    /// The least.
    pub least: u32,
    /// The most.
    pub most: Option<u32>,
}

/// `fleet.root:`; always deleted with the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootVolume {
    /// `size:` GiB; the image's if absent.
    pub size_gib: Option<u32>,
    /// `type:` default gp3.
    pub volume_type: String,
    /// `encrypted:` default true.
    pub encrypted: bool,
}

/// `fleet.metadata:`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataSpec {
    /// `tokens: required | optional`, default required (IMDSv2).
    pub tokens_required: bool,
    /// `hop_limit:` 1..=64, default 1.
    pub hop_limit: u8,
}

/// Which of an instance's addresses SSH uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connect {
    /// The private address.
    Private,
    /// The public address.
    Public,
}

/// `ssh:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSpec {
    /// `user:` default ec2-user.
    pub user: String,
    /// `port:` default 22.
    pub port: u16,
    /// `connect:` default private.
    pub connect: Connect,
    /// `parallel:` hosts worked on at once, 1..=1000, default 64.
    pub parallel: u32,
    /// `identity:` private key files tried after the agent.
    pub identity: Vec<PathBuf>,
    /// `known_hosts:` file for the template; the user's own if absent.
    pub known_hosts: Option<PathBuf>,
    /// `timeout:` to connect, wall time, default 10s.
    pub timeout: Duration,
}

impl SshSpec {
    /// Where SSH finds an instance; none while EC2 has not told its address. In a subnet without IPv4 the private address is
    /// the IPv6 one: it is routed inside a VPC as any other.
    pub fn address(&self, instance: &Instance) -> Option<Address> {
        let host = match self.connect {
            Connect::Private => instance.private_ip.clone().or_else(|| instance.ipv6.clone()),
            Connect::Public => instance.public_ip.clone(),
        };
        Some(Address { host: host?, port: self.port })
    }
}

/// `release:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// `from:` a tar or tar.gz file.
    pub from: PathBuf,
    /// `playbook:`
    pub playbook: PathBuf,
    /// `max_fail:` percent of hosts, 0..=100, default 0.
    pub max_fail_percent: u8,
    /// `canary:` hosts of the first wave, default 1.
    pub canary: u32,
    /// `vars:` for the playbook's templates.
    pub vars: BTreeMap<String, String>,
}

/// `worker:` what runs on every host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// `service:` systemd unit that must start on boot.
    pub service: String,
    /// `process:` text that the worker's command line contains; the reboot proof looks for it.
    pub process: String,
    /// `command:` starts a worker by hand on a queue of our choosing (canary): a template with `{{ queue_url }}`.
    pub command: Option<String>,
    /// `drain:` playbook that lets a host finish what it has and take no more; its service is stopped if absent.
    pub drain: Option<PathBuf>,
    /// `restart_every:` how long the service stays up on a host before it is restarted, 10m to 30d; as long as it likes if absent.
    #[serde(default)]
    pub restart_every: Option<Duration>,
    /// `logs_to:` where in S3 the service's log goes before its host ends; it ends with the host if absent.
    #[serde(default)]
    pub logs_to: Option<SharedState>,
}

/// `queue:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// `engine: sqs` (the only one yet) and its `url:`.
    pub url: String,
    /// `dead_letter:` name of the dead-letter queue in the same account.
    pub dead_letter: Option<String>,
}

/// `feed:`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// `from:`
    pub from: FeedSource,
    /// `rate:` by world time; as fast as the queue takes them if absent.
    pub rate: Option<Tempo>,
    /// `hold_when:`
    pub hold: Option<Hold>,
}

/// `feed.hold_when:` nothing goes in while any of this is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// `waiting:` more items than this wait in the queue.
    pub waiting: Option<u64>,
    /// `probe:`
    pub probe: Option<Probe>,
}

/// `feed.hold_when.probe:` a command on the template that fails, or is slow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The command.
    pub command: String,
    /// `slower_than:` longer than this is too slow, default 1m.
    pub slower_than: Duration,
}

/// `feed.from:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedSource {
    /// `{lines: FILE}`: one item a line, empty lines left out.
    Lines(PathBuf),
    /// `{files: DIR}`: the path of every regular file below, sorted, as written from the spec's own folder.
    Files(PathBuf),
    /// `{run: COMMAND, on: template}`: one item per line of the command's output on the template.
    Run(String),
}

/// `done:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// `quiet:` how long every count must read zero, default 3m (SQS: facts on approximate counters).
    pub quiet: Duration,
    /// `samples:` fresh zero samples within it, default 5, at least 2.
    pub samples: u32,
    /// `poll:` between samples, default 15s.
    pub poll: Duration,
    /// `stalled_after:` no progress for so long, default 15m.
    pub stalled_after: Duration,
    /// `deadline:` default none.
    pub deadline: Option<Duration>,
    /// `completed:` the ledger that lets the verdict say `unaccounted`.
    pub completed: Option<Ledger>,
}

/// `done.completed: {run: COMMAND, on: template}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// `run:` prints how many distinct items are completed.
    pub command: String,
    /// `counts:` which results it counts, default `new`.
    pub counts: Counts,
}

/// `done.completed.counts:`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// Older results too: what it counted before the first item is taken off.
    New,
    /// Results of this job and nothing else: all that it counts are ours.
    All,
}

/// `recycle:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recycle {
    /// `group:` the Auto Scaling group.
    pub group: String,
    /// `raise:` what a window changes; by what the group has if absent.
    pub raise: Option<Raise>,
    /// `windows:` at least one, none opening when another does.
    pub windows: Vec<Window>,
}

/// What a window changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Raise {
    /// The desired capacity, in absolute numbers.
    Desired,
    /// The least size.
    Min,
}

/// One of `recycle.windows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// `at:` five cron fields that are good, with single blanks.
    pub at: String,
    /// When it closes, as five cron fields.
    pub until: String,
    /// `zone:` canonical IANA name, default Etc/UTC.
    pub zone: String,
    /// `surge:` hosts more while it is open, 1..=1000, default 1.
    pub surge: u32,
    /// `for:` whole minutes, 5m..=7d, default 1h; shorter than the time to the next opening.
    pub open: Duration,
    /// The line of `at` in the spec.
    pub line: u32,
}

/// `budget:`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// `stop_at:` dollars of the campaign.
    pub stop_at: Money,
    /// `then: keep | down`: whether `up` ends the fleet when it is reached, default keep.
    pub down: bool,
}

/// `rehearsal:` ignored outside `rehearse` and `sim serve --spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// `setup:` script run once on the template's directory, as the operator's own work on it.
    pub setup: Option<PathBuf>,
    /// `mounts:` folders that all hosts see, host path -> what.
    pub mounts: Vec<Mount>,
    /// `items: {base: DIR, from: [FOLDER, ...], count: N}`: the items that `rehearse` feeds instead of the spec's own feed.
    pub items: Option<RehearsalItems>,
    /// `release: [FILE, ...]`: files that a rehearsal packs into the release, with the running fleetwright binary, in place
    /// of `release.from`.
    pub release: Vec<PathBuf>,
}

/// `rehearsal.items:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalItems {
    /// `base:` folder that hosts see as their items, default the spec's own.
    pub base: PathBuf,
    /// `from:` folders below it whose regular files are the items, default `[.]`.
    pub from: Vec<PathBuf>,
    /// `count:` how many items, by range of the files when there are fewer; as many as there are files if absent.
    pub count: Option<u32>,
}

/// One of `rehearsal.mounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// `at:` absolute path on the hosts.
    pub at: PathBuf,
    /// `from:` `scratch` for an empty folder made for the rehearsal, `items`, `release`, or a folder here.
    pub from: MountSource,
    /// `writable:` default false.
    pub writable: bool,
}

/// Where a rehearsal mount's content comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountSource {
    /// An empty folder below the rehearsal's state directory.
    Scratch,
    /// `items.base`.
    Items,
    /// The folder that holds the rehearsal's first release as `release.tar.gz`.
    Release,
    /// A folder of this machine.
    Folder(PathBuf),
}
