//! Query mode: a query parameter carries the key.

use computing_unit_api::{
    PathMatchType, QueryRouting, Routing,
    gateway::types::{
        HttpRouteRulesMatches, HttpRouteRulesMatchesPath, HttpRouteRulesMatchesQueryParams,
        HttpRouteRulesMatchesQueryParamsType,
    },
};
use http::Uri;

use super::{matches, mode::Mode, paths::takes_precedence, url::Address};

impl Mode for QueryRouting {
    fn unit_key(&self, name: &str, cuid: Option<i64>) -> String {
        cuid.map_or_else(|| name.to_owned(), |cuid| cuid.to_string())
    }

    fn request_key(&self, uri: &Uri, _host: Option<&str>) -> Option<String> {
        // Proxies compare the first value, without decoding it.
        let mut pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(name, _)| *name == self.parameter).map(|(_, value)| value.to_owned())
    }

    fn key_space(&self) -> &str {
        &self.parameter
    }

    fn address(&self, name: &str, cuid: Option<i64>) -> Address {
        let path = [PathMatchType::PathPrefix, PathMatchType::Exact]
            .iter()
            .find_map(|r#type| self.paths.iter().find(|path| path.r#type == *r#type))
            .map_or_else(|| "/".to_owned(), |path| path.value.clone());
        let query = Some(format!("{}={}", self.parameter, self.unit_key(name, cuid)));
        Address { host: None, route_host: self.lookup_host(name), path, query }
    }

    fn unit_matches(&self, _name: &str, key: &str) -> Vec<HttpRouteRulesMatches> {
        let parameter = HttpRouteRulesMatchesQueryParams {
            name: self.parameter.clone(),
            r#type: Some(HttpRouteRulesMatchesQueryParamsType::Exact),
            value: key.to_owned(),
        };
        let paths = self.paths.iter().map(|path| matches::only(matches::path(path)));
        paths.map(|path| HttpRouteRulesMatches { query_params: Some(vec![parameter.clone()]), ..path }).collect()
    }

    fn activator_paths(&self, sharing: &[&Routing]) -> Vec<HttpRouteRulesMatchesPath> {
        let others = || sharing.iter().flat_map(|routing| &routing.query).flat_map(|query| &query.paths);
        let allowed = self.paths.iter().filter(|path| !others().any(|other| takes_precedence(path, other)));
        allowed.map(matches::path).collect()
    }

    fn lookup_host(&self, name: &str) -> Option<String> {
        Some(format!("{name}.{}", self.lookup_domain.as_ref()?))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        routing::{address, url},
        testing,
    };

    #[test]
    fn url_does_not_contain_the_internal_host_name() {
        let address = address(&testing::lookup_routing(), "ada", Some(42)).unwrap();
        assert_eq!(address.route_host.as_deref(), Some("ada.units.internal"));
        assert_eq!(url(&address, Some("https://x"), None).unwrap(), "https://x/wsapi?cuid=42");
    }
}
