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
        adopt: false,
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
fn what_no_journal_knows_is_kept_unless_a_person_adopts_it() {
    for unknown in ["fwother", "fwknow", "fwknown2", ""] {
        kept_when(&Reason::UnknownIntent, |candidate| {
            candidate.tags = candidate.tags.clone().with(tags::INTENT, unknown);
        });
    }
    kept_when(&Reason::UnknownIntent, |candidate| {
        candidate.tags = Tags::default().with(tags::FLEET, "crawl");
    });
    let mut adopting = facts(vec![Candidate { tags: Tags::default().with(tags::FLEET, "crawl"), ..ours("i-1") }]);
    adopting.adopt = true;
    assert_eq!(passed(&adopting), ["i-1"]);
    adopting.candidates[0].tags = Tags::default().with(tags::FLEET, "other");
    assert!(passed(&adopting).is_empty(), "adopting does not make foreign things ours");
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
    assert_eq!(passed(&facts(vec![ours("i-2"), ours("i-1"), ours("i-2")])), ["i-1", "i-2"]);
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
    assert_eq!(refusal.to_string(), "refused to end 3 thing(s): another run holds the fleet");
    assert_eq!(serde_json::to_value(Reason::UnknownIntent).unwrap(), "unknown-intent");
}

/// A thing in a random world, and whether it is truly ours to end.
#[derive(Clone, Debug)]
enum Kind {
    Owned,
    OwnedProtected,
    OwnedTerminationProtected,
    Adoptable(Option<&'static str>),
    LookAlike(&'static str),
    Foreign,
    ForeignWithOurIntent,
    Template,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Owned),
        1 => Just(Kind::OwnedProtected),
        1 => Just(Kind::OwnedTerminationProtected),
        1 => prop_oneof![Just(None), Just(Some("fwother")), Just(Some("fwknow"))].prop_map(Kind::Adoptable),
        2 => prop_oneof![Just("crawl2"), Just("CRAWL"), Just("craw"), Just("x-crawl")].prop_map(Kind::LookAlike),
        2 => Just(Kind::Foreign),
        1 => Just(Kind::ForeignWithOurIntent),
        1 => Just(Kind::Template),
    ]
}

impl Kind {
    fn candidate(&self, n: usize) -> Candidate {
        let ours = ours(&format!("i-{n:04}"));
        let foreign = Tags::default().with("Name", "crawl").with("fleet", "crawl");
        match self {
            Self::Owned => ours,
            Self::OwnedProtected => Candidate { tags: ours.tags.clone().with(tags::PROTECT, "please"), ..ours },
            Self::OwnedTerminationProtected => Candidate { termination_protected: true, ..ours },
            Self::Adoptable(intent) => {
                let bare = Tags::default().with(tags::FLEET, "crawl");
                let tags = intent.map_or(bare.clone(), |intent| bare.with(tags::INTENT, intent));
                Candidate { tags, ..ours }
            }
            Self::LookAlike(name) => Candidate { tags: ours.tags.clone().with(tags::FLEET, *name), ..ours },
            Self::Foreign => Candidate { tags: foreign, ..ours },
            Self::ForeignWithOurIntent => Candidate { tags: foreign.with(tags::INTENT, "fwknown"), ..ours },
            Self::Template => Candidate { id: "i-template".to_owned(), ..ours },
        }
    }

    /// The ground truth, said without the gate's words.
    fn may_be_ended(&self, adopt: bool) -> bool {
        match self {
            Self::Owned => true,
            Self::Adoptable(_) => adopt,
            Self::OwnedProtected
            | Self::OwnedTerminationProtected
            | Self::LookAlike(_)
            | Self::Foreign
            | Self::ForeignWithOurIntent
            | Self::Template => false,
        }
    }
}

proptest! {
    #[test]
    fn what_goes_through_is_exactly_what_is_truly_ours(
        kinds in proptest::collection::vec(kind(), 0..24),
        adopt in any::<bool>(),
        wrong in prop_oneof![6 => Just(0_u8), 1 => 1_u8..6],
        age in 0_i64..61,
        blast_radius in 0_usize..24,
    ) {
        let mut facts = facts(kinds.iter().enumerate().map(|(n, kind)| kind.candidate(n)).collect());
        facts.adopt = adopt;
        facts.read_at = at(60 - age);
        facts.blast_radius = blast_radius;
        match wrong {
            1 => facts.caller = "999999999999".into(),
            2 => facts.read_region = "eu-west-1".into(),
            3 => facts.claim_held = false,
            4 => facts.now = at(3600),
            5 => facts.known_intents = ["fwcampaign-of-somebody-else".to_owned()].into(),
            _ => {}
        }
        let no_journal = wrong == 5 && !adopt;
        let truth: Vec<String> = kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| kind.may_be_ended(adopt) && !no_journal)
            .map(|(n, kind)| kind.candidate(n).id)
            .collect();
        match decide(&facts) {
            Ok(passed) => {
                prop_assert!(!kinds.is_empty() && !(1..=4).contains(&wrong));
                prop_assert!(truth.len() <= blast_radius);
                prop_assert_eq!(passed.owned.as_ref().map_or(&[][..], OwnedIds::ids), &truth[..]);
                prop_assert!(passed.owned.is_none_or(|owned| !owned.ids().is_empty()));
                prop_assert_eq!(passed.kept.len() + truth.len(), kinds.len());
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.count, kinds.len());
                prop_assert!(kinds.is_empty() || (1..=4).contains(&wrong) || truth.len() > blast_radius);
            }
        }
    }
}
