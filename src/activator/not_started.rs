//! Explains to people why a request did not start its unit, and what does.
//!
//! Pure.

use computing_unit_api::WakeRefusal;

use crate::metrics::NotStarted;

/// How to start the unit without a request.
fn resume(namespace: &str, name: &str) -> String {
    format!("run kubectl cu resume {name} -n {namespace}, or set spec.operatingMode to Running")
}

/// The explanation for a request for the unit `name` of `namespace`.
pub fn explanation(reason: NotStarted, namespace: &str, name: &str) -> String {
    let resume = resume(namespace, name);
    let unit =
        |refusal: WakeRefusal| format!("A request does not start it: {}. To start it, {resume}.", refusal.because());
    match reason {
        NotStarted::Never => unit(WakeRefusal::Never),
        NotStarted::NotIdle => unit(WakeRefusal::NotIdle),
        NotStarted::Head => "A HEAD request does not start it. Open the URL, or send a GET.".to_owned(),
        NotStarted::Options => "An OPTIONS request does not start it. Open the URL, or send a GET.".to_owned(),
        NotStarted::Prefetch => "Loading the URL in advance does not start it. Open the URL.".to_owned(),
        NotStarted::CrossSite => {
            "A request of another site's page does not start it. Open the URL in a window of its own.".to_owned()
        }
        NotStarted::QuietPeriod => format!(
            "It was suspended a short time ago, or a page keeps reconnecting, so a WebSocket handshake or a request of a \
             page does not start it. Reload the page of the unit, open its URL, or {resume}."
        ),
        NotStarted::Page => "Reload the page to start it.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_an_explanation_with_an_action() {
        for reason in NotStarted::ALL {
            let text = explanation(*reason, "team", "ada");
            let action =
                ["kubectl cu resume ada -n team", "Open the URL", "Reload the page"].iter().any(|it| text.contains(it));
            assert!(action && text.ends_with('.'), "{text}");
        }
        let by_hand = explanation(NotStarted::NotIdle, "team", "ada");
        assert!(
            by_hand.contains("suspended by its owner") && by_hand.contains("kubectl cu resume ada -n team"),
            "{by_hand}"
        );
    }
}
