//! `docs/reference/conditions.md` has a section for each condition and each reason.

use std::{collections::BTreeMap, fs, path::Path};

use computing_unit_api::{ConditionType, Reason};

/// Heading of the last section, which has the reasons that the operator passes on.
const OTHER_COMPONENTS: &str = "## Reasons of other components";

fn conditions() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/conditions.md");
    fs::read_to_string(path).expect("the reference of conditions exists")
}

/// The number of headings for each name.
fn headings(text: &str) -> BTreeMap<&str, usize> {
    let mut headings = BTreeMap::new();
    for heading in text.lines().filter_map(|line| line.strip_prefix("### ")) {
        *headings.entry(heading).or_default() += 1;
    }
    headings
}

#[test]
fn every_reason_has_one_heading() {
    let text = conditions();
    let (own, _) = text.split_once(OTHER_COMPONENTS).expect("the last section exists");
    let documented = headings(own);
    let reasons = Reason::ALL.iter().map(|reason| (reason.as_str(), 1)).collect();
    assert_eq!(documented, reasons);
}

#[test]
fn reason_of_another_component_is_not_one_of_the_operator() {
    let text = conditions();
    let (_, others) = text.split_once(OTHER_COMPONENTS).expect("the last section exists");
    let own: Vec<_> = headings(others).into_keys().filter(|heading| Reason::parse(heading).is_some()).collect();
    assert_eq!(own, [""; 0]);
}

#[test]
fn every_condition_type_has_a_section() {
    let text = conditions();
    let missing: Vec<_> = ConditionType::ALL
        .iter()
        .filter(|type_| {
            let heading = format!("ondition `{type_}`");
            !text.lines().any(|line| line.starts_with("## ") && line.ends_with(&heading))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
