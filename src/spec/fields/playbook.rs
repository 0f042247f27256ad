//! A playbook: its values and its steps.

use super::Field;
use super::kind::{COMMAND, Form, Kind, SECTION, duration, line, whole};
use super::work::VARS;

const STEP: Kind = Kind::Section { one_of: &["put", "unpack", "run", "link", "restart", "reboot", "check"] };
const SHELL: &str = "https://pubs.opengroup.org/onlinepubs/9799919799/utilities/sh.html";
const TEMPLATES: &str = "https://jinja.palletsprojects.com/en/stable/templates/";
const SYSTEMCTL: &str = "https://www.freedesktop.org/software/systemd/man/latest/systemctl.html";

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "vars",
        VARS,
        "{root: /opt/worker}",
        "Values for the templates below; those of `release.vars` go before them.",
    ),
    Field::new(
        "steps",
        Kind::List { of: &STEP, least: 1, most: Some(200) },
        "[{check: test -x /usr/bin/python3}]",
        "The steps, in order. Each does exactly one thing; the first that fails is the last.",
    )
    .required()
    .source(TEMPLATES),
    Field::new(
        "steps.name",
        line("text of one line", 80),
        "worker is running",
        "What the step is called in reports; no two steps share a name.",
    )
    .absent("the action itself"),
    Field::new("steps.timeout", duration(1, 86_400), "30s", "How long the step may take, wall time.").default("5m"),
    Field::new("steps.retries", whole(0, 10), "3", "How often a step that failed is tried again.")
        .counts("tries")
        .default("0"),
    Field::new(
        "steps.when",
        Kind::Template,
        "\"{{ slot == 0 }}\"",
        "Must render to `true` or `false`; on `false` the step is skipped.",
    )
    .absent("always")
    .source(TEMPLATES),
    Field::new(
        "steps.put",
        Kind::Section { one_of: &["file", "text"] },
        "{text: hello, to: /etc/motd}",
        "Writes a file on the host: aside, checked, then renamed.",
    ),
    Field::new("steps.put.file", Kind::Path("file, relative to the playbook"), "boot.sh", "The file to copy."),
    Field::new("steps.put.text", Kind::Template, "\"workers={{ slot }}\"", "The text to write.").source(TEMPLATES),
    Field::new("steps.put.to", Kind::Template, "/etc/worker.conf", "The path on the host.").required(),
    Field::new(
        "steps.put.mode",
        Kind::Text(Form { words: "3 or 4 octal digits", pattern: "^[0-7]{3,4}$", length: None, bare: true }),
        "\"0755\"",
        "The file's mode bits.",
    )
    .default("\"0644\"")
    .source("https://pubs.opengroup.org/onlinepubs/9799919799/utilities/chmod.html"),
    Field::new("steps.put.owner", Kind::Template, "root", "The file's owner and group, as for chown.")
        .absent("the login user"),
    Field::new(
        "steps.unpack",
        SECTION,
        "{to: \"/srv/releases/{{ release }}\"}",
        "Unpacks the release archive into a new folder. Only in `release.playbook`: no other has a release.",
    ),
    Field::new("steps.unpack.to", Kind::Template, "\"/srv/releases/{{ release }}\"", "The folder on the host.")
        .required(),
    Field::new("steps.run", COMMAND, "systemctl daemon-reload", "Runs a command that may change the host.")
        .source(SHELL),
    Field::new(
        "steps.link",
        SECTION,
        "{to: \"/srv/releases/{{ release }}\", at: /srv/current}",
        "Makes a symbolic link, or switches it, in one step.",
    ),
    Field::new("steps.link.to", Kind::Template, "\"/srv/releases/{{ release }}\"", "What the link points to.")
        .required(),
    Field::new("steps.link.at", Kind::Template, "/srv/current", "The link itself.").required(),
    Field::new(
        "steps.restart",
        Kind::Template,
        "crawl-worker",
        "Enables and restarts a systemd service; it must be active afterwards.",
    )
    .source(SYSTEMCTL),
    Field::new(
        "steps.reboot",
        SECTION,
        "{within: 10m}",
        "Reboots the host; another boot id must answer. In a verify playbook it is the reboot proof; not in a drain playbook.",
    ),
    Field::new("steps.reboot.within", duration(10, 3600), "2m", "How long it may take.").default("10m"),
    Field::new("steps.check", COMMAND, "systemctl is-active crawl-worker", "Must exit 0, and changes nothing.")
        .source(SHELL),
];
