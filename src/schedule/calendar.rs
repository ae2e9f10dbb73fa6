//! One schedule: cron expressions in a time zone.
//!
//! When clocks go forward, a time of day that does not exist is moved to the first moment after it. When they go back, a time
//! of day that occurs twice is applied once. An expression with `*` or a step in hours or minutes follows the clock through
//! both.

use computing_unit_api::Schedule;
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// Why a schedule cannot be followed. The path of the schedule precedes the message.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchedule {
    #[error(
        "timeZone: {0:?} is not in the database of time zones: use a name such as \"Europe/Berlin\" or \"Etc/UTC\""
    )]
    TimeZone(String),
    #[error(
        "{list}[{index}]: {text:?} is not a cron expression ({why}): use five fields, such as \"0 20 * * 1-5\" for 20:00 \
         from Monday to Friday"
    )]
    Expression { list: &'static str, index: usize, text: String, why: CronError },
    #[error("{list}[{index}]: {text:?} has L, W or #, which are not supported: use the five fields of a CronJob")]
    Unsupported { list: &'static str, index: usize, text: String },
    #[error("{list}[{index}]: {text:?} never occurs: none of its months has such a day")]
    Never { list: &'static str, index: usize, text: String },
}

/// The times of one schedule.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    pub(super) suspend: Vec<Cron>,
    pub(super) resume: Vec<Cron>,
    /// For how long a missed time is still applied.
    pub(super) deadline: SignedDuration,
}

impl Calendar {
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(schedule: &Schedule) -> Result<Self, InvalidSchedule> {
        let zone =
            TimeZone::get(&schedule.time_zone).map_err(|_| InvalidSchedule::TimeZone(schedule.time_zone.clone()))?;
        Ok(Self {
            zone,
            suspend: parse_all("suspend", &schedule.suspend)?,
            resume: parse_all("resume", &schedule.resume)?,
            deadline: SignedDuration::from_secs(schedule.starting_deadline_seconds.into()),
        })
    }

    /// The first time of `expressions` after `after`.
    pub(super) fn next(&self, expressions: &[Cron], after: Timestamp) -> Option<Timestamp> {
        let start = whole(after).to_zoned(self.zone.clone());
        let times = expressions.iter().filter_map(|cron| cron.find_next_occurrence(&start, false).ok());
        times.map(|time| time.timestamp()).min()
    }

    /// The last time of `expressions` that is not after `until`.
    pub(super) fn last(&self, expressions: &[Cron], until: Timestamp) -> Option<Timestamp> {
        let start = whole(until).to_zoned(self.zone.clone());
        let times = expressions.iter().filter_map(|cron| cron.find_previous_occurrence(&start, true).ok());
        times.map(|time| time.timestamp()).max()
    }
}

/// Expressions have whole seconds.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn parse_all(list: &'static str, texts: &[String]) -> Result<Vec<Cron>, InvalidSchedule> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let parse = |(index, text): (usize, &String)| {
        let text = text.clone();
        match parser.parse(&text) {
            Err(why) => Err(InvalidSchedule::Expression { list, index, text, why }),
            Ok(cron) if extended(&cron) => Err(InvalidSchedule::Unsupported { list, index, text }),
            Ok(cron) if never(&cron) => Err(InvalidSchedule::Never { list, index, text }),
            Ok(cron) => Ok(cron),
        }
    };
    texts.iter().enumerate().map(parse).collect()
}

/// Whether an expression has a notation that a `CronJob` does not accept.
fn extended(cron: &Cron) -> bool {
    let pattern = &cron.pattern;
    pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers() || pattern.matches_dom_and_dow()
}

/// Whether no day of the calendar matches, such as 30 February. A search for one would go on for thousands of years.
fn never(cron: &Cron) -> bool {
    let pattern = &cron.pattern;
    let longest = |month: u16| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let first = pattern.days.values().first().copied().unwrap_or(u16::MAX);
    // A day matches if its day of the month or its day of the week does, unless one of them is `*`.
    pattern.is_dow_wildcard() && pattern.months.values().into_iter().all(|month| first > longest(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str, suspend: &str) -> Result<Calendar, InvalidSchedule> {
        let schedule = serde_json::json!({"timeZone": zone, "suspend": [suspend]});
        Calendar::parse(&serde_json::from_value(schedule).unwrap())
    }

    fn times(zone: &str, cron: &str, from: &str, count: usize) -> Vec<String> {
        let calendar = calendar(zone, cron).unwrap();
        let last = |until| calendar.last(&calendar.suspend, until);
        let mut times: Vec<Timestamp> = vec![];
        let mut from: Timestamp = from.parse().unwrap();
        for _ in 0..count {
            let time = calendar.next(&calendar.suspend, from).unwrap();
            assert_eq!((last(time), last(time + SignedDuration::from_millis(1))), (Some(time), Some(time)));
            if let Some(before) = times.last() {
                assert_eq!(last(time - SignedDuration::from_millis(1)), Some(*before));
            }
            times.push(time);
            from = time;
        }
        times.iter().map(Timestamp::to_string).collect()
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let working_days = "0 20 * * 1-5";
        // A Friday, and the Monday after it.
        assert_eq!(
            times("Europe/Berlin", working_days, "2026-01-02T00:00:00Z", 2),
            ["2026-01-02T19:00:00Z", "2026-01-05T19:00:00Z"]
        );
        assert_eq!(times("Asia/Kathmandu", working_days, "2026-01-02T00:00:00Z", 1), ["2026-01-02T14:15:00Z"]);
        assert_eq!(times("Etc/UTC", "@daily", "2026-01-02T00:00:00.5Z", 1), ["2026-01-03T00:00:00Z"]);
        assert_eq!(times("Etc/UTC", "0 0 29 2 *", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
        assert_eq!(times("Etc/UTC", "0 0 * * sun", "2026-01-01T00:00:00Z", 1), ["2026-01-04T00:00:00Z"]);
        assert_eq!(times("Etc/UTC", "0 0 * * 7", "2026-01-01T00:00:00Z", 1), ["2026-01-04T00:00:00Z"]);
    }

    #[test]
    fn time_that_clocks_skip_is_moved_to_the_first_moment_after_it() {
        // At 01:00Z, 02:00 becomes 03:00.
        assert_eq!(
            times("Europe/Berlin", "30 2 * * *", "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        // Midnight does not exist on this day.
        assert_eq!(
            times("America/Santiago", "0 0 * * *", "2026-09-06T00:00:00Z", 2),
            ["2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]
        );
        assert_eq!(
            times("Europe/Berlin", "0 20 * * *", "2026-03-28T12:00:00Z", 2),
            ["2026-03-28T19:00:00Z", "2026-03-29T18:00:00Z"]
        );
        assert_eq!(
            times("Europe/Berlin", "0 * * * *", "2026-03-28T23:59:59Z", 3),
            ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]
        );
    }

    #[test]
    fn time_that_occurs_twice_is_applied_once() {
        // At 01:00Z, 03:00 becomes 02:00.
        assert_eq!(
            times("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            times("Europe/Berlin", "0 * * * *", "2026-10-24T23:59:59Z", 3),
            ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]
        );
    }

    #[test]
    fn schedule_that_cannot_be_followed_is_rejected_with_a_sentence() {
        for (zone, cron, words) in [
            ("Europe/Bonn", "0 20 * * *", "timeZone: \"Europe/Bonn\" is not in the database"),
            ("../../etc/passwd", "0 20 * * *", "is not in the database"),
            ("Etc/UTC", "0 25 * * *", "suspend[0]: \"0 25 * * *\" is not a cron expression"),
            ("Etc/UTC", "* * * *", "is not a cron expression"),
            ("Etc/UTC", "0 0 20 * * *", "is not a cron expression"),
            ("Etc/UTC", "@reboot", "is not a cron expression"),
            ("Etc/UTC", "", "is not a cron expression"),
            ("Etc/UTC", "0 20 L * *", "not supported"),
            ("Etc/UTC", "0 20 15W * *", "not supported"),
            ("Etc/UTC", "0 20 * * 5#2", "not supported"),
            ("Etc/UTC", "0 20 1 * +1", "not supported"),
            ("Etc/UTC", "0 20 30 2 *", "never occurs"),
            ("Etc/UTC", "0 20 31 4,6,9,11 *", "never occurs"),
        ] {
            let error = calendar(zone, cron).unwrap_err().to_string();
            assert!(error.contains(words), "{cron}: {error}");
        }
        for cron in ["0 20 31 2 1", "0 20 31 1,2 *", "0 20 ? * MON-FRI", "*/5 8-18/2 1,15 JAN *"] {
            let calendar = calendar("Etc/UTC", cron).unwrap();
            assert!(calendar.next(&calendar.suspend, Timestamp::UNIX_EPOCH).is_some(), "{cron}");
        }
    }
}
