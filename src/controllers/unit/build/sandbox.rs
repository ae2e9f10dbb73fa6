//! The headers that keep the HTML of a unit out of the origin that it shares with other sites.
//!
//! HTML of a unit gets an opaque origin: its scripts cannot read storage or cookies of the site, send requests with them, or
//! register a service worker. WebSockets, `fetch` and downloads of the site itself are not affected, because the policy
//! applies to documents and workers only.

use computing_unit_api::gateway::types::{
    HttpRouteRulesFiltersRequestHeaderModifier, HttpRouteRulesFiltersResponseHeaderModifier,
};

use super::filters::set;

/// Never `allow-same-origin`, which would undo the sandbox. Popups inherit the sandbox.
const POLICY: &str = "sandbox allow-downloads allow-forms allow-popups allow-scripts";

/// Response headers by which a response has effects on its whole origin, in lower case.
const ORIGIN_WIDE: [&str; 6] = [
    "alt-svc",
    "clear-site-data",
    // Both of Network Error Logging: the browser would report the URLs of all requests to the origin, with their queries.
    "nel",
    "report-to",
    "set-cookie",
    "strict-transport-security",
];

/// The only path that a service worker with a script of a unit may have as its scope. It contains no page. Browsers do not
/// apply the sandbox to a script that a page of the site itself registers, so removing the header is not enough: the
/// directory of the script would be the scope.
const SERVICE_WORKER_SCOPE: &str = "/.computing-unit-has-no-service-worker/";

/// Request headers with credentials for the whole origin. The gateway's authorization runs before they are removed.
pub const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

/// Adds the sandbox to the changes of a response.
pub fn response(
    mut modifier: HttpRouteRulesFiltersResponseHeaderModifier,
) -> HttpRouteRulesFiltersResponseHeaderModifier {
    let headers = modifier.set.get_or_insert_default();
    headers.push(set("content-security-policy", POLICY));
    headers.push(set("x-content-type-options", "nosniff"));
    headers.push(set("service-worker-allowed", SERVICE_WORKER_SCOPE));
    modifier.remove.get_or_insert_default().extend(ORIGIN_WIDE.map(str::to_owned));
    modifier
}

/// The changes of a request.
pub fn request() -> HttpRouteRulesFiltersRequestHeaderModifier {
    HttpRouteRulesFiltersRequestHeaderModifier {
        remove: Some(CREDENTIALS.map(str::to_owned).to_vec()),
        ..HttpRouteRulesFiltersRequestHeaderModifier::default()
    }
}
