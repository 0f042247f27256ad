//! Tests of the gate: each rule by itself, and random worlds against their ground truth.

use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn ours(id: &str) -> Candidate {
    let tags = Tags::default().with(tags::FLEET, "crawl").with(tags::INTENT, "fwknown");
    Candidate { id: id.to_owned(), tags, termination_protected: false }
}

fn facts(candidates: Vec<Candidate>) -> GateFacts {
    GateFacts {
        account: "123456789012".into(),
        caller: "123456789012".into(),
        region: "us-east-1".into(),
        read_region: "us-east-1".into(),
        fleet: "crawl".into(),
        now: at(60),
        read_at: at(0),
        candidates,
        known_intents: ["fwknown".to_owned()].into(),
        made: Made::default(),
        expired_only: false,
        template: Some("i-template".into()),
        blast_radius: 10,
        claim_held: true,
    }
}

fn passed(facts: &GateFacts) -> Vec<String> {
    decide(facts).unwrap().owned.map(|owned| owned.ids().to_vec()).unwrap_or_default()
}

/// What is ours goes through as long as nothing is changed; the change makes it refused altogether.
fn refused_when(reason: &Reason, change: impl Fn(&mut GateFacts)) {
    let mut facts = facts(vec![ours("i-1"), ours("i-2")]);
    assert_eq!(passed(&facts), ["i-1", "i-2"]);
    change(&mut facts);
    assert_eq!(decide(&facts), Err(Refusal { reason: reason.clone(), count: facts.candidates.len() }));
}

/// The change to one candidate keeps it back, and only it.
fn kept_when(reason: &Reason, change: impl Fn(&mut Candidate)) {
    let mut facts = facts(vec![ours("i-1"), ours("i-2")]);
    change(&mut facts.candidates[1]);
    let id = facts.candidates[1].id.clone();
    assert_eq!(passed(&facts), ["i-1"]);
    assert_eq!(decide(&facts).unwrap().kept, [(id, reason.clone())]);
}

#[test]
fn an_empty_list_is_refused_since_some_apis_take_it_for_everything() {
    refused_when(&Reason::Empty, |facts| facts.candidates.clear());
}

#[test]
fn another_account_or_region_is_refused() {
    refused_when(&Reason::OtherAccount, |facts| facts.caller = "210987654321".into());
    refused_when(&Reason::OtherRegion, |facts| facts.read_region = "us-west-2".into());
}

#[test]
fn tags_older_than_a_minute_or_from_the_future_are_refused() {
    refused_when(&Reason::Stale, |facts| facts.now = at(61));
    refused_when(&Reason::Stale, |facts| facts.read_at = at(61));
}

#[test]
fn nothing_is_ended_without_the_claim() {
    refused_when(&Reason::NoClaim, |facts| facts.claim_held = false);
}

#[test]
fn more_than_the_blast_radius_is_refused_altogether() {
    refused_when(&Reason::BlastRadius, |facts| facts.blast_radius = 1);
    let mut at_the_edge = facts(vec![ours("i-1"), ours("i-2")]);
    at_the_edge.blast_radius = 2;
    assert_eq!(passed(&at_the_edge).len(), 2);
}

#[test]
fn what_does_not_carry_exactly_our_tag_is_kept() {
    for other in ["craw", "crawler", "Crawl", "crawl ", " crawl", "", "crawl-2"] {
        kept_when(&Reason::NotOurs, |candidate| candidate.tags = candidate.tags.clone().with(tags::FLEET, other));
    }
    kept_when(&Reason::NotOurs, |candidate| {
        candidate.tags = Tags::default().with("Fleetwright:Fleet", "crawl").with(tags::INTENT, "fwknown");
    });
}

#[test]
fn what_no_journal_knows_is_kept() {
    for unknown in ["fwother", "fwknow", "fwknown2", ""] {
        kept_when(&Reason::UnknownIntent, |candidate| {
            candidate.tags = candidate.tags.clone().with(tags::INTENT, unknown);
        });
    }
    kept_when(&Reason::UnknownIntent, |candidate| {
        candidate.tags = Tags::default().with(tags::FLEET, "crawl");
    });
}

#[test]
fn a_host_that_the_call_in_its_tags_did_not_make_is_kept() {
    let group = |name: &str| ours("i-3").tags.with(tags::GROUP, name);
    let through = |id: &str, tags: Tags, made: &[&str]| {
        let mut facts = facts(vec![Candidate { id: id.to_owned(), tags, termination_protected: false }]);
        facts.made.by_intent = [("fwknown".to_owned(), made.iter().map(|id| (*id).to_owned()).collect())].into();
        !passed(&facts).is_empty()
    };
    assert!(through("i-3", ours("i-3").tags, &["i-2", "i-3"]));
    assert!(!through("i-3", ours("i-3").tags, &["i-2"]));
    assert!(!through("i-3", ours("i-3").tags, &[]), "a call that makes no hosts");
    assert!(through("vol-3", ours("i-3").tags, &["i-2"]), "nobody is told which volumes a launch makes");
    assert!(through("i-3", group("fleetwright-crawl"), &[]), "its group made it");
    assert!(!through("i-3", group("fleetwright-crawler"), &[]));
    let mut seen = facts(vec![ours("i-3")]);
    seen.made = Made { by_intent: [("fwknown".to_owned(), ["i-2".to_owned()].into())].into(), ..Made::default() };
    assert!(passed(&seen).is_empty());
    seen.made.seen.insert("i-3".to_owned());
    assert_eq!(passed(&seen), ["i-3"], "it was seen to come up");
}

#[test]
fn an_orphan_is_past_its_end() {
    let ends = |end: &str| {
        let mut facts = facts(vec![ours("i-1")]);
        facts.expired_only = true;
        facts.candidates[0].tags = facts.candidates[0].tags.clone().with(tags::EXPIRES, end);
        passed(&facts)
    };
    assert_eq!(ends(&at(60).to_string()), ["i-1"]);
    for end in [at(61).to_string(), "yesterday".to_owned(), String::new()] {
        assert!(ends(&end).is_empty(), "{end}");
    }
    let mut endless = facts(vec![ours("i-1")]);
    assert_eq!(passed(&endless), ["i-1"]);
    endless.expired_only = true;
    assert!(passed(&endless).is_empty());
}

#[test]
fn the_template_and_whatever_is_protected_are_kept() {
    kept_when(&Reason::Template, |candidate| candidate.id = "i-template".to_owned());
    for value in ["true", "false", ""] {
        kept_when(&Reason::Protected, |candidate| {
            candidate.tags = candidate.tags.clone().with(tags::PROTECT, value);
        });
    }
    kept_when(&Reason::TerminationProtected, |candidate| candidate.termination_protected = true);
}

#[test]
fn an_id_named_twice_is_ended_once() {
    assert_eq!(
        passed(&facts(vec![ours("i-2"), ours("i-1"), ours("i-2")])),
        ["i-2", "i-1"],
        "in the order in which they were named"
    );
}

#[test]
fn chunks_are_the_same_ids() {
    let facts = facts((0..5).map(|n| ours(&format!("i-{n}"))).collect());
    let owned = decide(&facts).unwrap().owned.unwrap();
    let chunks = owned.chunks(2);
    assert_eq!(chunks.iter().map(|chunk| chunk.ids().len()).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(chunks.iter().flat_map(|chunk| chunk.ids().to_vec()).collect::<Vec<_>>(), owned.ids());
    assert_eq!(owned.chunks(0).len(), 5, "a chunk holds at least one");
}

#[test]
fn a_refusal_says_how_much_and_why() {
    let refusal = Refusal { reason: Reason::NoClaim, count: 3 };
    assert_eq!(refusal.to_string(), "refused to end 3 things: another run holds the fleet");
    assert_eq!(serde_json::to_value(Reason::UnknownIntent).unwrap(), "unknown-intent");
}

/// A world in which everything is as it should be but for one reason; none for a reason that is no rule of [`decide`].
fn world(reason: &Reason) -> Option<GateFacts> {
    let mut facts = facts(vec![ours("i-1")]);
    let thing = &mut facts.candidates[0];
    match reason {
        Reason::Empty => facts.candidates.clear(),
        Reason::OtherAccount => facts.caller = "210987654321".into(),
        Reason::OtherRegion => facts.read_region = "us-west-2".into(),
        Reason::Stale => facts.now = at(61),
        Reason::NoClaim => facts.claim_held = false,
        Reason::BlastRadius => facts.blast_radius = 0,
        Reason::NotOurs => thing.tags = thing.tags.clone().with(tags::FLEET, "crawler"),
        Reason::Template => facts.template = Some("i-1".into()),
        Reason::Protected => thing.tags = thing.tags.clone().with(tags::PROTECT, ""),
        Reason::TerminationProtected => thing.termination_protected = true,
        Reason::UnknownIntent => facts.known_intents.clear(),
        Reason::Copied => facts.made.by_intent = [("fwknown".to_owned(), ["i-2".to_owned()].into())].into(),
        Reason::NotExpired => facts.expired_only = true,
        Reason::OtherGroup => return None,
    }
    Some(facts)
}

/// Which reasons these rules give against a world.
fn against(whole: &[Whole], each: &[Each], facts: &GateFacts) -> Vec<Reason> {
    match by(whole, each, facts) {
        Ok(passed) => passed.kept.into_iter().map(|(_, reason)| reason).collect(),
        Err(refusal) => vec![refusal.reason],
    }
}

/// Takes every rule away in turn. Each has a world that it alone keeps closed: with all rules it is refused for this reason,
/// without this one nothing is left against it. So no rule can be lost, and none stands in another's place.
#[test]
fn no_rule_can_be_taken_away() {
    let reasons: Vec<Reason> =
        WHOLE.iter().map(|(reason, _)| reason.clone()).chain(EACH.iter().map(|(reason, _)| reason.clone())).collect();
    assert_eq!(reasons.iter().filter_map(world).count(), WHOLE.len() + EACH.len());
    for reason in &reasons {
        let closed = world(reason).unwrap();
        assert_eq!(against(&WHOLE, &EACH, &closed), std::slice::from_ref(reason));
        let whole: Vec<Whole> = WHOLE.into_iter().filter(|(one, _)| one != reason).collect();
        let each: Vec<Each> = EACH.into_iter().filter(|(one, _)| one != reason).collect();
        assert_eq!(whole.len() + each.len() + 1, reasons.len(), "{reason:?} is one rule");
        assert_eq!(against(&whole, &each, &closed), [], "without {reason:?}");
        // What the rule held back goes through, where anything was asked for.
        let through = by(&whole, &each, &closed).unwrap().owned.map_or(0, |owned| owned.ids().len());
        assert_eq!(through, closed.candidates.len(), "without {reason:?}");
    }
}

/// Every reason that the gate knows is a rule of it, or of the part about groups: one that is in neither table was lost.
#[test]
fn every_reason_is_a_rule() {
    let all = [
        Reason::Empty,
        Reason::OtherAccount,
        Reason::OtherRegion,
        Reason::Stale,
        Reason::NoClaim,
        Reason::BlastRadius,
        Reason::NotOurs,
        Reason::UnknownIntent,
        Reason::Copied,
        Reason::NotExpired,
        Reason::OtherGroup,
        Reason::Template,
        Reason::Protected,
        Reason::TerminationProtected,
    ];
    for reason in &all {
        let rule = WHOLE.iter().any(|(one, _)| one == reason) || EACH.iter().any(|(one, _)| one == reason);
        assert_eq!(rule, world(reason).is_some(), "{reason:?}");
    }
}

mod worlds;
