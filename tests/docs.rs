//! `docs/reference/conditions.md` has a section for each condition and each reason, and links between pages lead somewhere.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

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

/// The pages of a folder and its subfolders.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let all = entries.flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The text of a page without its fenced blocks.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a page");
    text.split("```").step_by(2).collect()
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn links_between_pages_lead_to_files_and_headings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = pages(&root.join("docs"));
    pages.push(root.join("README.md"));
    let mut broken = vec![];
    for page in &pages {
        for link in
            prose(page).split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link.to_owned()))
        {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name("").join(file) };
            let found = target.exists()
                && (heading.is_empty()
                    || prose(&target)
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == heading));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
