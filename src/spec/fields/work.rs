//! `release:`, `worker:`, `queue:`, `feed:` and `done:` the job itself.

use super::Field;
use super::kind::{Form, Kind, S3, SECTION, duration, line, text, whole, word};

const QUEUES: &str = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html";
const EMPTY: &str =
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html";
const TEMPLATE_ONLY: Kind = Kind::Choice(&[("template", "the template instance, over SSH")]);

/// Names and values for templates.
pub(super) const VARS: Kind = Kind::Map {
    keys: "^[A-Za-z_][A-Za-z0-9_]*$",
    of: &Kind::Text(Form { words: "any text", pattern: "", length: None, bare: true }),
    most: None,
};

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "release",
        SECTION,
        "{from: build/worker.tar.gz, playbook: playbooks/deploy.yaml}",
        "What `push` brings to running hosts.",
    ),
    Field::new(
        "release.from",
        Kind::Path("tar or tar.gz file"),
        "build/worker.tar.gz",
        "The archive with the worker's files, fleetwright itself among them. It need not be there before `push`.",
    )
    .required()
    .env(),
    Field::new(
        "release.playbook",
        Kind::Path("playbook file"),
        "playbooks/deploy.yaml",
        "The playbook that brings a release to one host.",
    )
    .required(),
    Field::new("release.max_fail", Kind::Percent, "5%", "The share of the hosts that may fail before a push stops.")
        .default("0%"),
    Field::new("release.canary", whole(0, 1000), "2", "Hosts of the first wave. 0 leaves it out.")
        .counts("hosts")
        .default("1"),
    Field::new(
        "release.vars",
        VARS,
        "{workers: \"4\"}",
        "Values for the playbook's templates; they go before the playbook's own `vars`.",
    ),
    Field::new(
        "worker",
        SECTION,
        "{service: crawl-worker, process: crawl.py --queue}",
        "The worker that runs on every host. The reboot proof and the canary need it.",
    ),
    Field::new(
        "worker.service",
        word("systemd unit's name", r"^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*$", 1, 255),
        "crawl-worker",
        "The unit that must start on boot.",
    )
    .required()
    .source("https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html"),
    Field::new(
        "worker.process",
        line("part of a command line", 200),
        "crawl.py --queue",
        "Text that the worker's command line contains; the reboot proof looks for it.",
    )
    .required(),
    Field::new(
        "worker.command",
        Kind::Template,
        "\"/srv/current/crawl.py --queue {{ queue_url }}\"",
        "Starts a worker by hand on a queue of fleetwright's choosing, `{{ queue_url }}`; the canary needs it.",
    ),
    Field::new(
        "worker.drain",
        Kind::Path("playbook file"),
        "playbooks/drain.yaml",
        "The playbook that lets a host finish what it has in hand and take no more, before it ends: over SSH by `scale` and \
         its like, by the host unit where EC2 or Auto Scaling takes the host back. User data carries it there, so it knows \
         neither `slot`, `address` nor `queue_url`, and all of it must fit into EC2's 16 KiB. Its last step should be a \
         check that nothing is left.",
    )
    .absent("the service is stopped, and no process of it may be left"),
    Field::new(
        "worker.restart_every",
        duration(600, 30 * 86_400),
        "6h",
        "How long the service stays up on a host before the host unit restarts it, as the service manager does with its own \
         limit for the stop: up to a quarter earlier by the host's id, so that not all hosts do at once, and at most a \
         minute later. Not while the host is drained, and not where the service was stopped.",
    )
    .absent("it is not restarted"),
    Field::new(
        "worker.logs_to",
        S3,
        "s3://ops-logs/crawl",
        "A bucket in the fleet's region where a host puts the service's journal before it ends: as \
         `PREFIX/FLEET/INSTANCE/TIME.log.gz`, once the worker is drained, before it powers itself off, and whenever systemd \
         shuts it down, whoever asked for that. Needs an instance profile that may do what docs/iam-policy-worker.json calls \
         KeepLogs, and curl 7.88 or later. What fails is said in the host's log and holds nothing up for more than a minute.",
    )
    .absent("the journal ends with its host"),
    Field::new(
        "queue",
        SECTION,
        "{url: \"https://sqs.us-east-1.amazonaws.com/123456789012/crawl\"}",
        "Where the items wait. `feed` and `wait` need it.",
    ),
    Field::new(
        "queue.engine",
        Kind::Choice(&[("sqs", "Amazon SQS, a standard queue")]),
        "sqs",
        "What kind of queue it is.",
    )
    .default("sqs")
    .source("https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html"),
    Field::new(
        "queue.url",
        text(
            "URL of a standard queue in this account and region",
            "^(https://[A-Za-z0-9.-]+|http://(localhost|127\\.[A-Za-z0-9.-]*))(:[0-9]+)?/[0-9]{12}/[A-Za-z0-9_-]{1,80}$",
        ),
        "\"https://sqs.us-east-1.amazonaws.com/123456789012/crawl\"",
        "The queue's URL. Plain http is for this machine only.",
    )
    .required()
    .env()
    .source("https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html"),
    Field::new(
        "queue.dead_letter",
        word("letters, digits, `-` and `_`", "^[A-Za-z0-9_-]*$", 1, 80),
        "crawl-dead",
        "The name of the queue that SQS moves an item to when it was received too often: those items have failed.",
    )
    .source(QUEUES),
    Field::new("feed", SECTION, "{from: {lines: items.txt}, rate: 3/s}", "Where the items come from. `feed` needs it."),
    Field::new(
        "feed.from",
        Kind::Section { one_of: &["lines", "files", "run"] },
        "{lines: items.txt}",
        "The source of the items.",
    )
    .required(),
    Field::new("feed.from.lines", Kind::Path("text file"), "items.txt", "One item a line; empty lines are left out.")
        .env(),
    Field::new(
        "feed.from.files",
        Kind::Path("folder"),
        "data",
        "One item for every regular file below the folder: its path, relative to the folder, sorted.",
    )
    .env(),
    Field::new(
        "feed.from.run",
        Kind::Command,
        "\"psql -tc 'select id from pages'\"",
        "One item for each line that the command prints. At most 4096 bytes.",
    )
    .needs(&["feed.from.on"]),
    Field::new("feed.from.on", TEMPLATE_ONLY, "template", "Where the command runs.").needs(&["feed.from.run"]),
    Field::new(
        "feed.rate",
        Kind::Either(&[Kind::Rate, SECTION]),
        "7.5/s",
        "How fast items go into the queue; one rate, or two by the hour.",
    )
    .absent("as fast as the queue takes them"),
    Field::new("feed.rate.peak", Kind::Rate, "3/s", "The rate within the peak hours.").required(),
    Field::new("feed.rate.off_peak", Kind::Rate, "7.5/s", "The rate outside of them.").required(),
    Field::new(
        "feed.rate.peak_hours",
        text(
            "days, hours and an IANA time zone",
            r"^\s*[A-Za-z,-]+\s+[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}\s+[A-Za-z0-9_+/-]+\s*$",
        ),
        "\"Mon-Fri 05:00-18:00 America/Los_Angeles\"",
        "When the peak is, by the clock on the wall of that zone: days (`Mon-Fri`, `Sat,Sun`, `daily`), hours, and the zone's \
         name. Hours that end before they begin go over midnight and belong to the day on which they begin. What the clock \
         leaves out in spring is left out, and what it shows twice in autumn counts twice.",
    )
    .required()
    .source("https://www.iana.org/time-zones"),
    Field::new(
        "feed.hold_when",
        SECTION,
        "{waiting: 10000, probe: \"psql -qc 'select 1'\", slower_than: 2s}",
        "Nothing is fed while any of this is so. It is looked at every ten seconds.",
    ),
    Field::new(
        "feed.hold_when.waiting",
        whole(1, 1_000_000_000),
        "10000",
        "More items than this wait in the queue; not many more than this are ever fed.",
    )
    .counts("items"),
    Field::new(
        "feed.hold_when.probe",
        Kind::Command,
        "\"psql -qc 'select 1'\"",
        "A command on the template, over SSH; the feed is held while it fails, can't be run, or is slow. At most 4096 bytes.",
    ),
    Field::new("feed.hold_when.slower_than", duration(1, 600), "2s", "The probe is slow when it takes longer.")
        .default("1m")
        .needs(&["feed.hold_when.probe"]),
    Field::new(
        "done",
        SECTION,
        "{quiet: 3m, stalled_after: 15m, deadline: 10h}",
        "When the job counts as done, stalled or late.",
    ),
    Field::new(
        "done.quiet",
        duration(1, 86_400),
        "5m",
        "How long every count of the queue must read zero to be believed.",
    )
    .default("3m")
    .source(EMPTY),
    Field::new("done.samples", whole(2, 1000), "4", "How many fresh samples must read zero within that time.")
        .counts("samples")
        .default("5")
        .source(EMPTY),
    Field::new("done.poll", duration(1, 3600), "30s", "The time between two samples.").default("15s"),
    Field::new(
        "done.stalled_after",
        duration(10, 7 * 86_400),
        "20m",
        "How long nothing may move before the job counts as stalled; at least two polls.",
    )
    .default("15m"),
    Field::new(
        "done.deadline",
        duration(60, 30 * 86_400),
        "10h",
        "How long `wait` waits while the job still progresses.",
    )
    .absent("no deadline"),
    Field::new(
        "done.completed",
        SECTION,
        "{run: \"wc -l < /srv/done\", on: template}",
        "The ledger: without it nobody can tell that an item is missing.",
    ),
    Field::new(
        "done.completed.run",
        Kind::Command,
        "\"wc -l < /srv/done\"",
        "Prints how many distinct items are completed; 0, and not an error, where none is. It finds the template's clock of \
         before the first item in `$FLEETWRIGHT_SINCE`, seconds since 1970: where results of items that are fed again \
         replace older ones, `find /srv/results -type f -newermt \"@$FLEETWRIGHT_SINCE\" | wc -l` counts those of this job. \
         At most 4096 bytes.",
    )
    .required(),
    Field::new("done.completed.on", TEMPLATE_ONLY, "template", "Where the command runs.").required(),
    Field::new(
        "done.completed.counts",
        Kind::Choice(&[
            ("new", "results of before too: what it printed before the first item is taken off"),
            ("all", "results of this job and nothing else, by itself"),
        ]),
        "all",
        "Which results the command counts.",
    )
    .default("new"),
    Field::new(
        "budget",
        SECTION,
        "{stop_at: $50}",
        "What the campaign may cost: hosts with their root volumes and public addresses, since the last `down`.",
    ),
    Field::new(
        "budget.stop_at",
        text("amount in US dollars above zero", r"^\$(?!0+(\.0+)?$)[0-9]{1,9}(\.[0-9]{1,6})?$"),
        "$50",
        "A launch that would pass it is refused with the arithmetic: what was spent, and the fleet for as long as the feed \
         takes, else until `done.deadline`, else for an hour. While `wait` or `up` waits, reaching it stops them with exit \
         code 13, and `launch --watch` replaces no host any more; the same command goes on once it is raised. What costs an \
         unknown price is warned about.",
    )
    .required(),
    Field::new(
        "budget.then",
        Kind::Choice(&[
            ("keep", "hosts go on, and are named with the command that ends them"),
            ("down", "`up` ends the fleet; `wait` changes nothing"),
        ]),
        "down",
        "What becomes of the hosts when it is reached.",
    )
    .default("keep"),
];
