//! The sums as a figure.

use hawk::Grid;

use super::sums::{AttentionSums, ByOffset, Offsets, Part as Goal};
use crate::figure::{Content, Figure, Line, LinePlot, MapPlot, Part, Spacing, Table};
use crate::settings::percent;

/// Most rows up and columns to a side that a map shows.
const REACH: i64 = 16;
/// Rows of distance that the plot of the line shows.
const ROWS_SHOWN: u32 = 4;

/// What was measured.
pub(super) struct Measured {
    pub(super) grid: Grid,
    pub(super) image: AttentionSums,
    pub(super) text: Option<AttentionSums>,
}

pub(super) fn figure(measured: &Measured, settings: Vec<[String; 2]>) -> Figure {
    let mut parts = vec![
        by_distance(measured, Shown::Weight),
        by_distance(measured, Shown::Logit),
        plane("plane-weight", measured.grid, &measured.image.all, Shown::Weight),
        plane("plane-logit", measured.grid, &measured.image.all, Shown::Logit),
        by_head(measured, "above-by-head", Goal::RowAbove),
        by_head(measured, "current-by-head", Goal::CurrentRow),
        shares(measured),
    ];
    for (index, sums) in measured.image.each.iter().enumerate() {
        let (layer, head) = (index / measured.image.heads(), index % measured.image.heads());
        let mut map = plane(&format!("layer-{layer}-head-{head}"), measured.grid, sums, Shown::Weight);
        map.title = format!("Layer {layer}, head {head}");
        parts.push(map);
    }
    Figure {
        name: "attention".to_owned(),
        title: "Attention by offset".to_owned(),
        paper: "figures 1 and 7".to_owned(),
        findings: findings(measured),
        settings,
        parts,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Weight,
    Logit,
}

impl Shown {
    fn of(self, sums: &Offsets, at: usize) -> Option<f64> {
        match self {
            Shown::Weight => sums.weight(at),
            Shown::Logit => sums.logit(at),
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Shown::Weight => ("weight", "mean attention weight"),
            Shown::Logit => ("logit", "mean attention logit"),
        }
    }
}

/// The index of an offset on the plane.
fn place(grid: Grid, up: u32, column: i64) -> usize {
    let columns = i64::from(grid.cols());
    (i64::from(up) * (2 * columns - 1) + column + columns - 1) as usize
}

fn findings(measured: &Measured) -> Vec<String> {
    let (sums, grid) = (&measured.image, measured.grid);
    let share = |part| sums.mean_share(part);
    let (above, current) = (share(Goal::RowAbove), share(Goal::CurrentRow));
    let more = if above > current { "more than" } else { "less than" };
    let heads = sums.layers() * sums.heads();
    let of_rows = (0..heads).filter(|at| {
        let (layer, head) = (at / sums.heads(), at % sums.heads());
        sums.share(layer, head, Goal::RowAbove) > sums.share(layer, head, Goal::CurrentRow)
    });
    let mut all = vec![format!(
        "The row above holds {} of the mass, {more} the current row with {}. It does in {} of {heads} heads.",
        percent(above),
        percent(current),
        of_rows.count()
    )];
    let strongest = |up: u32| {
        let columns = i64::from(grid.cols()) - 1;
        (-columns..=columns)
            .filter_map(|column| Some((column, sums.all.plane.weight(place(grid, up, column))?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    };
    if let Some((column, weight)) = strongest(1) {
        let where_to = match column {
            0 => "straight above the token".to_owned(),
            1 => {
                "one column to the right of straight above: straight above the cell that the token predicts".to_owned()
            }
            _ => format!("{column:+} columns from straight above"),
        };
        all.push(format!("In the row above the mean weight is largest {where_to} ({weight:.4})."));
    }
    all.push(format!(
        "Text holds {}, the first token {}, structure tokens {}, the token itself {}.",
        percent(share(Goal::Text)),
        percent(share(Goal::Sink)),
        percent(share(Goal::Structure)),
        percent(share(Goal::Own))
    ));
    if let Some(text) = &measured.text {
        let near: f64 = (0..=5).filter_map(|at| text.all.distance.weight(at)).sum();
        all.push(format!(
            "Of the text model's mass {} lies on the token and the five before it, {} on the first token.",
            percent(near),
            percent(text.mean_share(Goal::Sink))
        ));
    }
    all
}

/// The plot by distance, as far as four rows of the image.
fn by_distance(measured: &Measured, shown: Shown) -> Part {
    let most = (measured.grid.cols() * ROWS_SHOWN + ROWS_SHOWN) as usize;
    let line = |name: &str, sums: &AttentionSums| Line {
        name: name.to_owned(),
        points: (1..=most).filter_map(|at| Some([at as f64, shown.of(&sums.all.distance, at)?])).collect(),
    };
    let mut lines = vec![line("image model", &measured.image)];
    lines.extend(measured.text.as_ref().map(|text| line("text model", text)));
    let (name, words) = shown.words();
    Part {
        id: format!("distance-{name}"),
        title: format!("Mean {name} by distance"),
        caption: format!(
            "Tokens back in the sequence, over all layers, heads, cells and images; the first token is left out. \
             A row of this image has {} cells: peaks at its multiples are the cells above.",
            measured.grid.cols()
        ),
        content: Content::Lines(LinePlot {
            x: "distance, tokens".to_owned(),
            y: words.to_owned(),
            spacing: if shown == Shown::Weight { Spacing::Log10 } else { Spacing::Linear },
            lines,
            reference: None,
        }),
    }
}

fn plane(id: &str, grid: Grid, sums: &ByOffset, shown: Shown) -> Part {
    let side = (i64::from(grid.cols()) - 1).min(REACH);
    let rows = i64::from(grid.rows()).min(REACH) as u32;
    let row = |up: u32| (-side..=side).map(|column| shown.of(&sums.plane, place(grid, up, column))).collect();
    let (name, words) = shown.words();
    // The token stands in the last row of the map, as it does in the image.
    let values = (0..rows).rev().map(row).collect();
    let predicted =
        if side > 0 { vec![(1, 1, "straight above the cell that is predicted".to_owned())] } else { vec![] };
    let marked = [(0, 0, "the token itself".to_owned()), (0, 1, "straight above the token".to_owned())];
    Part {
        id: id.to_owned(),
        title: format!("Mean {name} on the plane"),
        caption: "Seen from the token of a cell, which predicts the cell to its right: the colour is what it gives to \
                  the cell so many rows up and columns aside."
            .to_owned(),
        content: Content::Map(MapPlot {
            x: "columns from the token, right above 0".to_owned(),
            y: "rows up".to_owned(),
            value: words.to_owned(),
            first_x: -side,
            first_y: i64::from(rows) - 1,
            step_y: -1,
            spacing: if shown == Shown::Weight { Spacing::Log10 } else { Spacing::Linear },
            values,
            marked: marked.into_iter().chain(predicted).collect(),
            under: None,
        }),
    }
}

fn by_head(measured: &Measured, id: &str, goal: Goal) -> Part {
    let sums = &measured.image;
    let row = |layer: usize| (0..sums.heads()).map(|head| Some(sums.share(layer, head, goal))).collect();
    Part {
        id: id.to_owned(),
        title: format!("Share of the {} by layer and head", goal.name()),
        caption: "Heads that look up stand apart from heads that look back along the row.".to_owned(),
        content: Content::Map(MapPlot {
            x: "head".to_owned(),
            y: "layer".to_owned(),
            value: "share of the mass".to_owned(),
            first_x: 0,
            first_y: 0,
            step_y: 1,
            spacing: Spacing::Linear,
            values: (0..sums.layers()).map(row).collect(),
            marked: Vec::new(),
            under: None,
        }),
    }
}

fn shares(measured: &Measured) -> Part {
    let sums = &measured.image;
    let columns = std::iter::once("layer").chain(Goal::ALL.map(Goal::name)).map(str::to_owned).collect();
    let row = |layer| Goal::ALL.map(|part| Some(sums.layer_share(layer, part))).to_vec();
    let mut rows: Vec<(String, Vec<Option<f64>>)> =
        (0..sums.layers()).map(|layer| (layer.to_string(), row(layer))).collect();
    rows.push(("all".to_owned(), Goal::ALL.map(|part| Some(sums.mean_share(part))).to_vec()));
    if let Some(text) = &measured.text {
        let known = [Goal::Sink, Goal::Text, Goal::Own];
        let share = |part| known.contains(&part).then(|| text.mean_share(part));
        rows.push(("text model".to_owned(), Goal::ALL.map(share).to_vec()));
    }
    Part {
        id: "shares".to_owned(),
        title: "Where the mass goes".to_owned(),
        caption: "Shares of the attention of cells from the second row on; a row sums to 1.".to_owned(),
        content: Content::Table(Table { columns, rows, decimals: 3 }),
    }
}
