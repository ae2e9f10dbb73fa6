//! The parsed expressions of all pools, by their text. Each is parsed once, and evaluated for each unit in each scan.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

use super::expression::{Expression, InvalidExpression};

/// An expression, or why it is invalid.
pub type Parsed = Arc<Result<Expression, InvalidExpression>>;

#[derive(Debug, Default)]
pub struct Expressions(Mutex<HashMap<String, Parsed>>);

impl Expressions {
    /// Parses a text, unless that was done before.
    pub fn get(&self, text: &str) -> Parsed {
        if let Some(parsed) = self.0.lock().get(text) {
            return parsed.clone();
        }
        let parsed = Arc::new(Expression::parse(text));
        self.0.lock().entry(text.to_owned()).or_insert(parsed).clone()
    }

    /// Discards the expressions that no pool has any more.
    pub fn retain(&self, used: &HashSet<&str>) {
        self.0.lock().retain(|text, _| used.contains(text.as_str()));
    }
}
