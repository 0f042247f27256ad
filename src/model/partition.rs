//! AWS's partitions: worlds of their own, with other ARNs, endpoints, accounts and credentials.

use super::Region;

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What ARNs begin with after `arn:`.
    pub name: &'static str,
    /// Where the names of public endpoints end.
    pub domain: &'static str,
    /// In which currency AWS tells prices there: "priced and billed in local currency (CNY)" (Getting Started with Amazon Web
    /// Services in China, Billing and Payment).
    pub currency: &'static str,
    /// What regions begin with; the commercial partition has all others.
    prefix: &'static str,
}

/// All that the SDK knows (its partitions.json), the commercial one last.
const ALL: [Partition; 8] = [
    Partition { name: "aws-cn", domain: "amazonaws.com.cn", currency: "CNY", prefix: "cn-" },
    Partition { name: "aws-us-gov", domain: "amazonaws.com", currency: "USD", prefix: "us-gov-" },
    Partition { name: "aws-iso", domain: "c2s.ic.gov", currency: "USD", prefix: "us-iso-" },
    Partition { name: "aws-iso-b", domain: "sc2s.sgov.gov", currency: "USD", prefix: "us-isob-" },
    Partition { name: "aws-iso-e", domain: "cloud.adc-e.uk", currency: "USD", prefix: "eu-isoe-" },
    Partition { name: "aws-iso-f", domain: "csp.hci.ic.gov", currency: "USD", prefix: "us-isof-" },
    Partition { name: "aws-eusc", domain: "amazonaws.eu", currency: "USD", prefix: "eusc-" },
    Partition { name: "aws", domain: "amazonaws.com", currency: "USD", prefix: "" },
];

impl Partition {
    /// The partition of a region.
    pub fn of(region: &str) -> Self {
        let [.., commercial] = ALL;
        ALL.into_iter().find(|partition| region.starts_with(partition.prefix)).unwrap_or(commercial)
    }
}

impl Region {
    /// The partition it is in.
    pub fn partition(&self) -> Partition {
        Partition::of(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_tell_their_partition() {
        for (region, name, domain) in [
            ("us-east-1", "aws", "amazonaws.com"),
            ("ap-southeast-7", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-east-1", "aws-us-gov", "amazonaws.com"),
            ("us-iso-west-1", "aws-iso", "c2s.ic.gov"),
            ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ] {
            let partition = Region::from(region).partition();
            assert_eq!((partition.name, partition.domain), (name, domain), "{region}");
        }
    }
}
