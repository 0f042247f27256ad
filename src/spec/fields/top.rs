//! The top of a fleet.yaml: identity, tags, template and image.

use super::Field;
use super::kind::{Form, Kind, S3, SECTION, duration, list, text, whole, word};

const TAGS: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html";
const CREATE_IMAGE: &str = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html";

const COPY_IMAGE: &str = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopyImage.html";

const REGION: Kind = text("AWS region", "^([a-z]{2}|[a-z]{4})(-[a-z]+)+-[0-9]{1,2}$");

/// Why a spec that launches nothing need not say who and where.
const IMPLIED: &str = "as `queue.url` says; not needed where `hosts` lists the machines";

/// What a spec that launches must say.
pub(super) const IDENTITY: &[&str] = &["name", "account", "region"];

pub(super) const FIELDS: &[Field] = &[
    Field::new("version", whole(1, 1), "1", "The version of this format.").required(),
    Field::new(
        "name",
        word("lowercase letters, digits and inner dashes", "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", 1, 40),
        "nightly-crawl",
        "The fleet's name. With account and region it says which fleet this is: it names the launch template, stands in \
         the tags of everything that is made, and in the path of the journal. Another name is another fleet.",
    )
    .absent(IMPLIED),
    Field::new(
        "account",
        Kind::Text(Form { words: "12 digits, best in quotes", pattern: "^[0-9]{12}$", length: None, bare: true }),
        "\"123456789012\"",
        "The AWS account that the fleet lives in. Credentials of any other are refused before a call that changes \
         something.",
    )
    .absent(IMPLIED)
    .source("https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html"),
    Field::new(
        "region",
        REGION,
        "us-east-1",
        "The AWS region that the fleet lives in.",
    )
    .absent(IMPLIED)
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html"),
    Field::new(
        "state",
        S3,
        "s3://ops-state/fleetwright",
        "A bucket, of whichever region, where journals and the claim on the fleet are shared: two machines never work on \
         it at once, and what a run on one began another goes on with. Each batch of the journal is there before the \
         call that it tells of is made. Needs what docs/iam-policy-state.json allows.",
    )
    .absent("the state directory of this machine alone")
    .needs(IDENTITY)
    .source("https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"),
    Field::new(
        "tags",
        Kind::Map {
            keys: r"^(?!([Aa][Ww][Ss]|fleetwright):|Name$)[^\x00-\x1F!-*,;<>?\[-\^`{-\x7F]{1,128}$",
            of: &Kind::Text(Form {
                words: "letters, digits, spaces and any of `_.:/=+-@`",
                pattern: r"^[^\x00-\x1F!-*,;<>?\[-\^`{-\x7F]*$",
                length: Some((0, 256)),
                bare: true,
            }),
            most: Some(40),
        },
        "{team: data, cost-centre: \"42\"}",
        "The owner's own tags, put on everything that is made, from birth. AWS allows 50 on a resource; fleetwright \
         needs the others. `Name` and what starts with `aws:` or `fleetwright:` is taken.",
    )
    .source(TAGS),
    Field::new(
        "template",
        Kind::Section { one_of: &["instance", "build"] },
        "{instance: i-0123456789abcdef0, verify: playbooks/verify.yaml}",
        "The working instance that all hosts are copies of. `verify` and `bake` need it.",
    )
    .needs(IDENTITY),
    Field::new(
        "template.instance",
        text("instance id", "^i-[a-z0-9-]{1,40}$"),
        "i-0123456789abcdef0",
        "The instance's id. It is never ended.",
    )
    .source("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html"),
    Field::new(
        "template.verify",
        Kind::Path("playbook file"),
        "playbooks/verify.yaml",
        "The playbook of checks that the template must pass before it is copied. A `reboot` in it proves that the worker \
         starts by itself.",
    ),
    Field::new(
        "template.canary",
        SECTION,
        "{items: 3, within: 5m}",
        "Real items that the template must complete by itself, through a private queue, before it is copied.",
    )
    .needs(&["worker.command", "queue", "feed"]),
    Field::new("template.canary.items", whole(1, 100), "3", "How many of the feed's first items.")
        .counts("items")
        .default("3"),
    Field::new("template.canary.within", duration(10, 86_400), "5m", "How long they may take.").default("5m"),
    Field::new("image", SECTION, "{name: nightly-crawl, keep: 3}", "How images are named and kept."),
    Field::new(
        "image.name",
        word("letters, digits, spaces and any of `()[]./-'@_`", r"^[A-Za-z0-9()\[\] ./'@_-]*$", 3, 119),
        "nightly-crawl",
        "What images are named; the run's short id is appended.",
    )
    .absent("the fleet's name")
    .source(CREATE_IMAGE),
    Field::new("image.keep", whole(0, 1000), "3", "How many of the newest images `down --images` leaves.")
        .counts("images")
        .default("3"),
    Field::new(
        "image.encrypt",
        SECTION,
        "{kms_key: alias/fleet}",
        "Encrypts images whatever the template's volumes are. CreateImage cannot, so `bake` makes a copy that is encrypted \
         and ends what it copied in the same run.",
    )
    .source(COPY_IMAGE),
    Field::new(
        "image.encrypt.kms_key",
        text(
            "KMS key by alias, id or ARN",
            "^(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:)?(alias/[A-Za-z0-9/_-]+|(key/)?([0-9a-fA-F-]{36}|mrk-[0-9a-fA-F-]{32}))$",
        ),
        "alias/fleet",
        "The key. Every region of `image.copy_to` must have one of this alias, or the same multi-region key.",
    )
    .required()
    .source(COPY_IMAGE),
    Field::new(
        "image.copy_to",
        list(&REGION, 20),
        "[us-west-2]",
        "Other regions of the same partition that get a copy of each image, with its name and tags. `images` and \
         `down --images` know them; each is billed there, and once for the transfer.",
    )
    .source(COPY_IMAGE),
];
