//! Lists of objects: a table, or the objects in an output format.

use serde_json::{Value, json};

use super::{Format, print, sort, table::Table};
use crate::{error::Error, jsonpath::Template, stdio::write_stdout};

/// How a list is printed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ListArgs {
    /// Output format. One of: json, yaml, name, wide, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,...
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,

    /// Do not print headers
    #[arg(long)]
    pub no_headers: bool,

    /// Sort the list by the value at a path, for example .metadata.creationTimestamp
    #[arg(long, value_name = "PATH")]
    pub sort_by: Option<String>,

    /// Show the labels in the last column
    #[arg(long)]
    pub show_labels: bool,
}

impl ListArgs {
    /// Whether the output is a table of the command.
    pub const fn is_table(&self) -> bool {
        matches!(self.output, None | Some(Format::Wide))
    }

    /// Whether the table has more columns.
    pub const fn is_wide(&self) -> bool {
        matches!(self.output, Some(Format::Wide))
    }
}

/// A list of objects, and the rows of its table.
pub struct Listing {
    /// Headers of the columns.
    pub header: Vec<String>,
    /// A row for each object.
    pub rows: Vec<Vec<String>>,
    /// The objects.
    pub objects: Vec<Value>,
    /// Whether a single object is printed without a list around it.
    pub single: bool,
}

impl Listing {
    /// The table for these rows.
    pub fn table(&self) -> Table {
        Table::fitting(&[vec![self.header.clone()], self.rows.clone()].concat())
    }

    /// Adds the column with the labels.
    #[must_use]
    pub fn with_labels(mut self) -> Self {
        self.header.push("LABELS".to_owned());
        for (row, object) in self.rows.iter_mut().zip(&self.objects) {
            let labels = object["metadata"]["labels"].as_object();
            let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
            let labels = labels.map(|labels| labels.iter().map(pair).collect::<Vec<_>>().join(","));
            row.push(labels.filter(|labels| !labels.is_empty()).unwrap_or_else(|| "<none>".to_owned()));
        }
        self
    }

    /// Prints the list.
    ///
    /// # Errors
    /// If it cannot be written, or a path or template does not fit.
    pub fn print(mut self, args: &ListArgs) -> Result<(), Error> {
        if let Some(path) = &args.sort_by {
            let order = sort::order(&self.objects, &Template::relaxed(path)?, path)?;
            self.objects = order.iter().map(|position| self.objects[*position].clone()).collect();
            if args.is_table() {
                self.rows = order.iter().map(|position| self.rows[*position].clone()).collect();
            }
        }
        match &args.output {
            Some(format) if !args.is_table() => self.print_objects(format, args.no_headers),
            _ => {
                let table = self.table();
                let header = (!args.no_headers).then_some(&self.header);
                Ok(header.into_iter().chain(&self.rows).try_for_each(|row| write_stdout(&table.line(row)))?)
            }
        }
    }

    fn print_objects(self, format: &Format, no_headers: bool) -> Result<(), Error> {
        if let Format::CustomColumns(columns) = format {
            let lines = columns.lines(&self.objects, !no_headers)?;
            return Ok(lines.iter().try_for_each(|line| write_stdout(line))?);
        }
        match <[Value; 1]>::try_from(self.objects) {
            Ok([object]) if self.single => print(&object, format),
            Ok(objects) => print(&list(objects.to_vec()), format),
            Err(objects) => print(&list(objects), format),
        }
    }
}

fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}
