//! The page that a browser gets while its unit is not reachable. It shows the stages of the start and polls for
//! changes.
//!
//! The page loads nothing. Its Content-Security-Policy allows one script and one style sheet, by hash. `maud` escapes
//! everything that comes from a request or from a unit.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use computing_unit_api::Stages;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::problem::Problem;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The Content-Security-Policy of the page. The script may send requests to the page's own origin.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri \
         'none'; form-action 'none'; frame-ancestors 'self'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The page for a unit that is not reachable. `url` is the URL of the request.
pub fn waiting(problem: &Problem, url: &str) -> String {
    let refresh = html! { noscript { meta http-equiv="refresh" content="3"; } };
    let head = problem.is_transient().then_some(refresh);
    let body = html! {
        main {
            h1 #title { (problem.title) }
            p #detail role="status" aria-live="polite" { (problem.detail) }
            p #command hidden[problem.command.is_none()] { code { (problem.command.as_deref().unwrap_or_default()) } }
            ol #stages aria-label="Stages of the start" hidden[!problem.is_transient()] { (stages(&problem.stages)) }
            p #elapsed aria-hidden="true" {}
            p .action { a .button #open href=(url) { (problem.action) } }
        }
        script { (PreEscaped(SCRIPT)) }
    };
    page(problem, head, body).into_string()
}

/// The page for a URL that leads to no unit.
pub fn not_found(problem: &Problem) -> String {
    let body = html! {
        main {
            h1 { (problem.title) }
            p { (problem.detail) }
        }
    };
    page(problem, None, body).into_string()
}

fn page(problem: &Problem, head: Option<Markup>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-state=(problem.state) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                link rel="icon" href="data:,";
                title { (problem.title) }
                @if let Some(head) = head { (head) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

fn stages(stages: &Stages) -> Markup {
    // The names are those of the status, by which the script finds the stages.
    let all = [
        ("accepted", "Accepted", stages.accepted.is_some()),
        ("scheduled", "Scheduled", stages.scheduled.is_some()),
        ("podReady", "Pod ready", stages.pod_ready.is_some()),
        ("routeAccepted", "Route accepted", stages.route_accepted.is_some()),
        ("reachable", "Reachable", stages.reachable.is_some()),
    ];
    let current = all.iter().position(|(.., complete)| !complete);
    html! {
        @for (index, (name, label, complete)) in all.into_iter().enumerate() {
            @let (status, text) = match (complete, current == Some(index)) {
                (true, _) => ("complete", "complete"),
                (false, true) => ("current", "in progress"),
                (false, false) => ("pending", "pending"),
            };
            li data-stage=(name) data-status=(status) {
                span .tick aria-hidden="true" {}
                (label)
                span .hidden { ", " (text) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activator::state::tests::unit;
    use computing_unit_api::{OperatingMode, Phase};

    #[test]
    fn page_shows_the_stages_of_a_start() {
        let unit = unit(OperatingMode::Running, Some(Phase::Starting), 2);
        let page = waiting(&Problem::of(&unit, true), "/wsapi?cuid=42");
        assert!(page.contains("data-stage=\"scheduled\" data-status=\"complete\""), "{page}");
        assert!(page.contains("data-stage=\"podReady\" data-status=\"current\""), "{page}");
        assert!(page.contains("data-stage=\"routeAccepted\" data-status=\"pending\""), "{page}");
        assert!(page.contains("http-equiv=\"refresh\"") && page.contains("aria-live=\"polite\""), "{page}");
        // The policy has the hashes of exactly this script and this style sheet.
        assert!(
            page.contains(&format!("<script>{SCRIPT}</script>")) && page.contains(&format!("<style>{STYLE}</style>"))
        );
        assert!(!POLICY.contains("unsafe") && POLICY.contains("default-src 'none'"));
    }

    #[test]
    fn page_without_a_unit_is_complete_and_has_no_script() {
        let page = not_found(&Problem::not_found());
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\" data-state=\"unknown\">"), "{page}");
        assert!(page.contains("<h1>Unit not found</h1>") && page.ends_with("</html>"), "{page}");
        assert!(!page.contains("script") && !page.contains("http-equiv"), "{page}");
    }

    #[test]
    fn texts_of_requests_and_units_are_escaped() {
        let mut unit = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        unit.metadata.name = Some("<script>alert(1)</script>{style}".into());
        let page = waiting(&Problem::of(&unit, false), "/\"><script>alert(2)</script>{script}");
        assert!(!page.contains("<script>alert") && page.matches("<script>").count() == 1, "{page}");
        assert!(page.contains("href=\"/&quot;&gt;&lt;script&gt;"), "{page}");
    }

    #[test]
    fn page_is_refreshed_only_if_the_state_is_transient() {
        let suspended = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        assert!(!waiting(&Problem::of(&suspended, false), "/").contains("http-equiv=\"refresh\""));
        let finished = unit(OperatingMode::Running, Some(Phase::Finished), 2);
        assert!(!waiting(&Problem::of(&finished, true), "/").contains("http-equiv=\"refresh\""));
    }

    #[test]
    fn command_is_shown_only_if_there_is_one() {
        let suspended = unit(OperatingMode::Suspended, Some(Phase::Suspended), 2);
        let page = waiting(&Problem::of(&suspended, false), "/");
        assert!(page.contains("<p id=\"command\"><code>kubectl patch computingunit ada -n "), "{page}");
        let starting = unit(OperatingMode::Running, Some(Phase::Starting), 2);
        assert!(waiting(&Problem::of(&starting, true), "/").contains("<p id=\"command\" hidden>"));
    }
}
