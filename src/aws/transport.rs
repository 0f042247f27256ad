//! How bytes get to AWS, and to those that are told how a verb ended: through the proxy that the environment names, though
//! never to this machine itself, and trusting the certificates of AWS_CA_BUNDLE where it is set.
//!
//! HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are read as the SDK reads them. Beyond that, loopback (the rehearsal
//! cloud) and link-local addresses (the metadata services of EC2 and ECS, where credentials come from) never go through a
//! proxy: none could reach what is meant.

use crate::model::{Fault, FaultKind};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Connect and read time-outs: what connectors differ by.
type Timeouts = (Option<Duration>, Option<Duration>);

/// The HTTP client of all services; its connections are shared by all that have the same time-outs.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    tls: TlsContext,
    connectors: Arc<Mutex<HashMap<Timeouts, SharedHttpConnector>>>,
}

impl Transport {
    /// Reads AWS_CA_BUNDLE: like the aws CLI, its certificates take the place of the system's.
    ///
    /// # Errors
    ///
    /// `Invalid` when the file can't be read or has no certificate in it.
    pub(super) fn new(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Fault> {
        let trust = match bundle(env)? {
            Some(pem) => TrustStore::empty().with_pem_certificate(pem),
            None => TrustStore::default(),
        };
        Ok(Self { tls: context(trust), connectors: Arc::default() })
    }
}

fn context(trust: TrustStore) -> TlsContext {
    TlsContext::builder().with_trust_store(trust).build().unwrap_or_default()
}

/// The certificates that AWS_CA_BUNDLE names.
fn bundle(env: impl Fn(&str) -> Option<OsString>) -> Result<Option<Vec<u8>>, Fault> {
    let Some(file) = env("AWS_CA_BUNDLE").filter(|file| !file.is_empty()) else { return Ok(None) };
    let wrong = |message: String| Fault {
        kind: FaultKind::Invalid,
        action: "Configure".to_owned(),
        code: "ca-bundle".to_owned(),
        message: format!("AWS_CA_BUNDLE names {}: {message}", file.display()),
        reason: "name a file of PEM certificates, or unset AWS_CA_BUNDLE to trust the system's".to_owned(),
        request_id: None,
    };
    let pem = std::fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match certificates.map_err(|error| wrong(error.to_string()))?.len() {
        0 => Err(wrong("no certificate is in it".to_owned())),
        _ => Ok(Some(pem)),
    }
}

/// Posts JSON to somebody who is not AWS, and answers with the status. There a bundle's certificates are trusted beside the
/// system's: a proxy that opens TLS is believed, and so is everybody else.
///
/// # Errors
///
/// Why there was no answer: the innermost cause alone, since those around it may repeat the address.
pub(super) async fn post(address: &str, body: &str) -> Result<u16, String> {
    let mut trust = TrustStore::default();
    if let Some(pem) = bundle(|name| std::env::var_os(name)).map_err(|fault| fault.message)? {
        trust.add_pem_certificate(pem);
    }
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST").map_err(|error| error.to_string())?;
    request.set_uri(address).map_err(|_| "it is no address".to_owned())?;
    request.headers_mut().insert("content-type", "application/json");
    request.headers_mut().insert("user-agent", concat!("fleetwright/", env!("CARGO_PKG_VERSION")));
    let ways = Ways::new(&context(trust), &HttpConnectorSettings::default(), None);
    match ways.call(request).await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            Err(cause.to_string())
        }
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        let connector = connectors
            .entry((settings.connect_timeout(), settings.read_timeout()))
            .or_insert_with(|| SharedHttpConnector::new(Ways::new(&self.tls, settings, Some(components))));
        connector.clone()
    }
}

/// The two ways to a host.
#[derive(Debug)]
struct Ways {
    direct: Connector,
    proxied: Connector,
}

impl Ways {
    fn new(tls: &TlsContext, settings: &HttpConnectorSettings, components: Option<&RuntimeComponents>) -> Self {
        let build = |proxy: ProxyConfig| {
            let mut builder: ConnectorBuilder<_> = Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(tls.clone())
                .connector_settings(settings.clone())
                .proxy_config(proxy);
            builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            builder.build()
        };
        Self { direct: build(ProxyConfig::disabled()), proxied: build(ProxyConfig::from_env()) }
    }
}

impl HttpConnector for Ways {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if near(request.uri()) { self.direct.call(request) } else { self.proxied.call(request) }
    }
}

/// Whether a URL is on this machine or on its own link.
fn near(url: &str) -> bool {
    let Ok(url) = url.parse::<hyper::Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        // EC2 answers for its metadata at fd00:ec2::254, ECS and EKS for credentials at fd00:ec2::23.
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unicast_link_local() || address.segments()[..3] == [0xfd00, 0xec2, 0]
        }
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_reached_directly() {
        for url in [
            "http://127.0.0.1:4566/",
            "http://127.9.8.7/",
            "http://[::1]:80/x",
            "http://localhost:1/",
            "http://LOCALHOST./",
            "http://ec2.localhost:4566",
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::254]/latest",
        ] {
            assert!(near(url), "{url}");
        }
        for url in [
            "https://ec2.us-east-1.amazonaws.com/",
            "https://10.0.0.1/",
            "https://localhost.example.com",
            "http://[fd00:ec3::254]/",
            "http://128.0.0.1/",
            "no url at all",
        ] {
            assert!(!near(url), "{url}");
        }
    }

    #[test]
    fn a_bundle_must_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let read =
            || Transport::new(|_| Some(file.clone().into_os_string())).map(|_| ()).map_err(|fault| fault.message);
        assert!(read().unwrap_err().contains("No such file"), "missing");
        std::fs::write(&file, "hello").unwrap();
        assert!(read().unwrap_err().ends_with("no certificate is in it"));
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
        assert!(read().is_err(), "garbled");
        std::fs::write(&file, rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap().cert.pem()).unwrap();
        assert_eq!(read(), Ok(()));
        assert!(Transport::new(|_| None).is_ok());
    }
}
