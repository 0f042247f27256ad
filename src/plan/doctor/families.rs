//! Which vCPU quota an instance type counts against.

use crate::model::Market;

/// Families that share a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// How AWS names them.
    pub names: &'static str,
    /// What types begin with, before the first digit.
    starts: &'static [&'static str],
    on_demand: &'static str,
    /// Some are not sold as spot.
    spot: Option<&'static str>,
}

/// Service Quotas' codes for EC2. Standard types stand last: they are recognised by one letter (`is4gen` and `im4gn` by
/// two), all others are longer or other letters.
const FAMILIES: [Family; 10] = [
    Family { names: "DL", starts: &["dl"], on_demand: "L-6E869C2A", spot: Some("L-85EED4F7") },
    Family { names: "F", starts: &["f"], on_demand: "L-74FC7D96", spot: Some("L-88CF9481") },
    Family { names: "G and VT", starts: &["g", "gr", "vt"], on_demand: "L-DB2E81BA", spot: Some("L-3819A6DF") },
    Family { names: "HPC", starts: &["hpc"], on_demand: "L-F7808C92", spot: None },
    Family { names: "Inf", starts: &["inf"], on_demand: "L-1945791B", spot: Some("L-B5D1601B") },
    Family { names: "P", starts: &["p"], on_demand: "L-417A185B", spot: Some("L-7212CCBC") },
    Family { names: "Trn", starts: &["trn"], on_demand: "L-2C3B7624", spot: Some("L-6B0D517C") },
    Family { names: "High Memory", starts: &["u", "u-"], on_demand: "L-43DA4232", spot: None },
    Family { names: "X", starts: &["x"], on_demand: "L-7295265B", spot: Some("L-E3A00192") },
    Family {
        names: "Standard (A, C, D, H, I, M, R, T, Z)",
        starts: &["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"],
        on_demand: "L-1216C47A",
        spot: Some("L-34B43A08"),
    },
];

impl Family {
    /// The quota's code in a market; none where these types are not sold there.
    pub fn code(&self, market: Market) -> Option<&'static str> {
        match market {
            Market::OnDemand => Some(self.on_demand),
            Market::Spot => self.spot,
        }
    }
}

/// The family of a type; none for one that no quota is known of.
pub fn family(instance_type: &str) -> Option<Family> {
    // P5 spot has a quota of its own (`All P5 Spot Instance Requests`); on demand it counts as P.
    let start = instance_type.split(|c: char| c.is_ascii_digit() || c == '.').next().unwrap_or_default();
    FAMILIES.into_iter().find(|family| family.starts.contains(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_belong_to_quotas() {
        for (name, on_demand, spot) in [
            ("m7i.large", "L-1216C47A", Some("L-34B43A08")),
            ("is4gen.large", "L-1216C47A", Some("L-34B43A08")),
            ("g6.xlarge", "L-DB2E81BA", Some("L-3819A6DF")),
            ("vt1.3xlarge", "L-DB2E81BA", Some("L-3819A6DF")),
            ("inf2.xlarge", "L-1945791B", Some("L-B5D1601B")),
            ("u-6tb1.112xlarge", "L-43DA4232", None),
            ("x2gd.large", "L-7295265B", Some("L-E3A00192")),
            ("dl1.24xlarge", "L-6E869C2A", Some("L-85EED4F7")),
            ("hpc7a.96xlarge", "L-F7808C92", None),
            ("trn1.2xlarge", "L-2C3B7624", Some("L-6B0D517C")),
        ] {
            let family = family(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((family.on_demand, family.spot), (on_demand, spot), "{name}");
        }
        assert_eq!(family("q9.large"), None);
        assert_eq!(family("mac2.metal"), None);
    }
}
