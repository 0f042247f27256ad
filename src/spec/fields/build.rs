//! `template.build:` a template instance that fleetwright makes.

use super::Field;
use super::hosts::{GROUP, PROFILE, SUBNET, TYPE};
use super::kind::{KEY_PAIR, Kind, SECTION, list, text};

const LAUNCH: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/LaunchingAndUsingInstances.html";

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "template.build",
        SECTION,
        "{base_image: ami-0123456789abcdef0, instance_type: m7i.large, playbook: playbooks/provision.yaml, subnet: \
         subnet-0aaaaaaaaaaaaaaaa, security_groups: [sg-0123456789abcdef0], key_name: ops}",
        "In place of `instance`: `verify`, `bake` and `up` launch an instance of a base image, run a playbook on it over SSH, and \
         take it for the template. It ends when its image is baked, when the playbook or a check says no, by `down`, and by \
         itself as hosts do. It is on demand, its root volume encrypted, and its metadata service IMDSv2 with one hop. What \
         this leaves out is that of `fleet`, and what `fleet` leaves out is that of this.",
    )
    .source(LAUNCH),
    Field::new(
        "template.build.base_image",
        Kind::Either(&[text("image id", "^ami-[a-z0-9-]{1,40}$"), SECTION]),
        "ami-0123456789abcdef0",
        "The image that it is launched from: its id, or owner and name, by which the newest that can be launched is found when \
         it is planned. Those that the instance type can't boot, and those that are deprecated or disabled, are left out. A newer \
         one means another template. `ssh.user` is the login of this image.",
    )
    .required()
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/finding-an-ami.html"),
    Field::new(
        "template.build.base_image.owner",
        text("`amazon`, `aws-marketplace`, `self` or an account of 12 digits", "^(amazon|aws-marketplace|self|[0-9]{12})$"),
        "amazon",
        "Whose images are looked through: a name alone anybody can give to an image.",
    )
    .required()
    .source("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html"),
    Field::new(
        "template.build.base_image.name",
        text(
            "image name of 3 to 128 characters, in which `*` stands for any characters and `?` for one",
            r"^[A-Za-z0-9()\[\] ./'@_*?-]{3,128}$",
        ),
        "\"al2023-ami-2023.*-x86_64\"",
        "The name of the images that are looked through; of two of the same moment neither is taken.",
    )
    .required()
    .source("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html"),
    Field::new("template.build.instance_type", TYPE, "m7i.large", "Its instance type.")
        .required()
        .source("https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html"),
    Field::new(
        "template.build.playbook",
        Kind::Path("playbook file"),
        "playbooks/provision.yaml",
        "The playbook that makes a template of it. It may reboot; `template.verify` then tells whether it came out right.",
    )
    .required(),
    Field::new("template.build.subnet", SUBNET, "subnet-0aaaaaaaaaaaaaaaa", "The subnet that it is launched into.")
        .absent("the first of `fleet.subnets`"),
    Field::new(
        "template.build.security_groups",
        list(&GROUP, 16),
        "[sg-0123456789abcdef0]",
        "Its security groups: one of them has to let SSH in from here.",
    )
    .absent("`fleet.security_groups`")
    .source("https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"),
    Field::new(
        "template.build.key_name",
        KEY_PAIR,
        "ops",
        "The key pair that cloud-init installs, and that lets us in.",
    )
    .absent("`fleet.key_name`")
    .source("https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html"),
    Field::new(
        "template.build.instance_profile",
        PROFILE,
        "digest-worker",
        "What it may do in AWS while it is provisioned and checked.",
    )
    .absent("`fleet.instance_profile`")
    .source("https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2_instance-profiles.html"),
];
