//! Names and identifiers as AWS spells them.

use super::fleet::SharedState;
use super::problem::quote;
use super::region::is_region;
use super::value::Wrong;
use crate::model::Partition;

type Read<T> = Result<T, Wrong>;

/// Account numbers have twelve digits; as a bare number a YAML tool may have dropped leading zeros.
pub(crate) fn account(text: &str) -> Read<&str> {
    let wrong = Wrong::bad("an AWS account of 12 digits");
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.len() {
        12 if digits => Ok(text),
        1..12 if digits => Err(wrong.help(format!(
            "it has {} digits; if leading zeros were lost, write them, in quotes: \"{text:0>12}\"",
            text.len()
        ))),
        _ => {
            // An ARN has the account in its fifth part; the console shows it with dashes.
            let part = if text.starts_with("arn:") { text.split(':').nth(4).unwrap_or_default() } else { text };
            let bare = part.replace(['-', ' '], "");
            let digits = |t: &str| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit());
            // A spreadsheet makes 1.23456789012e+11 of it.
            let sheet = || super::tame::count(text, None).map(|n| n.to_string()).filter(|n| digits(n));
            Err(match Some(bare).filter(|bare| digits(bare)).or_else(sheet) {
                Some(account) => wrong.help(format!("write \"{account}\"")),
                None => wrong.help("aws sts get-caller-identity shows the account of your credentials"),
            })
        }
    }
}

/// Beginnings that S3 keeps for itself: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
const BUCKET_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
/// Endings that S3 keeps for itself.
const BUCKET_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Whether S3 would let a general purpose bucket have this name.
fn is_bucket(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let address = name.split('.').count() == 4 && name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| word(b) || b == b'-' || b == b'.')
        && name.bytes().next().is_some_and(word)
        && name.bytes().last().is_some_and(word)
        && !name.contains("..")
        && !address
        && !BUCKET_STARTS.iter().any(|start| name.starts_with(start))
        && !BUCKET_ENDS.iter().any(|end| name.ends_with(end))
}

/// `s3://bucket/prefix`; the prefix may be left out.
pub(crate) fn shared_state(text: &str) -> Read<SharedState> {
    let wrong = Wrong::bad("`s3://BUCKET/PREFIX` of 8 to 300 characters, with a bucket's name as S3 takes it");
    let Some(rest) = text.strip_prefix("s3://") else {
        return Err(match text.split_once(":s3:::") {
            Some((_, path)) => wrong.help(format!("write s3://{}", path.trim_end_matches(['*', '/']))),
            None => match text.strip_prefix("s3:").unwrap_or(text).trim_matches('/') {
                bucket if is_bucket(bucket) => wrong.help(format!("write s3://{bucket}/fleetwright")),
                _ if text.contains('/') => wrong.help("a folder of this machine is named by --state-dir"),
                _ => wrong,
            },
        });
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let part =
        |part: &str| part.bytes().next().is_some_and(letter) && part.bytes().all(|b| letter(b) || b".=+@".contains(&b));
    let whole = !rest.contains('/') || prefix.split('/').all(part);
    if is_bucket(bucket) && whole && text.len() <= 300 {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        return Ok(SharedState { bucket: bucket.to_owned(), prefix });
    }
    let tidy = format!("s3://{}", rest.trim_end_matches('/'));
    if tidy != text && shared_state(&tidy).is_ok() {
        return Err(wrong.help(format!("write {tidy}")));
    }
    Err(if is_bucket(bucket) {
        wrong.help("parts of the prefix have letters, digits and any of `_-.=+@`, and none begins with a dot")
    } else {
        wrong.help("bucket names have 3 to 63 lowercase letters, digits, dots and inner dashes")
    })
}

/// What ids name, by how they start; where the spec has a place for them, which.
const KINDS: &[(&str, &str, &str)] = &[
    ("i-", "an instance", "; it goes to template.instance"),
    ("subnet-", "a subnet", "; it goes to fleet.subnets"),
    ("sg-", "a security group", "; it goes to fleet.security_groups"),
    ("ami-", "an image", ", which `fleetwright launch --image` takes"),
    ("vpc-", "a VPC", ""),
    ("lt-", "a launch template", ""),
    ("vol-", "a volume", ""),
    ("snap-", "a snapshot", ""),
    ("eni-", "a network interface", ""),
    ("key-", "a key pair", ""),
];

/// A resource id with its prefix, for example `subnet-`; says too whether it has the length that EC2 gives.
pub(crate) fn id<'t>(prefix: &str, text: &'t str) -> Read<(&'t str, bool)> {
    let wanted = || Wrong::bad(format!("an id that starts with `{prefix}`"));
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good =
        |t: &str| t.strip_prefix(prefix).is_some_and(|rest| (1..=40).contains(&rest.len()) && rest.bytes().all(word));
    if !good(text) {
        let last = text.rsplit(['/', ':']).next().unwrap_or_default();
        let low = text.trim().to_lowercase();
        let kind = KINDS.iter().find(|(start, ..)| *start != prefix && text.starts_with(start));
        return Err(match kind {
            _ if text.starts_with("arn:") && good(last) => {
                wanted().help(format!("an ARN ends with the id: write {last}"))
            }
            _ if good(&low) && is_hex(&low[prefix.len()..]) => wanted().help(format!("write {low}")),
            _ if good(&low) => wanted().help("what follows is hexadecimal: the digits 0 to 9 and the letters a to f"),
            Some((_, what, place)) => wanted().help(format!("{} is {what}{place}", quote(text))),
            None => wanted().likely(lookup(prefix, text)),
        });
    }
    // EC2 gave 8 hex digits until 2016 and gives 17 since.
    let rest = &text[prefix.len()..];
    Ok((text, is_hex(rest) && matches!(rest.len(), 8 | 17)))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The command that finds the id of what was named by its name or zone.
fn lookup(prefix: &str, name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with(prefix) || !name.chars().all(plain) {
        return None;
    }
    let zone = name.strip_suffix(|c: char| c.is_ascii_lowercase()).is_some_and(is_region);
    let (what, filter) = match prefix {
        "subnet-" if zone => ("subnets", "availability-zone"),
        "subnet-" => ("subnets", "tag:Name"),
        "sg-" => ("security-groups", "group-name"),
        _ => ("instances", "tag:Name"),
    };
    Some(format!("the id, not the name: aws ec2 describe-{what} --filters Name={filter},Values={name}"))
}

/// `m7i.large`, `u-6tb1.112xlarge`.
pub(crate) fn instance_type(text: &str) -> Read<String> {
    is_instance_type(text).then(|| text.to_owned()).ok_or_else(|| {
        let wrong = Wrong::bad("an instance type such as `m7i.large`");
        let low = text.trim().to_lowercase();
        let ec2 = ["db.", "cache.", "ml."].iter().find_map(|other| low.strip_prefix(other)).unwrap_or(&low);
        let guess = if ec2.contains('.') { ec2.to_owned() } else { ec2.replacen(['-', ' ', '_'], ".", 1) };
        if is_instance_type(&guess) {
            wrong.help(format!("write {guess}"))
        } else if SIZES.contains(&low.as_str()) {
            wrong.help(format!("it needs a family, for example m7i.{low}"))
        } else if is_instance_type(&format!("{low}.large")) {
            wrong.help(format!("it needs a size, for example {low}.large"))
        } else {
            wrong
        }
    })
}

/// Sizes that are words; others are `2xlarge`, `metal-24xl` and the like.
const SIZES: [&str; 7] = ["nano", "micro", "small", "medium", "large", "xlarge", "metal"];

/// Whether a type's size is one that EC2 has had.
pub(crate) fn is_usual_size(name: &str) -> bool {
    let Some((_, size)) = name.split_once('.') else { return false };
    let times = |text: &str, end: &str| {
        text.strip_suffix(end).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    SIZES.contains(&size) || times(size, "xlarge") || size.strip_prefix("metal-").is_some_and(|rest| times(rest, "xl"))
}

/// The type that was likely meant by one of an unusual size.
pub(crate) fn likely_size(name: &str) -> Option<String> {
    let (family, size) = name.split_once('.')?;
    let (number, word) = size.split_at(size.find(|c: char| !c.is_ascii_digit()).unwrap_or(0));
    let meant = if number.is_empty() { super::words::nearest(word, &SIZES)? } else { "xlarge" };
    Some(format!("{family}.{number}{meant}"))
}

/// An instance type, or several by a `*`.
pub(crate) fn type_pattern(text: &str) -> Read<String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".*-".contains(&b);
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(good);
    let wrong = || Wrong::bad("an instance type, perhaps with `*`, such as `c7i-flex.*`");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

fn is_instance_type(text: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    text.len() <= 32 && text.split_once('.').is_some_and(|(family, size)| part(family) && part(size))
}

/// A KMS key by alias, id or the ARN of either.
pub(crate) fn kms_key(text: &str) -> Read<String> {
    let part = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b));
    let alias = |t: &str| t.strip_prefix("alias/").is_some_and(part);
    let id = |t: &str| {
        let hex = |t: &str, long: usize| t.len() == long && t.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        hex(t, 36) || t.strip_prefix("mrk-").is_some_and(|rest| hex(rest, 32))
    };
    let arn = |t: &str| match t.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "kms", region, account, name] => {
            part(partition)
                && is_region(region)
                && account.len() == 12
                && (alias(name) || name.strip_prefix("key/").is_some_and(id))
        }
        _ => false,
    };
    if alias(text) || id(text) || arn(text) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::bad("a KMS key: an alias such as `alias/fleet`, a key's id, or the ARN of either");
    let name = text.strip_prefix("aliases/").or_else(|| text.strip_prefix("alias:")).unwrap_or(text);
    Err(wrong.likely((part(name) && !name.contains('/')).then(|| format!("alias/{name}"))))
}

/// A key pair's name in EC2.
pub(crate) fn key_pair(text: &str) -> Read<String> {
    let wrong = Wrong::bad("the name of a key pair in EC2");
    let file = text.rsplit('/').next().unwrap_or_default();
    let bare = [".pem", ".pub", ".ppk"].iter().find_map(|end| file.strip_suffix(end));
    if file != text || bare.is_some() {
        let name = bare.unwrap_or(file);
        return Err(wrong.help(format!("the key's file goes to ssh.identity; the name in EC2 may be {}", quote(name))));
    }
    super::value::line(255)(text)
}

/// An instance profile's name or ARN.
pub(crate) fn instance_profile(text: &str) -> Read<String> {
    let name = text.strip_prefix("arn:").map_or(Some(text), |arn| arn.split_once(":instance-profile/").map(|(_, n)| n));
    let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    let ok = name.is_some_and(|n| !n.is_empty() && n.len() <= 128 && n.chars().all(good));
    ok.then(|| text.to_owned()).ok_or_else(|| {
        let wrong = Wrong::bad("an instance profile's name or ARN");
        match text.split_once(":role/").map(|(_, role)| role.rsplit('/').next().unwrap_or_default()) {
            Some(role) => wrong.help(format!(
                "this is a role; its profile: aws iam list-instance-profiles-for-role --role-name {}",
                super::problem::printable(role)
            )),
            None => wrong,
        }
    })
}

/// Whose images are meant: a word of EC2's for many owners, or an account.
pub(crate) fn image_owner(text: &str) -> Read<String> {
    let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if digits || ["amazon", "aws-marketplace", "self"].contains(&text) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::bad("`amazon`, `aws-marketplace`, `self` or an AWS account of 12 digits");
    Err(wrong.help("Canonical, for one, is \"099720109477\"; account numbers are written in quotes"))
}

/// An image's name, in which `*` and `?` stand for others.
pub(crate) fn image_pattern(text: &str) -> Read<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_*?".contains(c);
    let ok = (3..=128).contains(&text.len()) && text.chars().all(good);
    ok.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::bad(
            "an image's name of 3 to 128 letters, digits, spaces and any of `()[]./-'@_`; `*` and `?` stand for others",
        )
    })
}

/// The fleet's name: goes into names of AWS things, files and folders.
pub(crate) fn fleet_name(text: &str) -> Read<&str> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text);
    }
    let wrong = Wrong::bad("1 to 40 lowercase letters, digits and inner dashes");
    Err(match tame(text) {
        Some(tame) => wrong.help(format!("for example `{tame}`")),
        None => wrong,
    })
}

/// A fleet's name made from a text; `None` when nothing is left of it.
pub(crate) fn tame(text: &str) -> Option<String> {
    let tame: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let tame: String = tame.trim_matches('-').chars().take(40).collect();
    let tame = tame.trim_matches('-');
    (!tame.is_empty()).then(|| tame.to_owned())
}

/// An image name with room for the run's short id; the characters are those that CreateImage takes.
pub(crate) fn image_name(text: &str) -> Read<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
    // 128 characters for the whole name, 9 of them for `-` and the run's short id.
    let ok = (3..=119).contains(&text.len()) && text.chars().all(good);
    ok.then(|| text.to_owned()).ok_or_else(|| Wrong::bad("3 to 119 letters, digits, spaces and any of ()[]./-'@_"))
}

/// What an SQS queue's URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueUrl {
    /// The owner.
    pub(crate) account: String,
    /// The region, where the host says it.
    pub(crate) region: Option<String>,
    /// The queue's name.
    pub(crate) name: String,
}

/// `https://sqs.<region>.amazonaws.com/<account>/<name>`; plain http only to this machine.
pub(crate) fn queue_url(text: &str) -> Read<QueueUrl> {
    let wrong = || {
        let wrong = Wrong::bad("a queue URL such as `https://sqs.us-east-1.amazonaws.com/123456789012/work`");
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", _, "sqs", region, account, name] => {
                let domain = Partition::of(region).domain;
                wrong.help(format!("write https://sqs.{region}.{domain}/{account}/{name}"))
            }
            [name] if queue_name(name).is_ok() => {
                wrong.help(format!("it is a URL, not a name: aws sqs get-queue-url --queue-name {name}"))
            }
            _ => wrong,
        }
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, port)| if port.parse::<u16>().is_ok() { host } else { "" });
    let good = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if host.is_empty() || !host.chars().all(good) {
        return Err(wrong());
    }
    let local = host == "localhost" || host.starts_with("127.");
    match scheme {
        "https" => {}
        "http" if local => {}
        "http" => return Err(wrong().help("items would travel readable by anyone: write https://")),
        _ => return Err(wrong()),
    }
    let (account, name) = path.split_once('/').ok_or_else(wrong)?;
    if account.len() != 12 || account.parse::<u64>().is_err() {
        return Err(wrong());
    }
    let name = queue_name(name)?;
    let region = host.strip_prefix("sqs.").and_then(|h| h.split_once('.')).map(|(region, _)| region.to_owned());
    Ok(QueueUrl { account: account.to_owned(), region, name })
}

/// A queue's name; SQS takes 80 characters.
pub(crate) fn queue_name(text: &str) -> Read<String> {
    let wrong = Wrong::bad("a standard queue's name: 1 to 80 letters, digits, `-` and `_`");
    if text.strip_suffix(".fifo").is_some() {
        return Err(wrong.help("this version works with standard queues only"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let fits = |name: &str| (1..=80).contains(&name.len()) && name.chars().all(good);
    if fits(text) {
        return Ok(text.to_owned());
    }
    // A URL or an ARN ends with the name.
    Err(wrong.likely(text.rsplit(['/', ':']).next().filter(|name| fits(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_keep_their_zeros() {
        assert_eq!(account("012345678901"), Ok("012345678901"));
        assert!(account("12345678901").is_err_and(|w| w.help.is_some_and(|h| h.contains("\"012345678901\""))));
        assert!(account("1234-5678-9012").is_err() && account("").is_err());
    }

    #[test]
    fn ids_and_types() {
        assert_eq!(id("i-", "i-0123456789abcdef0"), Ok(("i-0123456789abcdef0", true)));
        assert_eq!(id("sg-", "sg-workers"), Ok(("sg-workers", false)));
        assert!(id("i-", "ami-0123456789abcdef0").is_err() && id("i-", "i-").is_err() && id("i-", "i-A B").is_err());
        assert!(instance_type("m7i.large").is_ok() && instance_type("u-6tb1.112xlarge").is_ok());
        assert!(["m7i", "m7i.", ".large", "M7i.large", "m7i large"].iter().all(|bad| instance_type(bad).is_err()));
        assert!(instance_profile("arn:aws:iam::123456789012:instance-profile/worker").is_ok());
        assert!(instance_profile("arn:aws:iam::123456789012:role/worker").is_err());
        assert!(fleet_name("Nightly Crawl").is_err_and(|w| w.help.as_deref() == Some("for example `nightly-crawl`")));
    }

    #[test]
    fn queue_urls() {
        let url = queue_url("https://sqs.us-east-1.amazonaws.com/123456789012/crawl");
        let want = QueueUrl { account: "123456789012".into(), region: Some("us-east-1".into()), name: "crawl".into() };
        assert_eq!(url, Ok(want));
        assert!(queue_url("http://127.0.0.1:9324/123456789012/crawl").is_ok());
        for bad in [
            "http://sqs.us-east-1.amazonaws.com/123456789012/crawl",
            "crawl",
            "https:///123456789012/x",
            "https://h/12/x",
            "https://h/123456789012/x.fifo",
            "https://h/123456789012/",
            "ftp://h/123456789012/x",
        ] {
            assert!(queue_url(bad).is_err(), "{bad}");
        }
    }
}
