//! Output formats: everything that prints objects goes through here.

mod columns;
mod document;
mod listing;
mod sort;
pub mod table;

use std::str::FromStr;

use kube::ResourceExt;
use serde_json::Value;

use crate::{
    dry_run::DryRun,
    error::Error,
    jsonpath::Template,
    object::Unit,
    stdio::{write_raw, write_stdout},
};
use columns::CustomColumns;

pub use listing::{ListArgs, Listing};

/// Output format of objects.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    Json,
    Yaml,
    /// Resource and name.
    Name,
    /// A table with more columns.
    Wide,
    JsonPath(Template),
    CustomColumns(CustomColumns),
}

/// Resource of units in messages.
pub const RESOURCE: &str = "computingunit.texera.apache.org";

/// The formats, for completion.
pub const FORMATS: &[&str] = &["json", "yaml", "name", "wide", "jsonpath=", "custom-columns="];

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None => match text {
                "json" => Ok(Self::Json),
                "yaml" => Ok(Self::Yaml),
                "name" => Ok(Self::Name),
                "wide" => Ok(Self::Wide),
                "jsonpath" | "custom-columns" => Err(format!("{text} requires a template: {text}=TEMPLATE")),
                _ => Err("allowed formats are: custom-columns, json, jsonpath, name, wide, yaml".to_owned()),
            },
            Some(("jsonpath", template)) => {
                template.parse().map(Self::JsonPath).map_err(|error| format!("invalid template: {error}"))
            }
            Some(("custom-columns", columns)) => columns.parse().map(Self::CustomColumns),
            Some(_) => Err("allowed formats are: custom-columns, json, jsonpath, name, wide, yaml".to_owned()),
        }
    }
}

/// Prints units that were changed: a message for each, or the objects.
#[derive(Debug)]
pub struct Reporter {
    format: Option<Format>,
    dry_run: DryRun,
    printed: usize,
}

/// Output of a command that changes units.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// Output format. One of: json, yaml, name, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,...
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
}

impl Reporter {
    /// For one command.
    pub fn new(args: &OutputArgs, dry_run: DryRun) -> Self {
        Self { format: args.output.clone(), dry_run, printed: 0 }
    }

    /// Whether the messages are for people.
    pub const fn is_message(&self) -> bool {
        self.format.is_none()
    }

    /// Prints a unit with what has happened to it, such as `suspended`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn report(&mut self, unit: &Unit, operation: &str) -> Result<(), Error> {
        self.report_value(&unit.plain(), operation)
    }

    /// The same, for an object that was not read from the API server.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn report_value(&mut self, object: &Value, operation: &str) -> Result<(), Error> {
        let number = self.printed;
        self.printed += 1;
        match &self.format {
            None | Some(Format::Wide) => {
                let name = qualified(object["metadata"]["name"].as_str().unwrap_or_default());
                Ok(write_stdout(&format!("{name} {operation}{}", self.dry_run.suffix()))?)
            }
            Some(Format::Yaml) if number > 0 => {
                write_stdout("---")?;
                print(object, &Format::Yaml)
            }
            Some(Format::CustomColumns(columns)) if number > 0 => Ok(columns
                .lines(std::slice::from_ref(object), false)?
                .iter()
                .try_for_each(|line| write_stdout(line))?),
            Some(format) => print(object, format),
        }
    }
}

/// Prints one object, or a list.
///
/// # Errors
/// If it cannot be written, or does not fit the template.
pub fn print(object: &Value, format: &Format) -> Result<(), Error> {
    let items = || object["items"].as_array().cloned().unwrap_or_else(|| vec![object.clone()]);
    match format {
        Format::Json => Ok(write_stdout(&document::json(object)?)?),
        Format::Yaml | Format::Wide => Ok(write_stdout(&document::yaml(object)?)?),
        Format::Name => Ok(items().iter().try_for_each(|item| write_stdout(&name_of(item)))?),
        // kubectl adds no newline.
        Format::JsonPath(template) => Ok(write_raw(&template.render(object)?)?),
        Format::CustomColumns(columns) => {
            Ok(columns.lines(&items(), true)?.iter().try_for_each(|line| write_stdout(line))?)
        }
    }
}

/// Resource and name of a unit, as `kubectl get -o name` prints them.
pub fn name(unit: &Unit) -> String {
    qualified(&unit.name_any())
}

fn qualified(name: &str) -> String {
    format!("{RESOURCE}/{name}")
}

fn name_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]).to_lowercase();
    let group = text(&object["apiVersion"]).split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
    format!("{kind}{group}/{}", text(&object["metadata"]["name"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_are_those_of_kubectl() {
        for (text, expected) in
            [("json", Format::Json), ("yaml", Format::Yaml), ("name", Format::Name), ("wide", Format::Wide)]
        {
            assert_eq!(text.parse(), Ok(expected));
        }
        assert!(matches!("jsonpath={.kind}".parse(), Ok(Format::JsonPath(_))));
        assert!(matches!("custom-columns=NAME:.metadata.name".parse(), Ok(Format::CustomColumns(_))));
        for (text, expected) in [
            ("xml", "allowed formats are"),
            ("go-template={{.kind}}", "allowed formats are"),
            ("jsonpath", "jsonpath=TEMPLATE"),
            ("jsonpath={.kind", "unclosed action"),
            ("custom-columns=NAME", "HEADER:PATH"),
        ] {
            let error = text.parse::<Format>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn name_has_the_kind_and_the_group() {
        let unit =
            json!({"apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit", "metadata": {"name": "ada"}});
        assert_eq!(name_of(&unit), "computingunit.texera.apache.org/ada");
    }
}
