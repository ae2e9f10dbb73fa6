//! What the engine serves like a static service, to browsers.

use std::path::PathBuf;

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::{Html, IntoResponse, Response};

/// A page, a script and the headers of both.
#[derive(Debug, Default)]
pub struct Site {
    pub page: Option<String>,
    pub script: Option<String>,
    pub headers: Vec<(String, String)>,
    /// The folder of the files that requests read and write.
    pub files: Option<PathBuf>,
}

impl Site {
    /// The response to a request. `None` if the site has none.
    pub fn response(&self, request: &Parts) -> Option<Response> {
        if request.method != Method::GET {
            return None;
        }
        let scripts = request.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "script"));
        let mut response = if scripts {
            ([(CONTENT_TYPE, "text/javascript")], self.script.clone()?).into_response()
        } else {
            Html(self.page.clone()?).into_response()
        };
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                response.headers_mut().append(name, value);
            }
        }
        Some(response)
    }
}
