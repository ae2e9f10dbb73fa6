//! Reads the statistics of one proxy as they come: lines of Prometheus text, of which few are kept.
//!
//! Pure. A line about a wanted unit that cannot be understood spoils all, for the rest may lack something too. A unit
//! whose cluster the proxy does not know by the expected name is not taken to be unused: then the name is another.

use std::collections::HashMap;

use super::counters::Count;

/// The request for all that is read here, of all units at once. The number of members tells that the proxy has the
/// unit's cluster, for counters that are still at zero are left out.
pub const REQUEST: &str = "/stats/prometheus?usedonly&filter=%5E(cluster%5C.httproute%2F.%2B%5C.\
(upstream_(rq_total%7Ccx_rx_bytes_total%7Ccx_tx_bytes_total)%7Cmembership_total)%7Cserver%5C.uptime)%24";
/// No line that is read here is longer.
const LONGEST: usize = 4096;

/// What Envoy Gateway calls the cluster behind a unit's route.
pub fn cluster(namespace: &str, name: &str) -> String {
    format!("httproute/{namespace}/{name}/rule/0")
}

/// A line that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// It has no end.
    #[error("sends lines of more than {LONGEST} bytes")]
    Long,
    /// It has no value.
    #[error("sends a line that is no statistic")]
    Line,
}

/// Takes the text in pieces.
pub struct Reader<'a> {
    wanted: &'a HashMap<String, usize>,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    uptime: Option<u64>,
    found: Vec<(Count, bool)>,
}

impl<'a> Reader<'a> {
    /// Reads for the clusters of these names; their numbers are from 0 up.
    pub fn new(wanted: &'a HashMap<String, usize>) -> Self {
        Self { wanted, begun: Vec::new(), uptime: None, found: vec![Default::default(); wanted.len()] }
    }

    /// Takes the next piece.
    pub fn take(&mut self, mut piece: &[u8]) -> Result<(), Garbled> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            if self.begun.is_empty() {
                self.line(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                self.line(&whole)?;
            }
            piece = rest;
        }
        if self.begun.len() + piece.len() > LONGEST {
            return Err(Garbled::Long);
        }
        self.begun.extend_from_slice(piece);
        Ok(())
    }

    /// What was counted for each wanted cluster, by its number; `None` where the proxy does not know it.
    pub fn finish(mut self) -> Result<Vec<Option<Count>>, Garbled> {
        let last = std::mem::take(&mut self.begun);
        self.line(&last)?;
        let uptime = self.uptime;
        let found = self.found.into_iter();
        Ok(found.map(|(count, known)| known.then_some(Count { uptime, ..count })).collect())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Garbled> {
        if line.len() > LONGEST {
            return Err(Garbled::Long);
        }
        if line.is_empty() || line[0] == b'#' {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| Garbled::Line)?;
        let (series, value) = line.trim_end().rsplit_once(' ').ok_or(Garbled::Line)?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        if name == "envoy_server_uptime" {
            self.uptime = Some(number(value)?);
            return Ok(());
        }
        let cluster = labels.split_once("envoy_cluster_name=\"").and_then(|(_, rest)| rest.split_once('"'));
        let Some(index) = cluster.and_then(|(cluster, _)| self.wanted.get(cluster)) else { return Ok(()) };
        let Some((count, known)) = self.found.get_mut(*index) else { return Ok(()) };
        let value = number(value)?;
        match name {
            "envoy_cluster_membership_total" => *known = true,
            "envoy_cluster_upstream_rq_total" => count.requests = count.requests.saturating_add(value),
            "envoy_cluster_upstream_cx_rx_bytes_total" | "envoy_cluster_upstream_cx_tx_bytes_total" => {
                count.bytes = count.bytes.saturating_add(value);
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(value: &str) -> Result<u64, Garbled> {
    if let Ok(whole) = value.parse() {
        return Ok(whole);
    }
    let value: f64 = value.parse().map_err(|_| Garbled::Line)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; what is beyond is cut")]
    if value.is_finite() && value >= 0.0 { Ok(value as u64) } else { Err(Garbled::Line) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    fn wanted() -> HashMap<String, usize> {
        ["ada", "bob", "cyd"].iter().enumerate().map(|(index, name)| (cluster("units", name), index)).collect()
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Option<Count>>, Garbled> {
        let wanted = wanted();
        let mut reader = Reader::new(&wanted);
        pieces.into_iter().try_for_each(|piece| reader.take(piece))?;
        reader.finish()
    }

    fn expected() -> Vec<Option<Count>> {
        let ada = Count { requests: 12, bytes: 1234, uptime: Some(77) };
        vec![Some(ada), Some(Count { uptime: Some(77), ..Count::default() }), None]
    }

    #[test]
    fn counts_are_found_wherever_the_pieces_are_cut() {
        assert_eq!(read([TEXT.as_bytes()]), Ok(expected()));
        for size in 1..200 {
            assert_eq!(read(TEXT.as_bytes().chunks(size)), Ok(expected()), "pieces of {size}");
        }
        assert_eq!(read([TEXT.trim_end().as_bytes()]), Ok(expected()), "a last line without an end");
    }

    #[test]
    fn what_is_no_statistic_spoils_all() {
        for line in ["<html>", "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} x"] {
            assert_eq!(read([TEXT.as_bytes(), line.as_bytes()]), Err(Garbled::Line), "{line}");
        }
        assert_eq!(read([TEXT.as_bytes(), b"\xff\xfe 1\n"]), Err(Garbled::Line));
        let negative = "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"httproute/units/ada/rule/0\"} -1";
        assert_eq!(read([negative.as_bytes()]), Err(Garbled::Line));
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(read([long.as_slice()]), Err(Garbled::Long));
        assert_eq!(read(std::iter::repeat_n(b"x".as_slice(), LONGEST + 1)), Err(Garbled::Long));
        let ended: Vec<u8> = long.into_iter().chain(*b" 1\n").collect();
        assert_eq!(read([ended.as_slice()]), Err(Garbled::Long));
    }

    #[test]
    fn floats_are_read() {
        assert_eq!([number("1.5e+03"), number("7"), number("0")], [Ok(1500), Ok(7), Ok(0)]);
        assert_eq!([number("NaN"), number("inf"), number("")], [const { Err(Garbled::Line) }; 3]);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let _ = read(pieces.iter().map(Vec::as_slice));
        }
    }
}
