//! The data of a part as comma-separated values (RFC 4180), numbers in full.

use super::data::{Content, LinePlot, MapPlot, Pictures, Table};

/// The data as CSV with a header line.
#[must_use]
pub fn csv(content: &Content) -> String {
    let rows = match content {
        Content::Lines(plot) => of_lines(plot),
        Content::Map(map) => of_map(map),
        Content::Table(table) => of_table(table),
        Content::Pictures(pictures) => of_pictures(pictures),
    };
    rows.iter().map(|row| row.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",") + "\r\n").collect()
}

fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn of_lines(plot: &LinePlot) -> Vec<Vec<String>> {
    let lines = plot
        .lines
        .iter()
        .flat_map(|line| line.points.iter().map(|[x, y]| vec![line.name.clone(), x.to_string(), y.to_string()]));
    let reference = plot.reference.iter().map(|(name, value)| vec![name.clone(), String::new(), value.to_string()]);
    std::iter::once(words(&["line", &plot.x, &plot.y])).chain(lines).chain(reference).collect()
}

fn of_map(map: &MapPlot) -> Vec<Vec<String>> {
    let mut rows = vec![words(&[&map.y, &map.x, &map.value])];
    for (row, values) in (0..).zip(&map.values) {
        for (column, &value) in (0..).zip(values).filter(|(_, value)| value.is_some()) {
            let place = [map.first_y + map.step_y * row, map.first_x + column];
            rows.push(vec![place[0].to_string(), place[1].to_string(), number(value)]);
        }
    }
    rows
}

fn of_table(table: &Table) -> Vec<Vec<String>> {
    let row = |(name, values): &(String, Vec<Option<f64>>)| {
        std::iter::once(name.clone()).chain(values.iter().copied().map(number)).collect()
    };
    std::iter::once(table.columns.clone()).chain(table.rows.iter().map(row)).collect()
}

fn of_pictures(pictures: &Pictures) -> Vec<Vec<String>> {
    let mut rows = vec![words(&["row", "picture", "figure", "value"])];
    for (name, pictures) in &pictures.rows {
        for picture in pictures {
            let figure = |(figure, value): &(String, f64)| {
                vec![name.clone(), picture.label.clone(), figure.clone(), value.to_string()]
            };
            rows.extend(picture.figures.iter().map(figure));
        }
    }
    rows
}
