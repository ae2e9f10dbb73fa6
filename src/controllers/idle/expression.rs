//! An expression in CEL over the response to a busy probe.
//!
//! Pure. Expressions come from deployers and responses from units, so the cost of an evaluation has an upper bound that is
//! known before it: the number of nodes to evaluate, if every loop runs over every value of the response.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use cel::{
    Context, IdedExpr, Program, Value,
    common::ast::{EntryExpr, Expr, MapExpr, StructExpr},
    objects::{Key, Map},
};
use chrono::DateTime;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value as Json;

/// The largest cost of one evaluation, in nodes of the expression.
const MAX_COST: usize = 250_000;
/// The deepest nesting of an expression. The evaluation is recursive.
const MAX_DEPTH: usize = 64;
/// The parser is recursive too: the longest expression overflows the stack of a worker thread.
const PARSER_STACK: usize = 256 << 20;
/// A long text in a response costs as much as one value for each of these bytes.
const BYTES_PER_VALUE: usize = 256;

/// What a unit reports of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Whether work is running.
    Busy(bool),
    /// The time of the last activity.
    LastActivity(Timestamp),
}

/// The response of a unit.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// `null` if the body is not JSON.
    pub json: Json,
}

/// Why an expression cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExpression {
    #[error("it is not valid CEL: {0}")]
    Syntax(String),
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    Depth,
    #[error("{0}: use response.status, response.json and now")]
    Undeclared(String),
    #[error("it has the type {0}: it must be a boolean or a timestamp")]
    Type(String),
}

/// Why an expression has no value for a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    #[error("{0}")]
    Failed(String),
    #[error("it has the type {0}: it must be a boolean or a timestamp")]
    Type(String),
    #[error("it would cost {0} steps for this response, and {MAX_COST} are allowed")]
    Cost(usize),
    #[error("the timestamp is out of range")]
    Time,
}

/// A valid expression.
#[derive(Debug)]
pub struct Expression(Program);

impl Expression {
    /// # Errors
    /// If it is not valid, as far as that can be determined without a response.
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        let text = text.to_owned();
        let parser = thread::Builder::new().stack_size(PARSER_STACK).spawn(move || Self::parse_recursively(&text));
        let failed = |problem: String| InvalidExpression::Syntax(problem);
        let parser = parser.map_err(|error| failed(format!("cannot start the parser: {error}")))?;
        parser.join().unwrap_or_else(|_| Err(failed("the parser failed".to_owned())))
    }

    fn parse_recursively(text: &str) -> Result<Self, InvalidExpression> {
        let syntax = |error: String| InvalidExpression::Syntax(error.lines().next().unwrap_or_default().to_owned());
        let program = Program::compile(text).map_err(|error| syntax(error.to_string()))?;
        if depth(program.expression()) > MAX_DEPTH {
            return Err(InvalidExpression::Depth);
        }
        let expression = Self(program);
        let example = Response { status: 200, json: Json::Null };
        match expression.resolve(&example, Timestamp::UNIX_EPOCH) {
            Err(cel::ExecutionError::UndeclaredReference(name)) => {
                Err(InvalidExpression::Undeclared(format!("{name:?} is unknown")))
            }
            // Whether it has a value for other responses is not known.
            Ok(Value::Bool(_) | Value::Timestamp(_) | Value::Null) | Err(_) => Ok(expression),
            Ok(other) => Err(InvalidExpression::Type(other.type_of().to_string())),
        }
    }

    /// # Errors
    /// If it has no value, or one of another type.
    pub fn evaluate(&self, response: &Response, now: Timestamp) -> Result<Report, EvaluationError> {
        let cost = cost(self.0.expression(), values(&response.json));
        if cost > MAX_COST {
            return Err(EvaluationError::Cost(cost));
        }
        match self.resolve(response, now).map_err(|error| EvaluationError::Failed(error.to_string()))? {
            Value::Bool(busy) => Ok(Report::Busy(busy)),
            Value::Timestamp(time) => {
                let time = Timestamp::from_second(time.timestamp()).map_err(|_| EvaluationError::Time)?;
                Ok(Report::LastActivity(time))
            }
            other => Err(EvaluationError::Type(other.type_of().to_string())),
        }
    }

    fn resolve(&self, response: &Response, now: Timestamp) -> Result<Value, cel::ExecutionError> {
        let fields = [("status", Value::Int(response.status.into())), ("json", value(&response.json))];
        let response: HashMap<&str, Value> = fields.into_iter().collect();
        let mut context = Context::default();
        context.add_variable_from_value("response", Value::Map(Map::from(response)));
        let now = DateTime::from_timestamp(now.as_second(), 0).unwrap_or_default();
        context.add_variable_from_value("now", Value::Timestamp(now.fixed_offset()));
        // The library panics on some overflows.
        let result = catch_unwind(AssertUnwindSafe(|| self.0.execute(&context)));
        result.unwrap_or_else(|_| Err(cel::ExecutionError::function_error("evaluation", "a value is out of range")))
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        // A number without a fraction is an int, as in the validation rules of Kubernetes.
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone().into()),
        Json::Array(items) => Value::List(items.iter().map(value).collect::<Vec<_>>().into()),
        Json::Object(fields) => {
            let fields: HashMap<Key, Value> =
                fields.iter().map(|(name, field)| (Key::from(name.as_str()), value(field))).collect();
            Value::Map(Map { map: fields.into() })
        }
    }
}

/// The number of values in a response.
fn values(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(values).sum(),
        Json::Object(fields) => fields.iter().map(|(name, field)| name.len() / BYTES_PER_VALUE + values(field)).sum(),
        Json::String(text) => text.len() / BYTES_PER_VALUE,
        _ => 0,
    }
}

/// The number of nodes that are evaluated if each loop runs `values` times.
fn cost(expression: &IdedExpr, values: usize) -> usize {
    let (once, repeated) = children(expression);
    let sum = |nodes: Vec<&IdedExpr>| nodes.iter().map(|node| cost(node, values)).fold(0, usize::saturating_add);
    sum(repeated).saturating_mul(values).saturating_add(sum(once)).saturating_add(1)
}

fn depth(expression: &IdedExpr) -> usize {
    let (once, repeated) = children(expression);
    1 + once.into_iter().chain(repeated).map(depth).max().unwrap_or(0)
}

/// The parts of an expression that are evaluated once, and those that a loop evaluates repeatedly.
fn children(expression: &IdedExpr) -> (Vec<&IdedExpr>, Vec<&IdedExpr>) {
    let once = match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => vec![],
        Expr::Call(call) => call.args.iter().chain(call.target.as_deref()).collect(),
        Expr::Comprehension(each) => {
            return (vec![&each.iter_range, &each.accu_init, &each.result], vec![&each.loop_cond, &each.loop_step]);
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![select.operand.as_ref()],
        Expr::Map(MapExpr { entries }) | Expr::Struct(StructExpr { entries, .. }) => {
            entries.iter().flat_map(|entry| parts(&entry.expr)).collect()
        }
    };
    (once, vec![])
}

fn parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-01T12:00:00Z";

    fn evaluate(text: &str, status: u16, json: Json) -> Result<Report, EvaluationError> {
        Expression::parse(text).unwrap().evaluate(&Response { status, json }, NOW.parse().unwrap())
    }

    /// The expressions of `docs/idle.md`, on responses that Jupyter Server 2.21.1 has given.
    #[test]
    fn expressions_for_jupyter_server_have_values() {
        let page = include_str!("../../../docs/idle.md").split_whitespace().collect::<Vec<_>>().join(" ");
        let evaluate = |text: &str, json: &str| {
            assert!(page.contains(text), "{text}");
            evaluate(text, 200, serde_json::from_str(json).unwrap())
        };
        let kernels = "response.json.exists(kernel, kernel.execution_state == 'busy' || \
                       kernel.execution_state in ['starting', 'restarting'] && \
                       now - timestamp(kernel.last_activity) < duration('5m'))";
        let kernel = |state: &str, minute: u32| {
            format!(
                r#"[{{"id": "3d08494b-6163-4ef4-a975-3bfa2ea83d46", "name": "python3",
                "last_activity": "2026-01-01T11:{minute}:17.931768Z", "execution_state": "{state}", "connections": 1}}]"#
            )
        };
        for (response, busy) in [
            ("[]".to_owned(), false),
            (kernel("starting", 58), true),
            // No client has ever connected to it.
            (kernel("starting", 51), false),
            (kernel("busy", 51), true),
            (kernel("idle", 58), false),
            (kernel("dead", 58), false),
        ] {
            assert_eq!(evaluate(kernels, &response), Ok(Report::Busy(busy)), "{response}");
        }
        let terminals = "response.json.exists(terminal, now - timestamp(terminal.last_activity) < duration('5m'))";
        let terminal = |time: &str| format!(r#"[{{"name": "1", "last_activity": "{time}"}}]"#);
        for (response, busy) in [
            ("[]".to_owned(), false),
            (terminal("2026-01-01T11:57:29.260835Z"), true),
            (terminal("2026-01-01T11:51:29.260835Z"), false),
        ] {
            assert_eq!(evaluate(terminals, &response), Ok(Report::Busy(busy)), "{response}");
        }
        let alive = "response.json.status == 'alive'";
        let expired = r#"{"status": "expired", "lastHeartbeat": 0}"#;
        assert_eq!(evaluate(alive, expired), Ok(Report::Busy(false)), "code-server");
    }

    #[test]
    fn expression_has_a_boolean_or_a_timestamp() {
        let kernels = |states: &[&str]| {
            let kernel = |state: &&str| json!({"execution_state": state, "last_activity": "2026-01-01T11:00:00.5Z"});
            Json::Array(states.iter().map(kernel).collect())
        };
        let busy = "response.json.exists(kernel, kernel.execution_state == 'busy')";
        assert_eq!(evaluate(busy, 200, kernels(&["idle", "busy"])), Ok(Report::Busy(true)));
        assert_eq!(evaluate(busy, 200, kernels(&["idle"])), Ok(Report::Busy(false)));
        assert_eq!(evaluate(busy, 200, json!([])), Ok(Report::Busy(false)));
        let last = "timestamp(response.json.last_activity)";
        let time = Report::LastActivity("2026-01-01T11:00:00Z".parse().unwrap());
        assert_eq!(evaluate(last, 200, json!({"last_activity": "2026-01-01T11:00:00.123456Z"})), Ok(time));
        let newest = "response.json.size() == 0 ? timestamp(0) : max(response.json.map(k, timestamp(k.last_activity)))";
        let newest = newest.replace("timestamp(0)", "now - duration('1h')");
        assert_eq!(evaluate(&newest, 200, kernels(&["idle"])), Ok(time));
        assert_eq!(evaluate(&newest, 200, json!([])), Ok(time));
        assert_eq!(evaluate("response.status == 204", 204, Json::Null), Ok(Report::Busy(true)));
        assert_eq!(evaluate("response.json.connections > 0", 200, json!({"connections": 1})), Ok(Report::Busy(true)));
    }

    #[test]
    fn expression_without_a_value_is_an_error() {
        for (text, json, error) in [
            ("response.json.busy", json!({}), "No such key"),
            ("response.json.busy", json!({"busy": "yes"}), "type string"),
            ("timestamp(response.json.at)", json!({"at": "yesterday"}), "timestamp"),
            ("response.json.n + 9223372036854775807 > 0", json!({"n": 1}), "verflow"),
            ("now + duration('1000000h') * response.json.n > now", json!({"n": 1}), ""),
            ("response.json[7] == 1", json!([1]), ""),
        ] {
            let found = evaluate(text, 200, json).unwrap_err().to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
    }

    #[test]
    fn invalid_expression_is_detected_without_a_response() {
        for (text, error) in [
            ("", "not valid CEL"),
            ("response.json.busy ==", "not valid CEL"),
            ("request.json.busy", "\"request\" is unknown"),
            ("busy(response)", "unknown"),
            ("response.status", "type int"),
            ("'busy'", "type string"),
        ] {
            let found = Expression::parse(text).unwrap_err().to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
        for text in ["response.json.a.b.c == 1", "response.json.exists(x, x.busy)", "true", "now", "response.json"] {
            assert!(Expression::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn cost_is_limited_before_the_evaluation() {
        let list = |length| Json::Array(vec![json!(1); length]);
        let nested = "response.json.exists(a, response.json.exists(b, a + b == 0))";
        assert_eq!(evaluate(nested, 200, list(20)), Ok(Report::Busy(false)));
        assert!(matches!(evaluate(nested, 200, list(10_000)), Err(EvaluationError::Cost(_))));
        assert_eq!(evaluate("response.json.exists(a, a == 0)", 200, list(10_000)), Ok(Report::Busy(false)));
        let text = json!(["x".repeat(60_000)]);
        let many = "response.json.all(a, response.json.all(b, response.json.all(c, a + b + c != '')))";
        assert!(matches!(evaluate(many, 200, text), Err(EvaluationError::Cost(_))), "long texts cost more");
    }

    /// Runs on the stack of a worker thread: an overflow would end the process.
    #[test]
    fn longest_expressions_do_not_overflow_the_stack() {
        let half = 1023;
        for text in [
            format!("{}true{}", "(".repeat(half - 2), ")".repeat(half - 2)),
            format!("{}true", "!".repeat(2044)),
            format!("{}1 > 0", "-".repeat(2042)),
            format!("1{} > 0", "+1".repeat(1020)),
            format!("response{}", ".a".repeat(1020)),
            format!("true{}", "||true".repeat(340)),
            format!("{}true", "true?true:".repeat(200)),
            format!("{}{}", "[".repeat(half), "]".repeat(half)),
            format!("{}1{}", "{1:".repeat(500), "}".repeat(500)),
        ] {
            let run = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
                if let Ok(expression) = Expression::parse(&text) {
                    let _ = expression.evaluate(&Response { status: 200, json: Json::Null }, Timestamp::UNIX_EPOCH);
                }
            });
            run.unwrap().join().unwrap();
        }
    }
}
