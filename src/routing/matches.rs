//! Paths of pools as matches of an HTTPRoute.

use computing_unit_api::{
    PathMatch, PathMatchType,
    gateway::types::{HttpRouteRulesMatches, HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType},
};

/// Matches a path of a pool.
pub fn path(path: &PathMatch) -> HttpRouteRulesMatchesPath {
    let r#type = match path.r#type {
        PathMatchType::PathPrefix => HttpRouteRulesMatchesPathType::PathPrefix,
        PathMatchType::Exact => HttpRouteRulesMatchesPathType::Exact,
        PathMatchType::RegularExpression => HttpRouteRulesMatchesPathType::RegularExpression,
    };
    HttpRouteRulesMatchesPath { r#type: Some(r#type), value: Some(path.value.clone()) }
}

/// Matches all paths under a prefix.
pub fn prefix(value: impl Into<String>) -> HttpRouteRulesMatchesPath {
    HttpRouteRulesMatchesPath { r#type: Some(HttpRouteRulesMatchesPathType::PathPrefix), value: Some(value.into()) }
}

/// Matches requests by nothing but their path.
pub fn only(path: HttpRouteRulesMatchesPath) -> HttpRouteRulesMatches {
    HttpRouteRulesMatches { path: Some(path), ..HttpRouteRulesMatches::default() }
}
