//! Durations in the format of kubectl.

use k8s_openapi::jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// The time from `earlier` to `later`, or `0s` if it is negative. Longer durations have fewer units.
pub fn between(earlier: Timestamp, later: Timestamp) -> String {
    let seconds = later.duration_since(earlier).as_secs().max(0);
    let two = |large: (i64, char), small: (i64, char)| {
        let (whole, rest) = (seconds / large.0, seconds % large.0 / small.0);
        if rest == 0 { format!("{whole}{}", large.1) } else { format!("{whole}{}{rest}{}", large.1, small.1) }
    };
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=599 => two((MINUTE, 'm'), (1, 's')),
        600..=10_799 => format!("{}m", seconds / MINUTE),
        10_800..=28_799 => two((HOUR, 'h'), (MINUTE, 'm')),
        28_800..=172_799 => format!("{}h", seconds / HOUR),
        172_800..=691_199 => two((DAY, 'd'), (HOUR, 'h')),
        691_200..=63_071_999 => format!("{}d", seconds / DAY),
        _ => two((YEAR, 'y'), (DAY, 'd')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_durations_are_coarser() {
        let begin = Timestamp::UNIX_EPOCH;
        for (seconds, expected) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (330, "5m30s"),
            (3_599, "59m"),
            (3 * HOUR + 20 * MINUTE, "3h20m"),
            (30 * HOUR, "30h"),
            (3 * DAY + HOUR, "3d1h"),
            (100 * DAY, "100d"),
            (3 * YEAR, "3y"),
        ] {
            let later = Timestamp::from_second(seconds).unwrap();
            assert_eq!(between(begin, later), expected);
        }
    }
}
