//! What an unknown key was likely meant to be: misspelt, called otherwise by other tools, or in the wrong section.

/// Words of other tools (Auto Scaling, Terraform, Ansible, Compose, Kubernetes) and what they are called here.
const SYNONYMS: &[(&str, &str)] = &[
    ("alert", "notify"),
    ("alerts", "notify"),
    ("ami", "image"),
    ("args", "vars"),
    ("assert", "check"),
    ("availability_zones", "subnets"),
    ("cmd", "run"),
    ("command", "run"),
    ("content", "text"),
    ("copy", "put"),
    ("count", "size"),
    ("dead_letter_queue", "dead_letter"),
    ("delegate_to", "on"),
    ("desired_capacity", "size"),
    ("dest", "to"),
    ("disk", "root"),
    ("disk_size", "root"),
    ("dlq", "dead_letter"),
    ("env", "vars"),
    ("environment", "vars"),
    ("exec", "run"),
    ("extract", "unpack"),
    ("file", "lines"),
    ("filename", "lines"),
    ("host", "address"),
    ("hostname", "address"),
    ("iam_instance_profile", "instance_profile"),
    ("iam_role", "instance_profile"),
    ("identity_file", "identity"),
    ("instance_id", "instance"),
    ("instance_type", "types"),
    ("instance_types", "types"),
    ("instances", "fleet"),
    ("ip", "address"),
    ("items", "lines"),
    ("key", "identity"),
    ("key_file", "identity"),
    ("key_pair", "key_name"),
    ("keypair", "key_name"),
    ("labels", "tags"),
    ("login", "user"),
    ("max_age", "expires"),
    ("max_size", "size"),
    ("min_size", "accept"),
    ("notification", "notify"),
    ("notifications", "notify"),
    ("on", "events"),
    ("owner_group", "owner"),
    ("path", "to"),
    ("private_key", "identity"),
    ("queue_url", "url"),
    ("replicas", "size"),
    ("role", "instance_profile"),
    ("root_volume", "root"),
    ("script", "run"),
    ("security_group_ids", "security_groups"),
    ("service", "restart"),
    ("sg", "security_groups"),
    ("shell", "run"),
    ("slack", "notify"),
    ("sqs", "queue"),
    ("src", "file"),
    ("ssh_key", "identity"),
    ("storage", "root"),
    ("subnet_ids", "subnets"),
    ("symlink", "link"),
    ("systemd", "restart"),
    ("target", "to"),
    ("tasks", "steps"),
    ("template", "put"),
    ("test", "check"),
    ("ttl", "expires"),
    ("type", "types"),
    ("unarchive", "unpack"),
    ("uri", "url"),
    ("username", "user"),
    ("variables", "vars"),
    ("volume", "root"),
    ("volume_size", "size"),
    ("volume_type", "type"),
];

/// Values of other tools and what they are called here.
const VALUES: &[(&str, &str)] = &[
    ("aarch64", "arm64"),
    ("amd64", "x86_64"),
    ("arm", "arm64"),
    ("asg", "auto-scaling-group"),
    ("autoscaling", "auto-scaling-group"),
    ("delete", "down"),
    ("ec2", "instances"),
    ("group", "auto-scaling-group"),
    ("plain", "instances"),
    ("stop", "down"),
    ("terminate", "down"),
    ("x64", "x86_64"),
    ("x86", "x86_64"),
];

/// Keys that only one section has, and which.
const PLACES: &[(&str, &str)] = &[
    ("accept", "fleet"),
    ("completed", "done"),
    ("connect", "ssh"),
    ("dead_letter", "queue"),
    ("deadline", "done"),
    ("encrypted", "fleet.root"),
    ("engine", "queue"),
    ("events", "notify"),
    ("expires", "fleet"),
    ("fallback", "fleet"),
    ("files", "feed.from"),
    ("hop_limit", "fleet.metadata"),
    ("identity", "ssh"),
    ("instance", "template"),
    ("instance_profile", "fleet"),
    ("keep", "image"),
    ("key_name", "fleet"),
    ("known_hosts", "ssh"),
    ("lines", "feed.from"),
    ("logs_to", "worker"),
    ("max_fail", "release"),
    ("max_price", "fleet"),
    ("metadata", "fleet"),
    ("min", "fleet.accept"),
    ("mounts", "rehearsal"),
    ("otherwise", "fleet.accept"),
    ("parallel", "ssh"),
    ("playbook", "release"),
    ("poll", "done"),
    ("port", "ssh"),
    ("process", "worker"),
    ("quiet", "done"),
    ("rate", "feed"),
    ("restart_every", "worker"),
    ("root", "fleet"),
    ("samples", "done"),
    ("security_groups", "fleet"),
    ("service", "worker"),
    ("setup", "rehearsal"),
    ("size", "fleet"),
    ("spot", "fleet"),
    ("stalled_after", "done"),
    ("subnets", "fleet"),
    ("tokens", "fleet.metadata"),
    ("types", "fleet"),
    ("url", "queue"),
    ("user", "ssh"),
    ("user_data", "fleet"),
    ("vars", "release"),
    ("verify", "template"),
    ("webhook", "notify"),
];

/// What an unknown key was likely meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// A key of this section, misspelt.
    Here(&'static str),
    /// A key of this section that other tools call so.
    Called(&'static str),
    /// A key of another section.
    Elsewhere(&'static str),
    /// A key of this section and its value, with no colon or space between them.
    Glued(&'static str),
    /// Nobody knows.
    Unknown,
}

/// What the key `text` of the section at `path` was likely meant to be; `known` are the section's keys.
pub(crate) fn meant(path: &str, text: &str, known: &[&'static str]) -> Meant {
    let word = text.to_lowercase().replace('-', "_");
    let ours = SYNONYMS
        .iter()
        .filter(|(theirs, _)| *theirs == word)
        .find_map(|(_, ours)| known.iter().find(|key| *key == ours));
    let glued = known.iter().find(|key| text.strip_prefix(**key).is_some_and(|rest| rest.starts_with([' ', ':', '='])));
    if let Some(glued) = glued {
        return Meant::Glued(glued);
    }
    let place = PLACES.iter().find(|(key, _)| *key == word).filter(|_| !path.starts_with("steps"));
    match (known.iter().find(|key| **key == word), ours, place, nearest(text, known)) {
        (Some(same), ..) => Meant::Here(same),
        (None, Some(ours), ..) => Meant::Called(ours),
        (None, None, Some((_, place)), _) => Meant::Elsewhere(place),
        (None, None, None, Some(near)) => Meant::Here(near),
        (None, None, None, None) => Meant::Unknown,
    }
}

impl Meant {
    /// What to type instead.
    pub(crate) fn help(self, known: &[&str]) -> String {
        match self {
            Self::Here(key) => format!("did you mean `{key}`?"),
            Self::Called(key) => format!("here it is called `{key}`"),
            Self::Elsewhere(section) => format!("it belongs to `{section}`: indent it below that key"),
            Self::Glued(key) => format!("a colon and a space belong after `{key}`"),
            Self::Unknown => format!("known here: {}", known.join(", ")),
        }
    }
}

/// What a value of other tools is called here, as far as it is one of these.
pub(crate) fn value<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    let text = text.to_lowercase().replace('_', "-");
    let (_, meant) = VALUES.iter().find(|(word, _)| *word == text)?;
    words.iter().copied().find(|word| word == meant)
}

/// The word that was likely meant.
pub(crate) fn nearest<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    if text.len() > 40 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    let near = |word: &&str| strsim::damerau_levenshtein(&text, &word.replace('-', "_"));
    let best = words.iter().copied().min_by_key(near)?;
    let allowed = if best.len() <= 3 { 1 } else { (best.len() / 3).max(2) };
    (near(&best) <= allowed && near(&best) < best.len()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(value("ASG", &["instances", "auto-scaling-group"]), Some("auto-scaling-group"));
        assert_eq!((value("amd64", &["x86_64", "arm64"]), value("asg", &["x86_64"])), (Some("x86_64"), None));
        let words = ["size", "spot", "types", "max_price"];
        assert_eq!(nearest("sise", &words), Some("size"));
        assert_eq!(nearest("Max-Price", &words), Some("max_price"));
        assert_eq!((nearest("zzz", &words), nearest("", &words), nearest(&"s".repeat(50), &words)), (None, None, None));
    }

    #[test]
    fn other_words_and_other_places() {
        let known = ["size", "types", "root"];
        assert_eq!(meant("fleet", "Replicas", &known), Meant::Called("size"));
        assert_eq!(meant("fleet", "instance-type", &known), Meant::Called("types"));
        assert_eq!(meant("", "size", &["fleet", "ssh"]), Meant::Elsewhere("fleet"));
        assert_eq!(meant("steps[0]", "size", &["run"]), Meant::Unknown);
        assert_eq!(meant("fleet", "SIZE", &known), Meant::Here("size"));
    }

    #[test]
    fn tables_are_sorted_so_that_a_word_is_found_once() {
        for table in [SYNONYMS, PLACES] {
            assert!(table.is_sorted());
        }
    }
}
