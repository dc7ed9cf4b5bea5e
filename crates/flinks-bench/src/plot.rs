//! Plots the requests per second against the number of tasks.

use std::path::Path;

use plotters::prelude::*;

use crate::report::Report;

const COLOURS: [RGBColor; 5] = [BLUE, GREEN, RED, BLACK, MAGENTA];

pub fn load(report: &Report, path: &Path) -> anyhow::Result<()> {
    let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for figure in report.figures.iter().filter(|figure| figure.bench == "load") {
        let tasks = figure.case.split_whitespace().rev().nth(1).and_then(|tasks| tasks.parse().ok());
        let Some(tasks) = tasks else { continue };
        match lines.iter_mut().find(|(name, _)| *name == figure.contender) {
            Some((_, points)) => points.push((tasks, figure.median)),
            None => lines.push((&figure.contender, vec![(tasks, figure.median)])),
        }
    }
    let most = lines.iter().flat_map(|(_, points)| points).fold(0.0_f64, |most, (_, value)| most.max(*value));
    if most == 0.0 {
        return Ok(());
    }
    let area = SVGBackend::new(path, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .caption("Pay tokens per second over loopback, by number of tasks", ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((1.0..64.0).log_scale(), 0.0..most * 1.1)?;
    chart.configure_mesh().x_desc("tasks").y_desc("requests per second").draw()?;
    for ((name, points), colour) in lines.into_iter().zip(COLOURS) {
        let series = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}
