//! CORS preflights, and what pages of other origins may read (the Fetch standard).
//!
//! Pure. Answers of the activator have no cookies and no credentials, and authorization is the gateway's, so pages of any
//! origin may read them without credentials. A preflight is different: a page may then send a request that the unit gets
//! if its route is opened in between, and the unit has not agreed to it. Therefore requests that may change something are
//! permitted only while the unit cannot get them, and no permission is cached.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::metrics::ActivatorOutcome;

/// Headers of answers that scripts may read besides those that the standard permits.
const READABLE: &str = "retry-after, x-computing-unit-activator, x-computing-unit-not-started";

/// Lets pages of any origin read a response that they requested without credentials.
pub fn readable(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READABLE));
}

/// The method of the request that a preflight asks for. `None` if this is not a preflight.
pub fn preflight<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let asks = method == Method::OPTIONS && headers.contains_key(header::ORIGIN);
    headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| asks)
}

/// Whether a page may send a request with this method, given what it would be answered now.
pub fn permits(method: &HeaderValue, outcome: ActivatorOutcome) -> bool {
    let safe = method == "GET" || method == "HEAD";
    match outcome {
        // The unit has no pod, and takes longer to start than a browser to send the request.
        ActivatorOutcome::Suspended | ActivatorOutcome::Ended | ActivatorOutcome::Unknown => true,
        // The request was not authorized for the unit.
        ActivatorOutcome::Misdirected | ActivatorOutcome::Probe => false,
        ActivatorOutcome::Suspending
        | ActivatorOutcome::Starting
        | ActivatorOutcome::Ready
        | ActivatorOutcome::Redirected
        | ActivatorOutcome::Expired
        | ActivatorOutcome::Full => safe,
    }
}

/// Turns the response to a preflight into the permission that it asks for.
pub fn permit<B: Default>(request: &HeaderMap, response: &mut Response<B>) {
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.body_mut() = B::default();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (asked, allowed) in [
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(value) = request.get(asked) {
            headers.insert(allowed, value.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("0"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_that_may_change_a_unit_is_permitted_only_while_the_unit_cannot_get_it() {
        for outcome in ActivatorOutcome::ALL {
            let [get, post] = ["GET", "DELETE"].map(|method| permits(&HeaderValue::from_static(method), *outcome));
            let at_rest =
                matches!(outcome, ActivatorOutcome::Suspended | ActivatorOutcome::Ended | ActivatorOutcome::Unknown);
            let none = matches!(outcome, ActivatorOutcome::Misdirected | ActivatorOutcome::Probe);
            assert_eq!((get, post), (!none, at_rest), "{outcome:?}");
        }
    }

    #[test]
    fn preflight_has_an_origin_and_a_method() {
        let headers = |names: &[header::HeaderName]| -> HeaderMap {
            names.iter().map(|name| (name.clone(), HeaderValue::from_static("GET"))).collect()
        };
        let both = headers(&[header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD]);
        assert!(preflight(&Method::OPTIONS, &both).is_some());
        assert!(preflight(&Method::GET, &both).is_none());
        assert!(preflight(&Method::OPTIONS, &headers(&[header::ORIGIN])).is_none());
    }
}
