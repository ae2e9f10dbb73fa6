//! Parses the statistics of one proxy while they arrive: Prometheus text format, of which few series are kept.
//!
//! Pure. An invalid line makes all of the statistics invalid, since more may be missing. A cluster that is absent is not
//! taken as unused: the proxy may name it differently.

use std::collections::HashMap;

use super::counters::Counters;
use crate::gateway::provider::Statistics;

/// The longest line that is accepted.
const MAX_LINE: usize = 4096;

/// Reads as the predicate of a sentence about the proxy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStatistics {
    #[error("sent a line of more than {MAX_LINE} bytes")]
    LongLine,
    #[error("sent a line that is not a sample in Prometheus text format")]
    Line,
}

pub struct Parser<'a> {
    statistics: &'static Statistics,
    /// Precedes the name of the cluster in a line.
    cluster_prefix: String,
    clusters: &'a HashMap<String, usize>,
    /// The beginning of a line that is not complete yet.
    partial: Vec<u8>,
    uptime: Option<u64>,
    /// The counters of each unit, and how many of its clusters the proxy lacks.
    found: Vec<(Counters, usize)>,
}

impl<'a> Parser<'a> {
    /// Parses the counters of the clusters of these names, which belong to units that are numbered from 0.
    pub fn new(statistics: &'static Statistics, clusters: &'a HashMap<String, usize>) -> Self {
        let cluster_prefix = format!("{}=\"", statistics.cluster_label);
        let units = clusters.values().max().map_or(0, |last| last + 1);
        let mut found = vec![(Counters::default(), 0); units];
        for index in clusters.values() {
            found[*index].1 += 1;
        }
        Self { statistics, cluster_prefix, clusters, partial: Vec::new(), uptime: None, found }
    }

    pub fn push(&mut self, mut chunk: &[u8]) -> Result<(), InvalidStatistics> {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&chunk[..end], &chunk[end + 1..]);
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                let mut complete = std::mem::take(&mut self.partial);
                complete.extend_from_slice(line);
                self.line(&complete)?;
            }
            chunk = rest;
        }
        if self.partial.len() + chunk.len() > MAX_LINE {
            return Err(InvalidStatistics::LongLine);
        }
        self.partial.extend_from_slice(chunk);
        Ok(())
    }

    /// The counters of each unit, by its number. `None` if the proxy does not have all of its clusters.
    pub fn finish(mut self) -> Result<Vec<Option<Counters>>, InvalidStatistics> {
        let last = std::mem::take(&mut self.partial);
        self.line(&last)?;
        let uptime = self.uptime;
        let found = self.found.into_iter();
        Ok(found.map(|(counters, missing)| (missing == 0).then_some(Counters { uptime, ..counters })).collect())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), InvalidStatistics> {
        if line.len() > MAX_LINE {
            return Err(InvalidStatistics::LongLine);
        }
        if line.is_empty() || line[0] == b'#' {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| InvalidStatistics::Line)?;
        let (series, value) = line.trim_end().rsplit_once(' ').ok_or(InvalidStatistics::Line)?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        if name == self.statistics.uptime {
            self.uptime = Some(number(value)?);
            return Ok(());
        }
        let cluster = labels.split_once(&self.cluster_prefix).and_then(|(_, rest)| rest.split_once('"'));
        let Some(index) = cluster.and_then(|(cluster, _)| self.clusters.get(cluster)) else { return Ok(()) };
        let Some((counters, missing)) = self.found.get_mut(*index) else { return Ok(()) };
        let value = number(value)?;
        if name == self.statistics.presence {
            *missing = missing.saturating_sub(1);
        } else if name == self.statistics.requests {
            counters.requests = counters.requests.saturating_add(value);
        } else if self.statistics.bytes.contains(&name) {
            counters.bytes = counters.bytes.saturating_add(value);
        }
        Ok(())
    }
}

fn number(value: &str) -> Result<u64, InvalidStatistics> {
    if let Ok(integer) = value.parse() {
        return Ok(integer);
    }
    let value: f64 = value.parse().map_err(|_| InvalidStatistics::Line)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; larger values saturate")]
    if value.is_finite() && value >= 0.0 { Ok(value as u64) } else { Err(InvalidStatistics::Line) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::{envoy_gateway::EnvoyGateway, provider::Provider};

    const TEXT: &str = "\
# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} 12
envoy_cluster_upstream_rq_total{envoy_cluster_name=\"httproute/units/eve/rule/0\"} 99
envoy_cluster_upstream_rq_total{envoy_cluster_name=\"xds_cluster\"} 2
# TYPE envoy_cluster_upstream_cx_rx_bytes_total counter
envoy_cluster_upstream_cx_rx_bytes_total{a=\"b\",envoy_cluster_name=\"httproute/units/ada/rule/0\",c=\"d\"} 1000
envoy_cluster_upstream_cx_tx_bytes_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} 234
# TYPE envoy_cluster_membership_total gauge
envoy_cluster_membership_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} 1
envoy_cluster_membership_total{envoy_cluster_name=\"httproute/units/bob/rule/0\"} 0
# TYPE envoy_server_uptime gauge
envoy_server_uptime{} 77
";

    fn clusters() -> HashMap<String, usize> {
        let names = ["ada", "bob", "cyd"].iter().enumerate();
        names.map(|(index, name)| (EnvoyGateway.cluster_name("units", name, 0), index)).collect()
    }

    fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Option<Counters>>, InvalidStatistics> {
        let clusters = clusters();
        let mut parser = Parser::new(EnvoyGateway.statistics(), &clusters);
        chunks.into_iter().try_for_each(|chunk| parser.push(chunk))?;
        parser.finish()
    }

    fn expected() -> Vec<Option<Counters>> {
        let ada = Counters { requests: 12, bytes: 1234, uptime: Some(77) };
        vec![Some(ada), Some(Counters { uptime: Some(77), ..Counters::default() }), None]
    }

    #[test]
    fn counters_are_parsed_from_chunks_of_any_size() {
        assert_eq!(parse([TEXT.as_bytes()]), Ok(expected()));
        for size in 1..200 {
            assert_eq!(parse(TEXT.as_bytes().chunks(size)), Ok(expected()), "chunks of {size}");
        }
        assert_eq!(parse([TEXT.trim_end().as_bytes()]), Ok(expected()), "the last line without a line feed");
    }

    #[test]
    fn ports_of_a_unit_are_counted_together_and_none_may_be_missing() {
        let units = ["ada", "eve"].iter().enumerate();
        let clusters: HashMap<_, _> = units
            .flat_map(|(index, name)| (0..2).map(move |rule| (EnvoyGateway.cluster_name("units", name, rule), index)))
            .collect();
        let mut parser = Parser::new(EnvoyGateway.statistics(), &clusters);
        parser.push(TEXT.as_bytes()).unwrap();
        for line in [
            "upstream_rq_total{envoy_cluster_name=\"httproute/units/ada/rule/1\"} 3",
            "membership_total{envoy_cluster_name=\"httproute/units/ada/rule/1\"} 1",
            "membership_total{envoy_cluster_name=\"httproute/units/eve/rule/0\"} 1",
        ] {
            parser.push(format!("envoy_cluster_{line}\n").as_bytes()).unwrap();
        }
        let ada = Counters { requests: 15, bytes: 1234, uptime: Some(77) };
        assert_eq!(parser.finish(), Ok(vec![Some(ada), None]));
    }

    #[test]
    fn statistics_with_an_invalid_line_are_invalid() {
        for line in ["<html>", "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} x"] {
            assert_eq!(parse([TEXT.as_bytes(), line.as_bytes()]), Err(InvalidStatistics::Line), "{line}");
        }
        assert_eq!(parse([TEXT.as_bytes(), b"\xff\xfe 1\n"]), Err(InvalidStatistics::Line));
        let negative = "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} -1";
        assert_eq!(parse([negative.as_bytes()]), Err(InvalidStatistics::Line));
    }

    #[test]
    fn line_without_an_end_is_rejected() {
        let long = vec![b'x'; MAX_LINE + 1];
        assert_eq!(parse([long.as_slice()]), Err(InvalidStatistics::LongLine));
        assert_eq!(parse(std::iter::repeat_n(b"x".as_slice(), MAX_LINE + 1)), Err(InvalidStatistics::LongLine));
        let ended: Vec<u8> = long.into_iter().chain(*b" 1\n").collect();
        assert_eq!(parse([ended.as_slice()]), Err(InvalidStatistics::LongLine));
    }

    #[test]
    fn number_may_be_a_float() {
        assert_eq!([number("1.5e+03"), number("7"), number("0")], [Ok(1500), Ok(7), Ok(0)]);
        assert_eq!([number("NaN"), number("inf"), number("")], [const { Err(InvalidStatistics::Line) }; 3]);
    }

    proptest! {
        #[test]
        fn parser_does_not_panic(chunks in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let _ = parse(chunks.iter().map(Vec::as_slice));
        }
    }
}
