//! Selection of units, the same for every command: names, a label selector, a field selector, an owner, or all, in a
//! namespace or in all of them.

use computing_unit_api::GROUP;

use crate::{
    error::Error,
    values::{not_empty, signed},
};

/// Units.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Select {
    /// Names of units, also in the form TYPE/NAME
    #[arg(value_name = "NAME", value_parser = unit_name)]
    pub names: Vec<String>,

    /// Label selector, for example team=blue
    #[arg(short = 'l', long, value_name = "LABELS", value_parser = not_empty)]
    selector: Option<String>,

    /// Field selector, for example metadata.name!=ada or spec.owner=ada
    #[arg(long, value_name = "FIELDS", value_parser = not_empty)]
    field_selector: Option<String>,

    /// Only units of this owner
    #[arg(long, value_name = "USER", value_parser = not_empty)]
    owner: Option<String>,

    /// All units of the namespace
    #[arg(long, conflicts_with_all = ["names", "selector"])]
    all: bool,

    /// Units of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Do not fail if a unit does not exist
    #[arg(long)]
    pub ignore_not_found: bool,
}

/// What a command does without a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unselected {
    /// All units of the namespace.
    All,
    /// It fails.
    Refused,
}

/// The units to select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Units by name. Each must exist.
    Named(Vec<String>),
    /// Units by labels and fields.
    Listed {
        /// Label selector.
        labels: Option<String>,
        /// Field selector.
        fields: Option<String>,
        /// Whether in all namespaces.
        all_namespaces: bool,
    },
}

impl Select {
    /// The units to select.
    ///
    /// # Errors
    /// If the options contradict each other, or select nothing.
    pub fn query(&self, default: Unselected) -> Result<Query, Error> {
        let filtered = self.selector.is_some() || self.field_selector.is_some() || self.owner.is_some();
        if !self.names.is_empty() {
            if self.all_namespaces {
                return Err(Error::message("a unit cannot be selected by name across all namespaces"));
            }
            if filtered {
                return Err(Error::message("a name cannot be given together with -l, --field-selector or --owner"));
            }
            return Ok(Query::Named(self.names()));
        }
        if default == Unselected::Refused && !filtered && !self.all {
            return Err(Error::message("select units by NAME, -l, --field-selector, --owner or --all"));
        }
        let owner = self.owner.as_ref().map(|owner| format!("spec.owner={}", escaped(owner)));
        let fields: Vec<_> = self.field_selector.iter().cloned().chain(owner).collect();
        Ok(Query::Listed {
            labels: self.selector.clone(),
            fields: (!fields.is_empty()).then(|| fields.join(",")),
            all_namespaces: self.all_namespaces,
        })
    }

    /// The names without duplicates.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![];
        for name in &self.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether all namespaces are selected.
    pub const fn is_all_namespaces(&self) -> bool {
        self.all_namespaces
    }
}

/// Escapes a value of a field selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

/// Parses a name, or `TYPE/NAME`. Other types are rejected, so that `kubectl get pod -o name | xargs kubectl cu delete`
/// deletes no units.
///
/// # Errors
/// If it is not the name of a unit.
pub fn unit_name(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None if matches!(text, "true" | "false") => {
            return Err(format!("write --wait={text}; a unit of this name is cu/{text}"));
        }
        None => text,
        Some((resource, name)) => {
            let resource = resource.to_lowercase();
            let resource = resource.strip_suffix(GROUP).and_then(|rest| rest.strip_suffix('.')).unwrap_or(&resource);
            let resource = resource.strip_suffix(".v1alpha1").unwrap_or(resource);
            if !matches!(resource, "computingunit" | "computingunits" | "cu") {
                return Err(format!("{resource:?} is not the type of units: use computingunit/{name}"));
            }
            name
        }
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(allowed)
        && !name.ends_with('-')
        && name.len() <= 63
    {
        return Ok(name.to_owned());
    }
    if signed(name).is_ok() {
        return Err(format!("it is not the name of a unit; write --timeout={name}"));
    }
    Err("it is not the name of a unit: at most 63 lower-case letters, digits and '-', starting with a letter"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        select: Select,
    }

    fn query(line: &str, default: Unselected) -> Result<Query, String> {
        let line = Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace()));
        let line = line.map_err(|error| error.to_string())?;
        line.select.query(default).map_err(|error| error.to_string())
    }

    fn listed(labels: Option<&str>, fields: Option<&str>, all_namespaces: bool) -> Query {
        Query::Listed { labels: labels.map(str::to_owned), fields: fields.map(str::to_owned), all_namespaces }
    }

    #[test]
    fn units_are_selected_by_name_labels_fields_owner_or_all() {
        let named = |names: &[&str]| Query::Named(names.iter().map(ToString::to_string).collect());
        for (line, expected) in [
            ("ada bob ada", named(&["ada", "bob"])),
            ("computingunit.texera.apache.org/ada cu/bob computingunits/eve", named(&["ada", "bob", "eve"])),
            ("computingunits.v1alpha1.texera.apache.org/ada cu/true", named(&["ada", "true"])),
            ("-l team=blue -A", listed(Some("team=blue"), None, true)),
            (
                "--field-selector metadata.name!=ada --owner ada",
                listed(None, Some("metadata.name!=ada,spec.owner=ada"), false),
            ),
            (r"--owner a=b,c\d", listed(None, Some(r"spec.owner=a\=b\,c\\d"), false)),
            ("--all", listed(None, None, false)),
            ("--all --owner ada", listed(None, Some("spec.owner=ada"), false)),
        ] {
            assert_eq!(query(line, Unselected::Refused), Ok(expected), "{line}");
        }
        assert_eq!(query("", Unselected::All), Ok(listed(None, None, false)));
        for line in ["", "-A", "ada -l a=b", "ada --owner u", "ada --all", "ada -A", "--all -l a=b", "-l=", "--owner="]
        {
            assert!(query(line, Unselected::Refused).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_not_a_unit_is_rejected_before_any_request() {
        for (line, expected) in [
            ("pod/ada", "\"pod\" is not the type of units"),
            ("pods.v1./ada", "is not the type of units"),
            ("ada 30s", "write --timeout=30s"),
            ("ada 90", "write --timeout=90"),
            ("ada false", "write --wait=false"),
            ("Ada", "at most 63 lower-case letters"),
            ("cu/", "at most 63"),
            ("http://localhost/ada", "is not the type"),
        ] {
            let error = query(line, Unselected::Refused).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
