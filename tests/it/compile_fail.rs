//! What must not compile: whoever ends things can't make up the right to do so.

#[test]
fn owned_ids_and_permits_are_issued_and_never_made_up() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
