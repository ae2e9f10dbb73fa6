//! Responses of the activator.

use axum::{body::Body, response::Response};
use computing_unit_api::names::headers::NOT_STARTED;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::activator::{cors, page, problem::Problem, request::RequestKind};

/// A redirect to the same URL. 307 preserves method and body. It must not be cached: the unit may be suspended again.
pub fn redirect(url: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    match HeaderValue::try_from(url) {
        Ok(url) => drop(response.headers_mut().insert(header::LOCATION, url)),
        Err(_) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
    }
    common_headers(response.headers_mut());
    response
}

/// A page for browsers, problem details for other clients. `url` is the URL of the request.
pub fn problem(problem: &Problem, kind: RequestKind, url: &str) -> Response {
    let html = kind == RequestKind::Browser;
    let body = match (html, problem.status) {
        (true, StatusCode::NOT_FOUND | StatusCode::MISDIRECTED_REQUEST) => page::not_found(problem),
        (true, _) => page::waiting(problem, url),
        (false, _) => problem.to_json().to_string(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    common_headers(headers);
    let content_type = if html { "text/html; charset=utf-8" } else { "application/problem+json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(reason) = problem.not_started {
        headers.insert(NOT_STARTED, HeaderValue::from_static(reason.as_str()));
    }
    if html {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if let Ok(policy) = HeaderValue::from_str(&page::POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    response
}

fn common_headers(headers: &mut HeaderMap) {
    cors::readable(headers);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // One URL has a page for browsers and problem details for other clients.
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
}
