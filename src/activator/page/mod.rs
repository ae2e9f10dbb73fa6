//! The page that a browser gets while its unit is not reachable: the stages of the start, brought up to date by itself.
//!
//! It loads nothing, and runs nothing but the one script below, which its policy names by hash. Whatever comes from a
//! request or from a unit is escaped.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use computing_unit_api::Stages;
use sha2::{Digest, Sha256};

use super::answer::Answer;

const WAITING: &str = concat!(include_str!("head.html"), include_str!("waiting.html"));
const MISSING: &str = concat!(include_str!("head.html"), include_str!("missing.html"));
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The stages of a start: the name in the status, and what a user makes of it.
const STAGES: [(&str, &str); 5] = [
    ("accepted", "Asked for"),
    ("scheduled", "Given a place"),
    ("podReady", "Engine started"),
    ("routeAccepted", "Address set up"),
    ("reachable", "Reachable"),
];

/// What a browser may do with the page: nothing but what is in it, and to ask for its own address again.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri \
         'none'; form-action 'none'; frame-ancestors 'self'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The page for an answer about a unit, whose address is `place`.
#[must_use]
pub fn waiting(answer: &Answer, place: &str) -> String {
    let refresh =
        if answer.passes() { "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>\n" } else { "" };
    fill(
        WAITING,
        &[
            ("state", answer.state),
            ("title", &escaped(&answer.title)),
            ("refresh", refresh),
            ("detail", &escaped(&answer.detail)),
            ("no_stages", if answer.passes() { "" } else { " hidden" }),
            ("stages", &stages(&answer.stages)),
            ("place", &escaped(place)),
            ("action", answer.action),
            ("style", STYLE),
            ("script", SCRIPT),
        ],
    )
}

/// The page for an address that no unit has.
#[must_use]
pub fn missing(answer: &Answer) -> String {
    fill(
        MISSING,
        &[
            ("state", answer.state),
            ("title", &escaped(&answer.title)),
            ("refresh", ""),
            ("detail", &escaped(&answer.detail)),
            ("style", STYLE),
        ],
    )
}

fn stages(stages: &Stages) -> String {
    let passed = [&stages.accepted, &stages.scheduled, &stages.pod_ready, &stages.route_accepted, &stages.reachable];
    let mut first = true;
    let line = |((name, label), passed): ((&str, &str), bool)| {
        let (is, word) = match (passed, first) {
            (true, _) => ("done", "done"),
            (false, true) => ("now", "under way"),
            (false, false) => ("next", "to come"),
        };
        first &= passed;
        format!(
            "<li data-stage=\"{name}\" data-is=\"{is}\"><span class=\"tick\" aria-hidden=\"true\"></span>{label}<span \
             class=\"hidden\">, {word}</span></li>\n"
        )
    };
    STAGES.into_iter().zip(passed.map(Option::is_some)).map(line).collect()
}

/// The template with a value for each `{name}`. What a value holds is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() + STYLE.len() + SCRIPT.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = tail;
    }
    page + rest
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, char| {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(char),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activator::situation::tests::unit;
    use computing_unit_api::{OperatingMode, Phase};

    #[test]
    fn a_page_shows_how_far_a_start_has_come() {
        let unit = unit(OperatingMode::Running, Some(Phase::Starting), 2);
        let page = waiting(&Answer::of(&unit, true), "/wsapi?cuid=42");
        assert!(page.contains("data-stage=\"scheduled\" data-is=\"done\""), "{page}");
        assert!(page.contains("data-stage=\"podReady\" data-is=\"now\""), "{page}");
        assert!(page.contains("data-stage=\"routeAccepted\" data-is=\"next\""), "{page}");
        assert!(page.contains("http-equiv=\"refresh\"") && page.contains("aria-live=\"polite\""), "{page}");
        // The script and the style are in it as the policy has hashed them.
        assert!(
            page.contains(&format!("<script>{SCRIPT}</script>")) && page.contains(&format!("<style>{STYLE}</style>"))
        );
        assert!(!POLICY.contains("unsafe") && POLICY.contains("default-src 'none'"));
    }

    #[test]
    fn the_page_of_no_unit_is_whole_and_runs_nothing() {
        let page = missing(&Answer::unknown());
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\" data-state=\"unknown\">"), "{page}");
        assert!(page.contains("<h1>No such unit</h1>") && page.ends_with("</html>\n"), "{page}");
        assert!(!page.contains("script") && !page.contains("http-equiv"), "{page}");
    }

    #[test]
    fn nothing_of_a_request_or_a_unit_gets_out_of_its_place() {
        let mut unit = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        unit.metadata.name = Some("<script>alert(1)</script>{style}".into());
        let page = waiting(&Answer::of(&unit, false), "/\"><script>alert(2)</script>{script}");
        assert!(!page.contains("<script>alert") && page.matches("<script>").count() == 1, "{page}");
        assert!(page.contains("href=\"/&quot;&gt;&lt;script&gt;"), "{page}");
    }

    #[test]
    fn only_what_passes_by_itself_is_asked_for_again() {
        let rests = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        assert!(!waiting(&Answer::of(&rests, false), "/").contains("http-equiv=\"refresh\""));
        let ended = unit(OperatingMode::Running, Some(Phase::Finished), 2);
        assert!(!waiting(&Answer::of(&ended, true), "/").contains("http-equiv=\"refresh\""));
    }
}
