//! What goes to standard output: what was created, in the form that was asked for.

use std::io::{self, Write};

use computing_unit_operator::api::ComputingUnit;
use kube::ResourceExt;
use serde_json::{Map, Value};

use crate::{
    args::{Args, DryRun, Output},
    refusal::Failure,
};

const RESOURCE: &str = "computingunit.texera.apache.org";

/// Prints what was, or would be, created.
pub fn created(unit: &ComputingUnit, args: &Args) -> Result<(), Failure> {
    line(text(unit, args)?.trim_end())
}

/// Prints one line. A reader that has gone away is no failure.
pub fn line(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Print(error.to_string())),
        _ => Ok(()),
    }
}

fn text(unit: &ComputingUnit, args: &Args) -> Result<String, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Print(error.to_string());
    let name = unit.name_any();
    Ok(match args.output {
        Some(Output::Name) => format!("{RESOURCE}/{name}"),
        Some(Output::Json) => serde_json::to_string_pretty(&object(unit)?).map_err(|error| failed(&error))?,
        Some(Output::Yaml) => serde_saphyr::to_string(&object(unit)?).map_err(|error| failed(&error))?,
        None => {
            let how = match args.dry_run {
                DryRun::None => "",
                DryRun::Client => " (dry run)",
                DryRun::Server => " (server dry run)",
            };
            format!("{RESOURCE}/{name} created{how}")
        }
    })
}

/// The object in the order in which kubectl prints it, without who wrote which field.
fn object(unit: &ComputingUnit) -> Result<Value, Failure> {
    let mut unit = unit.clone();
    unit.metadata.managed_fields = None;
    let value = serde_json::to_value(&unit).map_err(|error| Failure::Print(error.to_string()))?;
    let Value::Object(mut whole) = value else { return Ok(value) };
    let mut ordered = Map::new();
    for key in ["apiVersion", "kind", "metadata", "spec", "status"] {
        ordered.extend(whole.remove(key).filter(|value| !value.is_null()).map(|value| (key.to_owned(), value)));
    }
    Ok(Value::Object(ordered))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn printed(line: &str) -> String {
        let args = Args::parse_from(std::iter::once("x").chain(line.split_whitespace()));
        text(&crate::object::unit(&args).unwrap(), &args).unwrap()
    }

    #[test]
    fn prints_as_kubectl_does() {
        assert_eq!(printed("a"), "computingunit.texera.apache.org/a created");
        assert_eq!(printed("a --dry-run=client"), "computingunit.texera.apache.org/a created (dry run)");
        assert_eq!(printed("a --dry-run=server"), "computingunit.texera.apache.org/a created (server dry run)");
        assert_eq!(printed("a -o name"), "computingunit.texera.apache.org/a");
        let yaml = printed("a --cuid 1 -o yaml");
        assert!(
            yaml.starts_with(
                "apiVersion: texera.apache.org/v1alpha1\nkind: ComputingUnit\nmetadata:\n  name: a\nspec:\n"
            ),
            "{yaml}"
        );
        assert!(printed("a -o json").contains("\"kind\": \"ComputingUnit\""));
    }
}
