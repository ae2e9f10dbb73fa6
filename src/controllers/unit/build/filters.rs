//! The parts of filters of an HTTPRoute.

use computing_unit_api::gateway::types::{
    HttpRouteRulesFilters, HttpRouteRulesFiltersResponseHeaderModifierSet, HttpRouteRulesFiltersType,
};

/// A response header with a value.
pub fn set(name: &str, value: &str) -> HttpRouteRulesFiltersResponseHeaderModifierSet {
    HttpRouteRulesFiltersResponseHeaderModifierSet { name: name.to_owned(), value: value.to_owned() }
}

/// A filter of a type, without its settings.
pub fn filter(r#type: HttpRouteRulesFiltersType) -> HttpRouteRulesFilters {
    HttpRouteRulesFilters {
        r#type,
        cors: None,
        extension_ref: None,
        request_header_modifier: None,
        request_mirror: None,
        request_redirect: None,
        response_header_modifier: None,
        url_rewrite: None,
    }
}
