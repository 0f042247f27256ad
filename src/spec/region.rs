//! AWS regions as text: their form, the ones that are known, and what was likely meant.

use super::value::Wrong;
use super::words::nearest;

/// The regions there were when this was written (EC2's and the partitions' own lists, August 2026); a new one is used all
/// the same, with a warning.
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-iso-west-1",
    "us-isob-east-1",
    "us-isob-west-1",
    "us-isof-east-1",
    "us-isof-south-1",
    "us-west-1",
    "us-west-2",
];

/// A region's name of the right form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'t> {
    /// One of those that were known.
    Known(&'t str),
    /// None of them, and the one that was likely meant.
    Strange(&'t str, Option<&'static str>),
}

/// Reads `us-east-1`, `ap-southeast-2`, `us-gov-west-1`.
pub(crate) fn region(text: &str) -> Result<Named<'_>, Wrong> {
    let wrong = Wrong::bad("an AWS region such as `us-east-1`");
    if is_region(text) {
        let known = REGIONS.contains(&text);
        return Ok(if known { Named::Known(text) } else { Named::Strange(text, nearest(text, REGIONS)) });
    }
    let zone = text.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|region| is_region(region));
    if let Some(region) = zone {
        return Err(wrong.help(format!("{text} is a zone; its region is {region}")));
    }
    // Other clouds write `us-east1`, some tools `us_east_1`.
    let low = text.trim().to_lowercase().replace(['_', ' '], "-");
    let (words, number) = low.split_at(low.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let guess = format!("{}-{number}", words.trim_end_matches('-')).replace("europe-", "eu-");
    // Nobody writes a word too few for one of the longer names.
    let parts = |name: &str| name.split('-').count();
    let known: Vec<&str> = REGIONS.iter().copied().filter(|name| parts(name) <= parts(&guess).max(3)).collect();
    match nearest(&guess, &known) {
        Some(near) => Err(wrong.help(format!("did you mean `{near}`?"))),
        None => Err(wrong.help("aws account list-regions shows them all")),
    }
}

/// Two or more words and a number of one or two digits; the first word is the part of the world.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase());
    let number = |p: &str| matches!(p.len(), 1 | 2) && p.bytes().all(|b| b.is_ascii_digit());
    let Some((last, words)) = parts.split_last() else { return false };
    words.len() >= 2 && words.iter().all(letters) && matches!(words[0].len(), 2 | 4) && number(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_not_zones() {
        for good in ["us-east-1", "ap-southeast-2", "us-gov-west-1", "eu-isoe-west-1"] {
            assert_eq!(region(good), Ok(Named::Known(good)));
        }
        assert_eq!(region("us-esat-1"), Ok(Named::Strange("us-esat-1", Some("us-east-1"))));
        for (bad, near) in [
            ("us-east1", "us-east-1"),
            ("EU_WEST_1", "eu-west-1"),
            ("us-east", "us-east-1"),
            ("europe-west1", "eu-west-1"),
            ("useast1", "us-east-1"),
        ] {
            assert!(region(bad).is_err_and(|w| w.help.is_some_and(|h| h.contains(near))), "{bad}");
        }
        assert!(region("us-east-1a").is_err_and(|w| w.help.is_some_and(|h| h.contains("us-east-1"))));
        assert!(
            ["", "us", "us-east", "US-EAST-1", "us--1", "earth", "abc-east-1"].iter().all(|bad| region(bad).is_err())
        );
    }
}
