//! Files that a unit keeps in a folder, such as a volume.

use std::path::{Path, PathBuf};

use axum::body::{Body, to_bytes};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// The largest file.
const MAX_BYTES: usize = 1 << 20;

/// The file of a path that ends with `/files/<name>`, if the engine has a folder for files.
pub fn of(folder: Option<&Path>, path: &str) -> Option<PathBuf> {
    let (start, name) = path.rsplit_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let valid = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
    (valid && (start == "/files" || start.ends_with("/files"))).then(|| folder.map(|folder| folder.join(name)))?
}

/// Writes the body of a PUT to the file, or reads the file.
pub async fn respond(file: &Path, method: &Method, body: Body) -> Response {
    if method != Method::PUT {
        return match tokio::fs::read(file).await {
            Ok(content) => content.into_response(),
            Err(error) => (StatusCode::NOT_FOUND, format!("{error}\n")).into_response(),
        };
    }
    let Ok(content) = to_bytes(body, MAX_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    match tokio::fs::write(file, content).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_named_by_the_end_of_the_path() {
        let folder = Some(Path::new("/home"));
        for path in ["/files/a.txt", "/units/ada/files/a.txt"] {
            assert_eq!(of(folder, path), Some("/home/a.txt".into()), "{path}");
        }
        for path in ["/files/", "/files/..", "/files/.a", "/a.txt", "/files/a/b", "/files/a%2fb", "/profiles/a"] {
            assert_eq!(of(folder, path), None, "{path}");
        }
        assert_eq!(of(None, "/files/a.txt"), None);
    }
}
