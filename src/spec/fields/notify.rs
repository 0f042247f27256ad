//! `notify:` who hears how a verb ended.

use super::Field;
use super::kind::{Kind, SECTION, text};
use crate::model::Occasion;

/// The words of `events`, each with what it means.
const EVENTS: [(&str, &str); Occasion::ALL.len()] = {
    let mut words = [("", ""); Occasion::ALL.len()];
    let mut n = 0;
    while n < words.len() {
        words[n] = (Occasion::ALL[n].0, Occasion::ALL[n].1);
        n += 1;
    }
    words
};

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "notify",
        Kind::List { of: &SECTION, least: 0, most: Some(16) },
        "[{events: [done, stalled, partial], webhook: \"${SLACK_WEBHOOK}\"}]",
        "Who hears how a verb ended: when `verify`, `bake`, `launch`, `scale`, `push`, `feed`, `wait`, `up`, \
         `resume`, `recycle now` or `down` comes to one of `events`, JSON is posted to `webhook`, before the answer is \
         printed. It waits 10 s at most, twice; that it failed is a warning and changes no exit code. A killed command may \
         have told it already and tells it again when it is repeated. What is planned or rehearsed stays on this machine.",
    ),
    Field::new(
        "notify.events",
        Kind::List { of: &Kind::Choice(&EVENTS), least: 1, most: None },
        "[done, stalled, partial]",
        "What it hears of.",
    )
    .absent("all of them but `interrupted`"),
    Field::new(
        "notify.webhook",
        text("`${NAME}` of an environment variable", r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"),
        "\"${SLACK_WEBHOOK}\"",
        "The environment variable that holds the address: https, or http on this machine. The address itself is a secret \
         that is neither in this file nor in any plan, log or journal. HTTPS_PROXY, NO_PROXY and AWS_CA_BUNDLE are honoured.",
    )
    .required()
    .env()
    .source("https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"),
];
