//! The results as plots, in SVG.

use std::collections::BTreeMap;

use anyhow::anyhow;
use plotters::{
    prelude::{ChartBuilder, Circle, IntoDrawingArea, LineSeries, PathElement, SVGBackend, SeriesLabelPosition},
    style::{BLACK, Color, Palette, Palette99, WHITE},
};

use super::{
    number::size,
    report::{Kind, Phase, Report},
};

const SIZE: (u32, u32) = (860, 420);
/// The components that are plotted.
const COMPONENTS: [&str; 7] = [
    "kube-apiserver",
    "operator",
    "envoy-gateway",
    "envoy",
    "etcd",
    "kube-controller-manager",
    "bench and simulated node",
];

/// A line.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// The plots of a report: the name, title and content of each file.
///
/// # Errors
/// If one cannot be drawn.
pub fn plots(report: &Report) -> anyhow::Result<Vec<(String, String, String)>> {
    let mut plots = vec![];
    let mut add = |name: &str, title: &str, axes: [&str; 2], lines: Vec<Line>| {
        if lines.iter().any(|line| !line.points.is_empty()) {
            plots.push((format!("{name}.svg"), title.to_owned(), draw(title, axes, &lines)?));
        }
        anyhow::Ok(())
    };
    let fills: Vec<&Phase> = report.phases.iter().filter(|phase| phase.kind == Kind::Fill).collect();
    let by_size = |value: &dyn Fn(&Phase) -> Option<f64>| -> Vec<(f64, f64)> {
        fills.iter().filter_map(|phase| Some((size(phase.total), value(phase)?))).collect()
    };
    let rate = Line { name: "units a second".to_owned(), points: by_size(&|phase| phase.units_per_second) };
    add("throughput", "Filling: units a second", ["units", "units a second"], vec![rate])?;
    let mut latencies = vec![];
    for name in ["create to pod", "create to route open", "create to first 200", "create to Ready"] {
        let of = |phase: &Phase| phase.latency.iter().find(|latency| latency.name == name).map(|one| one.times.clone());
        latencies
            .push(Line { name: format!("{name}, median"), points: by_size(&|phase| Some(of(phase)?.p50_ms / 1000.0)) });
        if name == "create to Ready" {
            let points = by_size(&|phase| Some(of(phase)?.p99_ms / 1000.0));
            latencies.push(Line { name: format!("{name}, 99 %"), points });
        }
    }
    add("latency", "Filling: latency", ["units", "seconds"], latencies)?;
    let cpu = COMPONENTS.map(|name| Line {
        name: name.to_owned(),
        points: by_size(&|phase| Some(phase.components.iter().find(|one| one.name == name)?.cpu_ms_per_unit)),
    });
    add("cpu", "Filling: CPU time a unit", ["units", "milliseconds"], cpu.into())?;
    let memory = COMPONENTS.map(|name| Line {
        name: name.to_owned(),
        points: by_size(&|phase| {
            let one = phase.components.iter().find(|one| one.name == name)?;
            Some(super::number::float(one.rss_after_bytes >> 20))
        }),
    });
    add("memory", "Memory after filling", ["units", "MiB"], memory.into())?;
    add("calls", "Filling: API calls a unit", ["units", "calls"], calls(&fills))?;
    for (number, phase) in report.phases.iter().enumerate() {
        if !matches!(phase.kind, Kind::Idle) {
            let title = format!("Progress: {}", phase.name);
            add(&format!("progress-{number}"), &title, ["seconds", "units"], progress(phase))?;
        }
    }
    Ok(plots)
}

fn calls(fills: &[&Phase]) -> Vec<Line> {
    let mut clients = BTreeMap::<String, Vec<(f64, f64)>>::new();
    for phase in fills {
        let mut sums = BTreeMap::<&str, f64>::new();
        for call in &phase.calls {
            // The controllers of the controller manager together.
            *sums.entry(call.client.split(':').next().unwrap_or_default()).or_default() += call.per_unit;
        }
        for (client, sum) in sums {
            clients.entry(client.to_owned()).or_default().push((size(phase.total), sum));
        }
    }
    clients.retain(|_, points| points.iter().any(|(_, calls)| *calls >= 0.1));
    clients.into_iter().map(|(name, points)| Line { name, points }).collect()
}

fn progress(phase: &Phase) -> Vec<Line> {
    let line = |name: &str, value: &dyn Fn(&super::gauges::Sample) -> Option<f64>| Line {
        name: name.to_owned(),
        points: phase.samples.iter().filter_map(|sample| Some((sample.at_s, value(sample)?))).collect(),
    };
    vec![
        line("Ready", &|sample| Some(size(sample.ready))),
        line("not reported on by the operator yet", &|sample| Some(size(sample.backlog))),
        line("depth of the operator's queue", &|sample| sample.queue_depth.map(super::number::float)),
    ]
}

fn draw(title: &str, [x, y]: [&str; 2], lines: &[Line]) -> anyhow::Result<String> {
    let mut svg = String::new();
    into(&mut svg, title, [x, y], lines).map_err(|error| anyhow!("plot {title}: {error}"))?;
    Ok(svg)
}

fn into(svg: &mut String, title: &str, [x, y]: [&str; 2], lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = |value: &dyn Fn(&(f64, f64)) -> f64| points().map(value).fold(0.0, f64::max).max(1e-3) * 1.05;
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..most(&|point| point.0), 0.0..most(&|point| point.1))?;
    chart.configure_mesh().x_desc(x).y_desc(y).light_line_style(WHITE).draw()?;
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.points.is_empty()) {
        let color = Palette99::pick(number).to_rgba();
        let series = LineSeries::new(line.points.iter().copied(), color.stroke_width(2));
        let legend = move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2));
        chart.draw_series(series)?.label(&line.name).legend(legend);
        if line.points.len() < 20 {
            chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_lines_and_their_names() {
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.to_owned(), points: points.to_vec() };
        let lines = [line("first", &[(1.0, 2.0), (3.0, 4.0)]), line("none", &[]), line("single", &[(2.0, 0.0)])];
        let svg = draw("Title", ["units", "seconds"], &lines).unwrap();
        for text in ["<svg", "Title", "units", "seconds", "first", "single", "polyline"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(!svg.contains("none</text>") && !svg.contains("NaN"), "{svg}");
    }
}
