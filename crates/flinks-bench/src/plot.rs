//! Plots of growth on two logarithmic axes.

use std::path::Path;

use plotters::prelude::*;

use crate::table::{Series, Table};

const COLOURS: [RGBColor; 8] = [
    BLUE,
    RED,
    RGBColor(0, 130, 60),
    BLACK,
    MAGENTA,
    RGBColor(200, 120, 0),
    RGBColor(0, 150, 170),
    RGBColor(120, 120, 120),
];

/// Returns the file name of the plot for a growth table, or `None` for other tables.
pub fn file_name(table: &Table<'_>) -> Option<String> {
    table.axis()?;
    let words = table.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    Some(format!("{}.svg", words.collect::<Vec<_>>().join("-").to_lowercase()))
}

/// Plots a growth table. Does nothing for other tables and for tables without a positive figure.
///
/// # Errors
///
/// Returns an error if the file cannot be written.
pub fn plot(table: &Table<'_>, directory: &Path) -> anyhow::Result<()> {
    let (Some(axis), Some(name)) = (table.axis(), file_name(table)) else { return Ok(()) };
    log_log(&directory.join(name), table.title, axis, table.unit(), table.series())
}

/// Plots series of sizes and costs on two logarithmic axes.
fn log_log(path: &Path, title: &str, axis: &str, unit: &str, series: Vec<Series<'_>>) -> anyhow::Result<()> {
    let positive = |(size, cost): &(f64, f64)| *size > 0.0 && *cost > 0.0;
    let points: Vec<(f64, f64)> = series.iter().flat_map(|series| series.points.clone()).filter(positive).collect();
    let (Some(sizes), Some(costs)) = (range(points.iter().map(|p| p.0)), range(points.iter().map(|p| p.1))) else {
        return Ok(());
    };
    let area = SVGBackend::new(path, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .caption(title, ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d((sizes.0..sizes.1).log_scale(), (costs.0 / 1.5..costs.1 * 1.5).log_scale())?;
    let label = |value: &f64| crate::number::format(*value);
    chart
        .configure_mesh()
        .max_light_lines(1)
        .x_desc(axis)
        .y_desc(unit)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()?;
    for (Series { contender, points }, colour) in series.into_iter().zip(COLOURS.into_iter().cycle()) {
        let points: Vec<(f64, f64)> = points.into_iter().filter(positive).collect();
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        line.label(contender).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
    }
    let labels = &mut chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}

/// Returns the smallest and the largest value. If they are equal, the largest is doubled, because an
/// axis cannot be empty.
fn range(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let low = values.clone().min_by(f64::total_cmp)?;
    let high = values.max_by(f64::total_cmp)?;
    Some((low, if high > low { high } else { low * 2.0 }))
}
