//! Soak: a cloud in which nearly everything goes wrong now and then. Launch, scale and down come out right all the same, with
//! few more calls than on a quiet day. `FLEETWRIGHT_SOAK=200` runs so many seeds (tests/crash/soak.sh).

use crate::env::{Cloud, IMAGE};
use crate::matrix::truth::{assert_foreign_untouched, ours, peak, things};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

const SPEC: &str = "tests/specs/it/five.yaml";
/// World seconds per second, beside the leaps to what is waited for: how many calls there are must not depend on how long each
/// takes on this machine.
const SPEED: u32 = 1;
/// The same command may be needed again when its patience was over before the weather was.
const TRIES: usize = 3;
/// Seeds of continuous integration.
const FEW: u64 = 2;

/// 20 % throttled; 5 % 5xx and 2 % resets, half of them after the commit; 1 % of the answers cut or garbled; visibility up to
/// five minutes late; about one in ten pools dry.
fn weather(seed: u64) -> Value {
    let error = |share: u32, point: &str, code: &str| {
        json!({ "action": "*", "service": "ec2", "times": null, "share_percent": share, "point": point,
                "do": { "error": { "code": code, "status": 503 } } })
    };
    let wire = |point: &str, what: &str| json!({ "action": "*", "service": "ec2", "times": null, "share_percent": 1, "point": point, "do": what });
    let spoilt = ["cut", "cut-clean", "garble"][usize::try_from(seed % 3).unwrap()];
    // Shares are whole: 3 % and 2 % in turn.
    let (before, after) = if seed.is_multiple_of(2) { (3, 2) } else { (2, 3) };
    let pool = |n: u64| {
        let pick = |bit: u64, one: &str, other: &str| if n >> bit & 1 == 0 { one.to_owned() } else { other.to_owned() };
        json!({ "instance_type": pick(0, "m7i.large", "m6i.large"), "zone": pick(1, "us-east-1a", "us-east-1b"),
                "market": pick(2, "spot", "on-demand") })
    };
    json!({
        "rules": [
            error(20, "before-commit", "RequestLimitExceeded"),
            error(before, "before-commit", "InternalError"),
            error(after, "after-commit", "InternalError"),
            wire("before-commit", "reset"),
            wire("after-commit", "reset"),
            wire("after-commit", spoilt),
        ],
        "lag_seconds": 300,
        "empty_pools": [pool(seed % 8)],
    })
}

/// What three verbs came to: calls of ours, runs of the binary, and what is wrong.
#[derive(Debug)]
struct Soaked {
    calls: BTreeMap<&'static str, usize>,
    runs: usize,
}

fn soak(seed: u64, faults: &Value) -> Soaked {
    let cloud = Cloud::seeded(SPEC, SPEED, faults, "none", seed).leaping();
    let foreign = things(&cloud.world());
    let (mut calls, mut runs) = (BTreeMap::new(), 0);
    let scale = ["scale", "8", "--unattested", "--image", IMAGE, "--until", "running"];
    let back = ["scale", "3", "--unattested", "--image", IMAGE, "--until", "running"];
    let launch = ["launch", "--unattested", "--image", IMAGE, "--until", "running"];
    let verbs: [(&str, &[&str], usize); 4] =
        [("launch", &launch, 5), ("scale 8", &scale, 8), ("scale 3", &back, 3), ("down", &["down"], 0)];
    for (name, verb, alive) in verbs {
        let before = cloud.audit().len();
        let mut talk = Vec::new();
        loop {
            runs += 1;
            let output = cloud.cli("laptop", verb).output().unwrap();
            talk.push(format!("exit {:?}: {}", output.status.code(), String::from_utf8_lossy(&output.stderr)));
            if output.status.success() {
                break;
            }
            let again = matches!(output.status.code(), Some(4 | 6 | 10)) && talk.len() < TRIES;
            assert!(again, "seed {seed}, {name}: {}", talk.join("\n"));
        }
        calls.insert(name, cloud.audit().len() - before);
        let now = things(&cloud.world());
        assert_foreign_untouched(&foreign, &now);
        assert_eq!(ours(&foreign, &now).hosts.len(), alive, "seed {seed}, {name}: {}", talk.join("\n"));
    }
    let left = ours(&foreign, &things(&cloud.world()));
    assert_eq!((left.templates.len(), peak(&cloud)), (0, 8), "seed {seed}");
    Soaked { calls, runs }
}

fn sum(soaked: &Soaked) -> usize {
    soaked.calls.values().sum()
}

#[expect(clippy::print_stdout, reason = "what the script is run for")]
#[test]
fn everything_converges_in_bad_weather() {
    let told = std::env::var("FLEETWRIGHT_SOAK").ok().map(|n| n.parse::<u64>().unwrap());
    let quiet = soak(0, &json!({}));
    println!("quiet: {} calls {:?}", sum(&quiet), quiet.calls);
    let (next, results) = (Mutex::new(1..=told.unwrap_or(FEW)), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = next.lock().unwrap().next() else { return };
                    let soaked = std::panic::catch_unwind(|| soak(seed, &weather(seed)));
                    match &soaked {
                        Ok(soaked) => println!(
                            "seed {seed}: {} calls, {:.2} of a quiet day's, {} runs for 4 verbs {:?}",
                            sum(soaked),
                            ratio(soaked, &quiet),
                            soaked.runs,
                            soaked.calls
                        ),
                        Err(_) => println!("seed {seed}: FAILED"),
                    }
                    results.lock().unwrap().insert(seed, soaked.ok());
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let failed: Vec<&u64> = results.iter().filter(|(_, soaked)| soaked.is_none()).map(|(seed, _)| seed).collect();
    assert!(failed.is_empty(), "seeds {failed:?} did not converge");
    let dear = results.iter().filter(|(_, soaked)| soaked.as_ref().is_some_and(|soaked| ratio(soaked, &quiet) > 3.0));
    let dear: Vec<&u64> = dear.map(|(seed, _)| seed).collect();
    assert!(dear.is_empty(), "seeds {dear:?} made more than three times the calls of a quiet day");
}

#[expect(clippy::cast_precision_loss, reason = "hundreds of calls")]
fn ratio(soaked: &Soaked, quiet: &Soaked) -> f64 {
    sum(soaked) as f64 / sum(quiet) as f64
}
