//! Selection of units: names, a label selector, or all of the namespace.

use crate::options::WaitArgs;

/// Units, and whether to wait for them.
#[derive(Clone, Debug, clap::Args)]
pub struct SelectAndWait {
    /// Units.
    #[command(flatten)]
    pub select: Select,
    /// Whether to wait for them.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Units.
#[derive(Clone, Debug, clap::Args)]
pub struct Select {
    /// Names of units, also in the form RESOURCE/NAME
    #[arg(value_name = "NAME", required_unless_present_any = ["selector", "all"])]
    names: Vec<String>,

    /// Label selector, for example team=blue
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "names")]
    selector: Option<String>,

    /// Select all units of the namespace
    #[arg(long, conflicts_with_all = ["names", "selector"])]
    all: bool,
}

/// The selected units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Units by name. Each must exist.
    Named(Vec<String>),
    /// Units by label selector; none for all units.
    Labelled(Option<String>),
}

impl Select {
    /// The selected units.
    pub fn selection(&self) -> Selection {
        if self.all || self.selector.is_some() {
            return Selection::Labelled(self.selector.clone());
        }
        Selection::Named(names(&self.names))
    }
}

/// Removes resource prefixes and duplicates.
pub fn names(given: &[String]) -> Vec<String> {
    let mut names = vec![];
    for name in given.iter().map(|name| name.rsplit_once('/').map_or(name.as_str(), |(_, name)| name)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
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

    fn selection(line: &str) -> Result<Selection, String> {
        let line = Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace()));
        line.map(|line| line.select.selection()).map_err(|error| error.to_string())
    }

    #[test]
    fn units_are_selected_by_name_label_or_all() {
        let named = |names: &[&str]| Selection::Named(names.iter().map(ToString::to_string).collect());
        assert_eq!(selection("ada bob ada"), Ok(named(&["ada", "bob"])));
        assert_eq!(selection("computingunit.texera.apache.org/ada cu/bob"), Ok(named(&["ada", "bob"])));
        assert_eq!(selection("-l team=blue"), Ok(Selection::Labelled(Some("team=blue".into()))));
        assert_eq!(selection("--all"), Ok(Selection::Labelled(None)));
        for line in ["", "ada -l a=b", "ada --all", "--all -l a=b"] {
            assert!(selection(line).is_err(), "{line}");
        }
    }
}
