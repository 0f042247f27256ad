//! Service Quotas, as far as it is read: EC2's vCPU quotas.

use super::api::{ApiError, Call, Handled, Payload, Reply};
use super::faults::Quotas;
use super::partition;
use super::seed::Seed;
use serde_json::{Value, json};

/// The market that a quota is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    OnDemand,
    Spot,
}

/// Codes, names, markets and CloudWatch classes, as Service Quotas lists them for EC2.
const KNOWN: &[(&str, &str, For, &str)] = &[
    ("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", For::OnDemand, "Standard"),
    ("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", For::Spot, "Standard"),
    ("L-DB2E81BA", "Running On-Demand G and VT instances", For::OnDemand, "G"),
    ("L-3819A6DF", "All G and VT Spot Instance Requests", For::Spot, "G"),
    ("L-417A185B", "Running On-Demand P instances", For::OnDemand, "P"),
    ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", For::Spot, "P"),
    ("L-7295265B", "Running On-Demand X instances", For::OnDemand, "X"),
    ("L-E3A00192", "All X Spot Instance Requests", For::Spot, "X"),
];

/// Answers a call. Every family has the figure of its market: the world counts no families.
pub(crate) fn handle(call: &Call, seed: &Seed, quotas: &Quotas) -> Handled {
    let Payload::Json(input) = &call.payload else {
        return Err(ApiError::new("SerializationException", "Service Quotas is spoken to in AWS JSON 1.1"));
    };
    if call.action != "GetServiceQuota" {
        return Err(ApiError::new(
            "UnknownOperationException",
            format!("the rehearsal cloud's Service Quotas has no {}: quotas are only read", call.action),
        ));
    }
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
    let (service, code) = (text("ServiceCode"), text("QuotaCode"));
    let known = KNOWN.iter().find(|(known, ..)| service == "ec2" && *known == code);
    let Some((code, name, market, class)) = known else {
        let message = "The request failed because the specified quota does not exist.";
        return Err(ApiError::new("NoSuchResourceException", message));
    };
    let (value, kind) = match market {
        For::OnDemand => (quotas.on_demand_vcpus.unwrap_or(seed.on_demand_vcpus), "OnDemand"),
        For::Spot => (quotas.spot_vcpus.unwrap_or(seed.spot_vcpus), "Spot"),
    };
    let partition = partition::of(&seed.region);
    let body = json!({"Quota": {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": format!("arn:{partition}:servicequotas:{}:{}:ec2/{code}", seed.region, seed.account),
        "QuotaCode": code,
        "QuotaName": name,
        "Value": f64::from(value),
        "Unit": "None",
        "Adjustable": true,
        "GlobalQuota": false,
        "UsageMetric": {
            "MetricNamespace": "AWS/Usage",
            "MetricName": "ResourceCount",
            "MetricDimensions": {
                "Class": format!("{class}/{kind}"), "Resource": "vCPU", "Service": "EC2", "Type": "Resource",
            },
            "MetricStatisticRecommendation": "Maximum",
        },
        "QuotaAppliedAtLevel": "ACCOUNT",
    }});
    Ok(Reply { body: body.to_string(), ..Reply::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn quotas_are_the_seeds_or_the_scripts() {
        let ask = |quotas: Quotas, service: &str, code: &str| {
            let call = Call {
                service: "servicequotas".to_owned(),
                region: "us-east-1".to_owned(),
                action: "GetServiceQuota".to_owned(),
                payload: Payload::Json(json!({"ServiceCode": service, "QuotaCode": code})),
                principal: "AKIA".to_owned(),
                now: Timestamp::UNIX_EPOCH,
                request_id: "r".to_owned(),
            };
            let reply = handle(&call, &crate::rehearse::world::plain(""), &quotas).map_err(|error| error.code)?;
            let body: Value = serde_json::from_str(&reply.body).expect("JSON");
            Ok::<_, String>(body["Quota"]["Value"].as_f64().expect("a number"))
        };
        let script = Quotas { spot_vcpus: Some(8), ..Quotas::default() };
        assert_eq!(ask(script, "ec2", "L-34B43A08"), Ok(8.0));
        assert_eq!(ask(script, "ec2", "L-1216C47A"), Ok(1_000_000.0));
        assert_eq!(ask(script, "ec2", "L-00000000"), Err("NoSuchResourceException".to_owned()));
        assert_eq!(ask(script, "sqs", "L-1216C47A"), Err("NoSuchResourceException".to_owned()));
    }
}
