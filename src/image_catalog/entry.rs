//! One image of a catalog.

use std::sync::LazyLock;

use computing_unit_api::{CatalogImage, ImageSecurityContext};
use regex::Regex;

/// The longest entry, in bytes.
const MAX_TEXT: usize = 4096;
/// The longest part of a message that is not the operator's own.
const MAX_WORDS: usize = 200;

/// That of [`OfferedImage`](computing_unit_api::OfferedImage).
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$").ok());
static REFERENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[A-Za-z0-9][A-Za-z0-9._:/-]{0,900}@sha256:[0-9a-f]{64}$").ok());

/// A valid image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// With a digest.
    pub reference: String,
    pub restrictions: ImageSecurityContext,
}

/// Why an image cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImage {
    #[error(
        "its name must have at most 63 letters, digits, '.', '_' and '-', and start and end with a letter or a digit: \
         rename the key"
    )]
    Name,
    #[error("it has more than {MAX_TEXT} bytes: shorten its description")]
    TooLong,
    #[error("it is not valid: {0}. Correct it")]
    Syntax(String),
    #[error("image {0:?} has no digest: give it as repository@sha256:..., with 64 hexadecimal digits in lower case")]
    NoDigest(String),
    #[error("securityContext.{field} can only restrict the container: set it to {allowed}, or remove it")]
    NotARestriction { field: &'static str, allowed: &'static str },
    #[error("the pool itself offers an image of this name, which takes precedence: rename the key")]
    Shadowed,
    #[error("securityContext.{field} differs from the {value} of the pool's template: remove it")]
    OtherUser { field: &'static str, value: i64 },
}

/// Parses an entry: its key, and its value in YAML, of which JSON is a part.
pub fn parse(name: &str, text: &str) -> Result<Image, InvalidImage> {
    let matches = |regex: &Option<Regex>, text: &str| regex.as_ref().is_some_and(|regex| regex.is_match(text));
    if !matches(&NAME, name) {
        return Err(InvalidImage::Name);
    }
    if text.len() > MAX_TEXT {
        return Err(InvalidImage::TooLong);
    }
    let parsed: CatalogImage =
        serde_saphyr::from_str(text).map_err(|error| InvalidImage::Syntax(first_line(&error)))?;
    if !matches(&REFERENCE, &parsed.image) {
        return Err(InvalidImage::NoDigest(shortened(&parsed.image)));
    }
    let restrictions = parsed.security_context;
    if let Some((field, allowed)) = super::restrictions::no_restriction(&restrictions) {
        return Err(InvalidImage::NotARestriction { field, allowed });
    }
    Ok(Image { reference: parsed.image, restrictions })
}

/// The rest shows the text, which others may have to keep to themselves.
fn first_line(error: &serde_saphyr::Error) -> String {
    shortened(error.to_string().lines().next().unwrap_or_default().trim().trim_end_matches('.'))
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}
