//! `fleet:` what to launch, and `hosts:` what is there already.

use super::Field;
use super::kind::{Form, KEY_PAIR, Kind, SECTION, duration, list, text, whole, word};
use super::top::IDENTITY;

const FLEETS: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/fleet-quotas.html";
const GROUPS: &str = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html";
const SPOT: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-instances.html";
const REQUIREMENTS: &str =
    "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FleetLaunchTemplateConfigRequest.html";
const METADATA: &str = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsRequest.html";
const FILTERS: &str = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html";
const VOLUMES: &str = "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html";

/// One of `hosts`.
const MACHINE: Kind = Kind::Either(&[text("host's name or IP address", "^[A-Za-z0-9_.:-]{1,253}$"), MACHINES]);
/// The same as a section: a machine where it is, or those that AWS knows by a tag or a group.
const MACHINES: Kind = Kind::Section { one_of: &["address", "tag", "group"] };
/// A tag with its value; how long each may be is left to the reader, since bounds make a pattern that some editors refuse.
const TAG: Kind =
    text("tag such as `Role=web`", r"^[^\x00-\x1F!-*,;<-?\[-\^`{-\x7F]+=[^\x00-\x1F!-*,;<>?\[-\^`{-\x7F]*$");
pub(super) const TYPE: Kind = text("instance type", "^[a-z0-9-]+\\.[a-z0-9-]+$");
const PATTERN: Kind = text("instance type, perhaps with `*`", "^[a-z0-9.*-]{1,64}$");
pub(super) const SUBNET: Kind = text("subnet id", "^subnet-[a-z0-9-]{1,40}$");
pub(super) const GROUP: Kind = text("security group id", "^sg-[a-z0-9-]{1,40}$");
pub(super) const PROFILE: Kind = Kind::Text(Form {
    words: "instance profile's name (at most 128 characters) or ARN",
    pattern: "^(arn:.+:instance-profile/)?[A-Za-z0-9_+=,.@/-]{1,128}$",
    length: None,
    bare: true,
});

/// A number for at least so many, or a range.
const fn between(words: &'static str, pattern: &'static str) -> Kind {
    Kind::Text(Form { words, pattern, length: None, bare: true })
}

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "fleet",
        SECTION,
        "{size: 40, spot: 90%}",
        "What to launch. What it leaves out (types, subnets, security groups, instance profile, key pair) is taken from \
         the template instance, or from `template.build`.",
    )
    .needs(IDENTITY)
    .source("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html"),
    Field::new("fleet.size", whole(1, 10_000), "40", "Hosts wanted, in all.")
        .counts("hosts")
        .required()
        .source(FLEETS),
    Field::new(
        "fleet.mode",
        Kind::Choice(&[
            ("instances", "plain instances, launched at once by an EC2 fleet"),
            ("auto-scaling-group", "a group that replaces hosts by itself"),
        ]),
        "auto-scaling-group",
        "What holds the hosts together.",
    )
    .default("instances"),
    Field::new(
        "fleet.group",
        SECTION,
        "{grace: 5m, rebalance: false}",
        "How the fleet's own Auto Scaling group behaves; with `mode: auto-scaling-group` only.",
    )
    .needs(&["fleet.mode"])
    .source(GROUPS),
    Field::new(
        "fleet.group.grace",
        duration(0, 7_200),
        "10m",
        "How long a new host may look unhealthy before the group replaces it; `recycle now --instance-refresh` also waits so \
         long for each new host.",
    )
    .default("5m")
    .source("https://docs.aws.amazon.com/autoscaling/ec2/userguide/health-check-grace-period.html"),
    Field::new(
        "fleet.group.rebalance",
        Kind::Boolean,
        "true",
        "Whether the group replaces spot hosts before they are interrupted. It has more than `fleet.size` hosts while it \
         does that.",
    )
    .default("false")
    .source("https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-capacity-rebalancing.html"),
    Field::new(
        "fleet.group.drain_within",
        duration(30, 7_200),
        "15m",
        "How long Auto Scaling waits for a host that it ends to finish what its worker has in hand; the host goes as soon as it \
         has. Where the spec names a `worker`.",
    )
    .default("5m")
    .source("https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html"),
    Field::new(
        "fleet.accept",
        SECTION,
        "{min: 36, within: 10m, otherwise: abort}",
        "What is still good enough when capacity is short.",
    ),
    Field::new(
        "fleet.accept.min",
        whole(1, 10_000),
        "36",
        "The fewest hosts to go on with; not more than `fleet.size`.",
    )
    .counts("hosts")
    .absent("`fleet.size`"),
    Field::new("fleet.accept.within", duration(60, 86_400), "20m", "How long capacity is looked for.").default("10m"),
    Field::new(
        "fleet.accept.otherwise",
        Kind::Choice(&[("abort", "end what was launched, so that nothing is left"), ("keep", "keep what was launched")]),
        "keep",
        "What happens when fewer than `min` are there in time.",
    )
    .default("abort"),
    Field::new("fleet.spot", Kind::Percent, "90%", "The share of the hosts that are spot instances.")
        .default("0%")
        .source(SPOT),
    Field::new(
        "fleet.on_demand",
        whole(0, 10_000),
        "4",
        "The fewest on-demand hosts, whatever `spot` says: what must go on when spot is taken back.",
    )
    .counts("hosts")
    .default("0"),
    Field::new(
        "fleet.fallback",
        Kind::Choice(&[("on-demand", "on-demand hosts take their place"), ("none", "they stay missing")]),
        "none",
        "What happens when spot hosts can't be had.",
    )
    .default("on-demand"),
    Field::new(
        "fleet.types",
        list(&TYPE, 40),
        "[m7i.large, m7a.large]",
        "Instance types in the order of preference. Several make a shortfall less likely.",
    )
    .absent("the template's type")
    .source("https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html"),
    Field::new(
        "fleet.requirements",
        SECTION,
        "{vcpus: 2, memory: 8GiB}",
        "What an instance type must have, in place of `fleet.types`. The plan names the types that have it and that every \
         zone of `fleet.subnets` offers, the cheapest at the list price first: at most 40, and so many that types times \
         subnets stays within the 300 overrides that EC2 publishes for a fleet.",
    )
    .instead(&["fleet.types"])
    .source(REQUIREMENTS),
    Field::new("fleet.requirements.vcpus", between("vCPUs", "^[1-9][0-9]{0,4}(\\.\\.[1-9][0-9]{0,4})?$"), "2..8", "How many vCPUs: `2` is at least two, `2..8` two to eight, `2..2` just two. At most 1024.")
        .counts("vCPUs")
        .required(),
    Field::new(
        "fleet.requirements.memory",
        between("GiB of memory", "^[1-9][0-9]{0,4}GiB(\\.\\.[1-9][0-9]{0,4}GiB)?$"),
        "8GiB..16GiB",
        "How much memory: `8GiB` is at least so much, `8GiB..16GiB` between the two. At most 32768GiB.",
    )
    .required(),
    Field::new(
        "fleet.requirements.architecture",
        Kind::Choice(&[("x86_64", "Intel and AMD"), ("arm64", "AWS Graviton")]),
        "arm64",
        "The processor's architecture.",
    )
    .absent("that of the image"),
    Field::new(
        "fleet.requirements.generation",
        Kind::Choice(&[("current", "types that AWS recommends today"), ("any", "earlier ones too")]),
        "any",
        "Which generations of types count.",
    )
    .default("current"),
    Field::new(
        "fleet.requirements.burstable",
        Kind::Boolean,
        "true",
        "Whether types count that run on CPU credits, such as t3.",
    )
    .default("false")
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-performance-instances.html"),
    Field::new(
        "fleet.requirements.exclude",
        list(&PATTERN, 40),
        "[c7i-flex.*, \"*.metal\"]",
        "Types that do not count, by name; `*` stands for any run of characters.",
    ),
    Field::new(
        "fleet.subnets",
        list(&SUBNET, 64),
        "[subnet-0aaaaaaaaaaaaaaaa, subnet-0bbbbbbbbbbbbbbbb]",
        "The subnets that hosts are spread over, one for each availability zone.",
    )
    .absent("the template's subnet")
    .source(FLEETS),
    Field::new(
        "fleet.security_groups",
        list(&GROUP, 16),
        "[sg-0123456789abcdef0]",
        "The hosts' security groups.",
    )
    .absent("the template's groups")
    .source("https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"),
    Field::new(
        "fleet.instance_profile",
        PROFILE,
        "digest-worker",
        "What the hosts may do in AWS. docs/iam-policy-worker.json is all that `fleetwright work` needs.",
    )
    .absent("the template's profile")
    .source("https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2_instance-profiles.html"),
    Field::new("fleet.key_name", KEY_PAIR, "ops", "The key pair that cloud-init installs.")
        .absent("the template's key pair")
        .source("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html"),
    Field::new(
        "fleet.max_price",
        Kind::Price,
        "$0.06/h",
        "The most that a spot host may cost. On-demand hosts cost the list price.",
    )
    .absent("the on-demand price")
    .source(SPOT),
    Field::new(
        "fleet.root",
        SECTION,
        "{size: 30GiB, type: gp3, encrypted: true}",
        "The root volume. It is always deleted with its host.",
    )
    .source(VOLUMES),
    Field::new("fleet.root.size", Kind::Gib { least: 1, most: 65_536 }, "30GiB", "The volume's size.")
        .absent("the image's size")
        .source("https://docs.aws.amazon.com/ebs/latest/userguide/volume_constraints.html"),
    Field::new(
        "fleet.root.type",
        Kind::Choice(&[
            ("gp3", "general purpose, its speed independent of its size"),
            ("gp2", "general purpose, faster the larger it is"),
            ("standard", "magnetic, of a former generation"),
        ]),
        "gp2",
        "The volume's type.",
    )
    .default("gp3")
    .source(VOLUMES),
    Field::new("fleet.root.encrypted", Kind::Boolean, "true", "Whether the volume is encrypted.")
        .default("true")
        .source("https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption.html"),
    Field::new(
        "fleet.expires",
        duration(600, 30 * 86_400),
        "1d12h",
        "How long after its launch a host powers itself off and is gone, whatever happens elsewhere; up to a tenth sooner \
         where it is launched by what an earlier launch left.",
    )
    .default("12h")
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingInstanceInitiatedShutdownBehavior.html"),
    Field::new(
        "fleet.user_data",
        Kind::Path("file of at most 16384 bytes"),
        "playbooks/boot.sh",
        "What cloud-init runs at a host's first boot. It is readable on every host and in the API: a file that holds \
         keys is refused.",
    )
    .absent("none; the template's is never inherited")
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"),
    Field::new(
        "fleet.metadata",
        SECTION,
        "{tokens: required, hop_limit: 1}",
        "The instance metadata service on the hosts.",
    )
    .source(METADATA),
    Field::new(
        "fleet.metadata.tokens",
        Kind::Choice(&[("required", "IMDSv2 only"), ("optional", "IMDSv1 answers too, which leaks credentials easily")]),
        "required",
        "Whether requests need a token.",
    )
    .default("required")
    .source(METADATA),
    Field::new(
        "fleet.metadata.hop_limit",
        whole(1, 64),
        "2",
        "How far answers travel; containers on a host may need 2.",
    )
    .counts("network hops")
    .default("1")
    .source(METADATA),
    Field::new(
        "hosts",
        Kind::Either(&[MACHINES, list(&MACHINE, 10_000)]),
        "[10.0.0.5, {address: build.example.com, user: admin}, {tag: Role=web}]",
        "Machines that fleetwright did not launch: `push` and `exec` go to them, and nothing else does. Each is an address or \
         a section; one section may stand alone. `push` and `exec` take the same as --hosts, --tag and --group. Not together \
         with `fleet` or `template`.",
    )
    .instead(&["fleet", "template"]),
    Field::new("hosts.address", text("host's name or IP address", "^[A-Za-z0-9_.:-]{1,253}$"), "10.0.0.5", "Where it is."),
    Field::new(
        "hosts.tag",
        Kind::Either(&[TAG, list(&TAG, 10)]),
        "Role=web",
        "Every running instance with this tag, in this account and region; of several tags it must have all.",
    )
    .needs(&["account", "region"])
    .source(FILTERS),
    Field::new(
        "hosts.group",
        word("name of an Auto Scaling group, without `:`", "^[^:\\n\\r]+$", 1, 255),
        "api-prod",
        "Every running member of this Auto Scaling group.",
    )
    .needs(&["account", "region"]),
    Field::new(
        "hosts.name",
        word("letters, digits, `.`, `_` and `-`", "^[A-Za-z0-9._][A-Za-z0-9._-]*$", 1, 64),
        "build-2",
        "What reports call it and `--only` takes; every machine has a name of its own.",
    )
    .absent("the address")
    .needs(&["hosts.address"]),
    Field::new("hosts.port", whole(1, 65_535), "2222", "The port of its SSH server.").absent("`ssh.port`"),
    Field::new(
        "hosts.user",
        word("letters, digits, `.`, `_` and `-`", "^[A-Za-z0-9._][A-Za-z0-9._-]*$", 1, 32),
        "admin",
        "The login name.",
    )
    .absent("`ssh.user`"),
];
