//! `rehearsal:` what stands in for things that a laptop does not have.

use super::Field;
use super::kind::{Kind, SECTION, text, whole};

const FILE: Kind = Kind::Path("file");
const FOLDER: Kind = Kind::Path("folder below `base`, without `..`");

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "rehearsal",
        SECTION,
        "{setup: playbooks/template.sh, items: {from: [data]}}",
        "What stands in for things that a laptop does not have. Ignored by everything but `rehearse` and `sim serve \
         --spec`.",
    ),
    Field::new(
        "rehearsal.setup",
        Kind::Path("script"),
        "playbooks/template.sh",
        "Runs once on the rehearsal's template, as the operator's own work on it.",
    ),
    Field::new(
        "rehearsal.mounts",
        Kind::List { of: &SECTION, least: 0, most: None },
        "[{at: /srv/results, from: scratch, writable: true}]",
        "Folders that all hosts see.",
    ),
    Field::new(
        "rehearsal.mounts.at",
        text("absolute path without `..`", "^/+[^/]"),
        "/srv/results",
        "Where the hosts see it.",
    )
    .required(),
    Field::new(
        "rehearsal.mounts.from",
        Kind::Path("`items`, `release`, `scratch`, or a folder that is there"),
        "scratch",
        "What they see: the items, the first release, an empty folder, or a folder of this machine.",
    )
    .required(),
    Field::new("rehearsal.mounts.writable", Kind::Boolean, "true", "Whether the hosts may write to it.")
        .default("false"),
    Field::new(
        "rehearsal.items",
        SECTION,
        "{from: [data], count: 500}",
        "Real files that a rehearsal feeds in place of `feed`.",
    ),
    Field::new("rehearsal.items.base", Kind::Path("folder that is there"), "data", "What hosts see as their items.")
        .absent("the spec's own folder"),
    Field::new(
        "rehearsal.items.from",
        Kind::List { of: &FOLDER, least: 0, most: None },
        "[data]",
        "Folders whose regular files are the items.",
    )
    .default("[.]"),
    Field::new(
        "rehearsal.items.count",
        whole(1, 10_000_000),
        "500",
        "How many items; by range of the files when there are fewer files.",
    )
    .counts("items")
    .absent("as many as there are files"),
    Field::new(
        "rehearsal.release",
        Kind::List { of: &FILE, least: 0, most: None },
        "[playbooks/worker.sh]",
        "Files that a rehearsal packs into the release, with the running fleetwright, in place of `release.from`.",
    ),
];
