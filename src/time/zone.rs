//! Which time zone somebody meant who wrote no name of the IANA database.

/// What people write for a zone, and one that has it. An abbreviation knows no summer, so none is a zone here.
const ABBREVIATIONS: [(&str, &str); 28] = [
    ("acst", "Australia/Adelaide"),
    ("aedt", "Australia/Sydney"),
    ("aest", "Australia/Sydney"),
    ("awst", "Australia/Perth"),
    ("brt", "America/Sao_Paulo"),
    ("bst", "Europe/London"),
    ("cdt", "America/Chicago"),
    ("cest", "Europe/Berlin"),
    ("cet", "Europe/Berlin"),
    ("cst", "America/Chicago"),
    ("edt", "America/New_York"),
    ("eest", "Europe/Helsinki"),
    ("eet", "Europe/Helsinki"),
    ("est", "America/New_York"),
    ("gmt", "UTC"),
    ("hkt", "Asia/Hong_Kong"),
    ("ist", "Asia/Kolkata"),
    ("jst", "Asia/Tokyo"),
    ("kst", "Asia/Seoul"),
    ("mdt", "America/Denver"),
    ("msk", "Europe/Moscow"),
    ("mst", "America/Denver"),
    ("nzdt", "Pacific/Auckland"),
    ("nzst", "Pacific/Auckland"),
    ("pdt", "America/Los_Angeles"),
    ("pst", "America/Los_Angeles"),
    ("sgt", "Asia/Singapore"),
    ("utc", "UTC"),
];

/// The zone that was likely meant: by its abbreviation, else by its town or its whole name, misspelt a little.
pub fn near(name: &str) -> Option<String> {
    let wanted = name.to_ascii_lowercase().replace([' ', '-'], "_");
    if let Some((_, zone)) = ABBREVIATIONS.iter().find(|(short, _)| *short == wanted) {
        return Some((*zone).to_owned());
    }
    let town = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    jiff::tz::db()
        .available()
        .map(|known| known.to_string())
        .filter(|known| known.contains('/') || known == "UTC")
        .map(|known| {
            let lower = known.to_ascii_lowercase();
            let by_town = strsim::damerau_levenshtein(&town(&wanted), &town(&lower));
            (by_town.min(strsim::damerau_levenshtein(&wanted, &lower)), known)
        })
        // Three letters are near to some town or other whatever they are.
        .filter(|(far, _)| *far <= 2 && *far * 4 <= town(&wanted).len())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn towns_names_and_abbreviations() {
        for (name, zone) in [
            ("Brisbane", Some("Australia/Brisbane")),
            ("Los Angeles", Some("America/Los_Angeles")),
            ("America/Los_Angles", Some("America/Los_Angeles")),
            ("europe/berlin", Some("Europe/Berlin")),
            ("PST", Some("America/Los_Angeles")),
            ("aest", Some("Australia/Sydney")),
            ("utc", Some("UTC")),
            ("XYZ", None),
            ("+02:00", None),
            ("EST5EDT", None),
        ] {
            assert_eq!(near(name).as_deref(), zone, "{name}");
        }
        for (_, zone) in super::ABBREVIATIONS {
            assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{zone}");
        }
    }
}
