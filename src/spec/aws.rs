//! Names and identifiers as AWS spells them.

use super::value::Wrong;

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
        _ => Err(wrong),
    }
}

/// `us-east-1`, `ap-southeast-2`, `us-gov-west-1`.
pub(crate) fn region(text: &str) -> Read<&str> {
    let wrong = Wrong::bad("an AWS region such as `us-east-1`");
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase());
    let number = |p: &str| matches!(p.len(), 1 | 2) && p.bytes().all(|b| b.is_ascii_digit());
    match parts.split_last() {
        Some((last, words)) if words.len() >= 2 && words.iter().all(letters) && words[0].len() == 2 => {
            if number(last) {
                return Ok(text);
            }
            let zone = last.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|n| number(n));
            Err(match zone {
                Some(_) => wrong.help(format!("{text} is a zone; its region is {}", &text[..text.len() - 1])),
                None => wrong,
            })
        }
        _ => Err(wrong),
    }
}

/// A resource id with its prefix, for example `subnet-`; says too whether it has the length that EC2 gives.
pub(crate) fn id<'t>(prefix: &str, text: &'t str) -> Read<(&'t str, bool)> {
    let wanted = || Wrong::bad(format!("an id that starts with `{prefix}`"));
    let rest = text.strip_prefix(prefix).ok_or_else(wanted)?;
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if rest.is_empty() || rest.len() > 40 || !rest.bytes().all(word) {
        return Err(wanted());
    }
    // EC2 gave 8 hex digits until 2016 and gives 17 since.
    let hex = rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    Ok((text, hex && matches!(rest.len(), 8 | 17)))
}

/// `m7i.large`, `u-6tb1.112xlarge`.
pub(crate) fn instance_type(text: &str) -> Read<String> {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let ok = text.len() <= 32 && text.split_once('.').is_some_and(|(family, size)| part(family) && part(size));
    ok.then(|| text.to_owned()).ok_or_else(|| Wrong::bad("an instance type such as `m7i.large`"))
}

/// An instance profile's name or ARN.
pub(crate) fn instance_profile(text: &str) -> Read<String> {
    let name = text.strip_prefix("arn:").map_or(Some(text), |arn| arn.split_once(":instance-profile/").map(|(_, n)| n));
    let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
    let ok = name.is_some_and(|n| !n.is_empty() && n.len() <= 128 && n.chars().all(good));
    ok.then(|| text.to_owned()).ok_or_else(|| Wrong::bad("an instance profile's name or ARN"))
}

/// The fleet's name: goes into names of AWS things, files and folders.
pub(crate) fn fleet_name(text: &str) -> Read<&str> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=40).contains(&text.len()) && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text);
    }
    let tame: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let tame: String = tame.trim_matches('-').chars().take(40).collect();
    let wrong = Wrong::bad("1 to 40 lowercase letters, digits and inner dashes");
    Err(if tame.is_empty() { wrong } else { wrong.help(format!("for example `{}`", tame.trim_matches('-'))) })
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
    let wrong = || Wrong::bad("a queue URL such as `https://sqs.us-east-1.amazonaws.com/123456789012/work`");
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
    let ok = (1..=80).contains(&text.len()) && text.chars().all(good);
    if ok { Ok(text.to_owned()) } else { Err(wrong) }
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
    fn regions_are_not_zones() {
        for good in ["us-east-1", "ap-southeast-2", "us-gov-west-1", "eu-isoe-west-1"] {
            assert_eq!(region(good), Ok(good));
        }
        assert!(region("us-east-1a").is_err_and(|w| w.help.is_some_and(|h| h.contains("us-east-1"))));
        assert!(["", "us", "us-east", "US-EAST-1", "us--1", "earth"].iter().all(|bad| region(bad).is_err()));
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
