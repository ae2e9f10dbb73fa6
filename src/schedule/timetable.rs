//! The times of a unit: those of its own schedule and of that of its pool.

use computing_unit_api::Schedule;
use croner::Cron;
use jiff::Timestamp;

use super::calendar::Calendar;

/// What a schedule does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It suspends the unit.
    Suspend,
    /// It resumes the unit.
    Resume,
}

/// The times of one unit.
#[derive(Clone, Debug)]
pub struct Timetable {
    calendars: Vec<Calendar>,
    /// Whether the last one is the unit's own, which replaces the others as to when it is resumed.
    own: bool,
}

impl Timetable {
    /// The timetable of a unit, given its own schedule and that of its pool. A schedule that is invalid has no times, and is
    /// reported elsewhere.
    pub fn of(own: Option<&Schedule>, pool: Option<&Schedule>) -> Option<Self> {
        let calendar = |schedule: Option<&Schedule>| schedule.and_then(|schedule| Calendar::parse(schedule).ok());
        let calendars: Vec<_> = [calendar(pool), calendar(own)].into_iter().flatten().collect();
        let own = own.is_some_and(|own| Calendar::parse(own).is_ok());
        (!calendars.is_empty()).then_some(Self { calendars, own })
    }

    /// The first time of a change after `after`.
    pub fn next(&self, change: Change, after: Timestamp) -> Option<Timestamp> {
        self.times(change).filter_map(|(calendar, times)| calendar.next(times, after)).min()
    }

    /// The last time of a change until `now`, unless it was missed for too long.
    pub fn last(&self, change: Change, now: Timestamp) -> Option<Timestamp> {
        let last = |(calendar, times): (&Calendar, &[Cron])| {
            let time = calendar.last(times, now)?;
            (now.duration_since(time) <= calendar.deadline).then_some(time)
        };
        self.times(change).filter_map(last).max()
    }

    fn times(&self, change: Change) -> impl Iterator<Item = (&Calendar, &[Cron])> {
        let ignored = if self.own && change == Change::Resume { self.calendars.len() - 1 } else { 0 };
        self.calendars.iter().skip(ignored).map(move |calendar| match change {
            Change::Suspend => (calendar, calendar.suspend.as_slice()),
            Change::Resume => (calendar, calendar.resume.as_slice()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn timetable(own: Option<Value>, pool: Option<Value>) -> Option<Timetable> {
        let schedule = |value: Option<Value>| value.map(|value| serde_json::from_value(value).unwrap());
        Timetable::of(schedule(own).as_ref(), schedule(pool).as_ref())
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-01-02T{text}Z").parse().unwrap()
    }

    #[test]
    fn unit_adds_times_of_suspension_and_replaces_those_of_the_resume() {
        let pool = || Some(json!({"timeZone": "Etc/UTC", "suspend": ["0 20 * * *"], "resume": ["0 8 * * *"]}));
        let own = || json!({"timeZone": "Etc/UTC", "suspend": ["0 18 * * *"]});
        let noon = at("12:00:00");
        let next = |own: Option<Value>, pool, change| timetable(own, pool).unwrap().next(change, noon);
        let tomorrow = |hour: &str| Some(format!("2026-01-03T{hour}:00:00Z").parse::<Timestamp>().unwrap());
        assert_eq!(next(None, pool(), Change::Suspend), Some(at("20:00:00")));
        assert_eq!(next(None, pool(), Change::Resume), tomorrow("08"));
        assert_eq!(next(Some(own()), pool(), Change::Suspend), Some(at("18:00:00")));
        assert_eq!(next(Some(own()), pool(), Change::Resume), None);
        let later = json!({"timeZone": "Etc/UTC", "suspend": ["0 22 * * *"], "resume": ["0 9 * * *"]});
        assert_eq!(next(Some(later.clone()), pool(), Change::Suspend), Some(at("20:00:00")));
        assert_eq!(next(Some(later.clone()), pool(), Change::Resume), tomorrow("09"));
        assert_eq!(next(Some(later), None, Change::Suspend), Some(at("22:00:00")));
        let invalid = json!({"timeZone": "Nowhere", "suspend": ["0 18 * * *"]});
        assert_eq!(next(Some(invalid.clone()), pool(), Change::Suspend), Some(at("20:00:00")));
        assert_eq!(next(Some(invalid.clone()), pool(), Change::Resume), tomorrow("08"));
        assert!(timetable(Some(invalid), None).is_none() && timetable(None, None).is_none());
    }

    #[test]
    fn missed_time_counts_until_its_deadline() {
        let pool = json!({"timeZone": "Etc/UTC", "suspend": ["0 20 * * *"], "startingDeadlineSeconds": 60});
        let last = |now| timetable(None, Some(pool.clone())).unwrap().last(Change::Suspend, now);
        assert_eq!(last(at("19:59:59.9")), None);
        for now in ["20:00:00", "20:00:59.9", "20:01:00"] {
            assert_eq!(last(at(now)), Some(at("20:00:00")), "{now}");
        }
        assert_eq!(last(at("20:01:00.1")), None);
    }
}
