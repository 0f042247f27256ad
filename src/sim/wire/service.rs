//! Which services there are, and how each of them is spoken to.

/// How a service wraps its answers and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// EC2's own query XML.
    Ec2,
    /// The query XML of the others, each with a namespace of its own.
    Query { namespace: &'static str },
    /// S3: REST, whose answers are documents, objects or nothing.
    S3,
    /// AWS JSON: its version, and what stands before the name of an error.
    Json { version: &'static str, errors: &'static str },
}

impl Style {
    /// How somebody speaks who has not said to whom.
    pub(super) fn guess(target: Option<&str>, version: Option<&str>) -> Self {
        match (target, version) {
            (Some(target), _) => {
                let prefix = target.split('.').next().unwrap_or_default();
                SERVICES.iter().find(|service| service.speaks == prefix).map_or(SQS, |service| service.style)
            }
            (None, Some("2016-11-15")) => Self::Ec2,
            (None, _) => STS,
        }
    }
}

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    /// As signatures name it.
    pub(super) name: &'static str,
    /// How it is spoken to.
    pub(super) style: Style,
    /// The version of a query API, or what stands before the action in X-Amz-Target.
    pub(super) speaks: &'static str,
    /// Which regions' signatures it takes.
    pub(super) reach: Reach,
}

/// Which regions a service is in, as far as the rehearsal cloud has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Each region has its own, of which there is the world's.
    Here,
    /// Each region of the world's partition has its own.
    Regions,
    /// One for the whole partition.
    Partition,
}

const SQS: Style = Style::Json { version: "1.0", errors: "com.amazonaws.sqs#" };
const STS: Style = Style::Query { namespace: "https://sts.amazonaws.com/doc/2011-06-15/" };

/// All of them.
const SERVICES: &[Service] = &[
    Service { name: "ec2", style: Style::Ec2, speaks: "2016-11-15", reach: Reach::Regions },
    Service { name: "sqs", style: SQS, speaks: "AmazonSQS", reach: Reach::Here },
    Service { name: "sts", style: STS, speaks: "2011-06-15", reach: Reach::Here },
    Service { name: "s3", style: Style::S3, speaks: "", reach: Reach::Regions },
    Service {
        name: "autoscaling",
        style: Style::Query { namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/" },
        speaks: "2011-01-01",
        reach: Reach::Here,
    },
    Service {
        name: "pricing",
        style: Style::Json { version: "1.1", errors: "" },
        speaks: "AWSPriceListService",
        reach: Reach::Partition,
    },
    Service {
        name: "iam",
        style: Style::Query { namespace: "https://iam.amazonaws.com/doc/2010-05-08/" },
        speaks: "2010-05-08",
        reach: Reach::Partition,
    },
    Service {
        name: "kms",
        style: Style::Json { version: "1.1", errors: "" },
        speaks: "TrentService",
        reach: Reach::Regions,
    },
    Service {
        name: "servicequotas",
        style: Style::Json { version: "1.1", errors: "" },
        speaks: "ServiceQuotasV20190624",
        reach: Reach::Here,
    },
];

impl Service {
    /// The service of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        SERVICES.iter().find(|service| service.name == name)
    }

    /// Every name, for people.
    pub(super) fn names() -> String {
        SERVICES.iter().map(|service| service.name).collect::<Vec<_>>().join(", ")
    }
}
