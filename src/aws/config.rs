//! One set of clients for one account and region: shared configuration, no retries, bounded time.

use super::classify::chain;
use super::hooks::{Counter, Named, WholeAnswer};
use super::transport::Transport;
use crate::model::{Caller, Fault, FaultKind, Region, RunId};
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, FrameworkMetadata, SdkConfig};
use aws_sdk_sts::config::ProvideCredentials;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Longest wait for a TCP and TLS connection (the SDK's own default, set here so that it stays).
const CONNECT: Duration = Duration::from_millis(3100);
/// Longest wait for one answer; the SDK has no default.
const ATTEMPT: Duration = Duration::from_secs(30);
/// CreateFleet of type `instant` answers only after it has tried every pool.
const FLEET_ATTEMPT: Duration = Duration::from_secs(90);

/// What the command line says about AWS; whatever is absent comes from the SDK's own environment and files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// Profile of `~/.aws/config`, as `AWS_PROFILE`.
    pub profile: Option<String>,
    /// Region, as `AWS_REGION`.
    pub region: Option<Region>,
    /// Endpoint of every service, as `AWS_ENDPOINT_URL`.
    pub endpoint_url: Option<String>,
}

/// One client of each kind, built when first used. Clones share them.
#[derive(Clone, Debug)]
pub struct Clients {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: SdkConfig,
    region: Region,
    /// The fleet's own region, where this is another.
    home: Option<Region>,
    counter: Counter,
    named: Named,
    caller: OnceCell<Caller>,
    built: Built,
}

/// Each client, once somebody asked for it.
#[derive(Debug, Default)]
struct Built {
    autoscaling: OnceLock<aws_sdk_autoscaling::Client>,
    ec2: OnceLock<aws_sdk_ec2::Client>,
    sqs: OnceLock<aws_sdk_sqs::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    pricing: OnceLock<aws_sdk_pricing::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    kms: OnceLock<aws_sdk_kms::Client>,
    quotas: OnceLock<aws_sdk_servicequotas::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
}

impl Clients {
    /// Reads the SDK's environment and files; makes no call to AWS. Credentials are resolved by the first call, and again
    /// whenever they expire.
    ///
    /// # Errors
    ///
    /// `Invalid` when no region is configured anywhere.
    pub async fn connect(settings: &AwsSettings) -> Result<Self, Fault> {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
        if let Some(profile) = &settings.profile {
            // Said on the command line, it is stronger than keys in the environment, as in the AWS CLI; one that does not
            // exist is an error and no reason to look elsewhere.
            let named = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(named);
        }
        if let Some(region) = &settings.region {
            loader = loader.region(aws_config::Region::new(region.to_string()));
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        Self::load(loader.http_client(Transport::new(|name| std::env::var_os(name))?)).await
    }

    /// Adds what holds for every client and loads the rest.
    pub(super) async fn load(loader: ConfigLoader) -> Result<Self, Fault> {
        let mut loader = loader
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build(),
            )
            // The attempt's time-out bounds a stalled answer; a second clock would only give it a second name.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Ok(version) = FrameworkMetadata::new("fleetwright", Some(env!("CARGO_PKG_VERSION"))) {
            loader = loader.framework_metadata(version);
        }
        let config = Box::pin(loader.load()).await;
        let Some(region) = config.region().map(|region| Region::new(region.as_ref())) else {
            return Err(Fault {
                kind: FaultKind::Invalid,
                action: "Configure".to_owned(),
                code: "no-region".to_owned(),
                message: "no region is configured".to_owned(),
                reason: "name the region in fleet.yaml, with --region, or with AWS_REGION".to_owned(),
                request_id: None,
            });
        };
        let shared = Shared {
            config,
            region,
            home: None,
            counter: Counter::default(),
            named: Named::default(),
            caller: OnceCell::new(),
            built: Built::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The region that all calls go to.
    pub fn region(&self) -> &Region {
        &self.shared.region
    }

    /// The clients of another region, with the same credentials, counts and run. What they list of a fleet's images and
    /// snapshots is what was copied there from this region.
    #[must_use]
    pub fn in_region(&self, region: &Region) -> Self {
        let Shared { config, counter, named, caller, .. } = &*self.shared;
        if *region == self.shared.region {
            return self.clone();
        }
        let shared = Shared {
            config: config.to_builder().region(aws_config::Region::new(region.to_string())).build(),
            region: region.clone(),
            home: Some(self.shared.home.clone().unwrap_or_else(|| self.shared.region.clone())),
            counter: counter.clone(),
            named: named.clone(),
            caller: caller.clone(),
            built: Built::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The fleet's own region, where these are the clients of another.
    pub(super) fn home(&self) -> Option<&Region> {
        self.shared.home.as_ref()
    }

    /// From now on every call bears the run in its user agent (`app/fleetwright-<run>`), which CloudTrail keeps.
    pub fn within(&self, run: RunId) {
        self.shared.named.within(run);
    }

    /// Calls sent so far, by action.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.counter.counts()
    }

    /// Whose credentials these are, once it was asked.
    pub(super) fn whose(&self) -> &OnceCell<Caller> {
        &self.shared.caller
    }

    pub(super) fn autoscaling(&self) -> &aws_sdk_autoscaling::Client {
        self.shared.built.autoscaling.get_or_init(|| {
            let config = aws_sdk_autoscaling::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_autoscaling::Client::from_conf(config.build())
        })
    }

    pub(super) fn ec2(&self) -> &aws_sdk_ec2::Client {
        self.shared.built.ec2.get_or_init(|| {
            let config = aws_sdk_ec2::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_ec2::Client::from_conf(config.build())
        })
    }

    pub(super) fn sqs(&self) -> &aws_sdk_sqs::Client {
        self.shared.built.sqs.get_or_init(|| {
            let config = aws_sdk_sqs::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_sqs::Client::from_conf(config.build())
        })
    }

    pub(super) fn sts(&self) -> &aws_sdk_sts::Client {
        self.shared.built.sts.get_or_init(|| {
            let config = aws_sdk_sts::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_sts::Client::from_conf(config.build())
        })
    }

    /// The Price List API in a region that has it, always the same one.
    pub(super) fn pricing(&self, region: &'static str) -> &aws_sdk_pricing::Client {
        self.shared.built.pricing.get_or_init(|| {
            let config = aws_sdk_pricing::config::Builder::from(&self.shared.config);
            let config = config.region(aws_config::Region::new(region));
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_pricing::Client::from_conf(config.build())
        })
    }

    pub(super) fn iam(&self) -> &aws_sdk_iam::Client {
        self.shared.built.iam.get_or_init(|| {
            let config = aws_sdk_iam::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_iam::Client::from_conf(config.build())
        })
    }

    pub(super) fn kms(&self) -> &aws_sdk_kms::Client {
        self.shared.built.kms.get_or_init(|| {
            let config = aws_sdk_kms::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_kms::Client::from_conf(config.build())
        })
    }

    pub(super) fn servicequotas(&self) -> &aws_sdk_servicequotas::Client {
        self.shared.built.quotas.get_or_init(|| {
            let config = aws_sdk_servicequotas::config::Builder::from(&self.shared.config);
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_servicequotas::Client::from_conf(config.build())
        })
    }

    /// S3; at an endpoint of one's own, which has no name for each bucket, the bucket is in the path.
    pub(super) fn s3(&self) -> &aws_sdk_s3::Client {
        self.shared.built.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.shared.config);
            let config = config.force_path_style(self.shared.config.endpoint_url().is_some());
            let config = config.interceptor(self.shared.counter.clone()).interceptor(self.shared.named.clone());
            let config = config.interceptor(WholeAnswer);
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }

    /// Until when the credentials hold; none for those that do not end.
    ///
    /// # Errors
    ///
    /// `Denied` when there are none.
    pub async fn session_end(&self) -> Result<Option<Timestamp>, Fault> {
        let lacking = |message: String| Fault {
            kind: FaultKind::Denied,
            action: "Configure".to_owned(),
            code: "no-credentials".to_owned(),
            message,
            reason: "log in (aws sso login), or name a profile with --profile or AWS_PROFILE".to_owned(),
            request_id: None,
        };
        let Some(provider) = self.shared.config.credentials_provider() else {
            return Err(lacking("no credentials are configured".to_owned()));
        };
        let credentials = provider.provide_credentials().await.map_err(|error| lacking(chain(&error)))?;
        Ok(credentials.expiry().and_then(|end| Timestamp::try_from(end).ok()))
    }

    /// The time-outs of CreateFleet.
    pub(super) fn patient() -> aws_sdk_ec2::config::Builder {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(FLEET_ATTEMPT);
        aws_sdk_ec2::config::Builder::new().timeout_config(timeouts.build())
    }
}
