//! Forests around a clearing.

use super::{grass, ground::Ground};
use crate::{
    landscape::{
        attributes::{Front, Terrain},
        canvas::Profile,
        clouds,
        colour::{hex, mix, scale},
        painter::Painter,
        plants::{PINES_NEAR, Row, Tree, crown, leafy, leafy_row, pine_row, pines},
    },
    picture::SIDE,
};

fn row(painter: &mut Painter, row: &Row) {
    if painter.scene.terrain == Terrain::PineForest { pine_row(painter, row) } else { leafy_row(painter, row) }
}

pub(super) fn back(painter: &mut Painter) {
    let base = painter.horizon;
    let hill = painter.gentle(base - 16.0, 12.0, 60.0);
    let green = if painter.snowy() { hex(0xC4D0E2) } else { hex(0x5A8468) };
    let look = painter.look;
    let [pale, _] = look.ground(green, 0.6);
    if painter.random.chance(0.6) {
        painter.land(&hill, |x, y, _| scale(pale, look.texture(x, y, 6.0, 0.08)));
    }
    let rows = 3;
    for number in 0..rows {
        let part = number as f32 / (rows - 1) as f32;
        let line = painter.gentle(base - 8.0 + 10.0 * part, 3.0, 40.0);
        let distance = 0.55 * (1.0 - part) + 0.06;
        let [under, _] = look.ground(mix(green, hex(0x34503C), if painter.snowy() { 0.0 } else { 0.6 }), distance);
        painter.land(&line, |x, y, _| scale(under, look.texture(x, y, 6.0, 0.08)));
        let tall = 20.0 + 12.0 * part;
        let count = 19 - (6.0 * part) as usize;
        row(painter, &Row { line: &line, count, heights: (tall * 0.7, tall * 1.25), spread: 3.0, distance });
        if number + 1 < rows {
            clouds::fog(painter, base - 12.0 + 8.0 * part, 9.0);
        }
    }
}

/// The ground with tall trees at its sides.
pub(super) fn clearing(painter: &mut Painter) -> Ground {
    let height = painter.horizon + painter.random.between(4.0, 10.0);
    grass::ground(painter, height);
    if !painter.snowy() && painter.random.chance(0.3) {
        grass::path(painter, height);
    }
    let open = painter.scene.front == Front::Open;
    let reach: f32 = if open { 22.0 } else { 30.0 };
    let mut trees = Vec::new();
    for (from, to) in [(0.0, reach), (SIDE as f32 - reach, SIDE as f32)] {
        for _ in 0..painter.random.below(4) + 1 {
            let y = painter.random.between(height + 2.0, 107.0);
            let x = painter.random.between(from, to);
            let tall = 34.0 + (y - height) * 0.9;
            if !painter.hides_light(x - tall * 0.3, x + tall * 0.3, y - tall) {
                trees.push(Tree { x, y, height: tall });
            }
        }
    }
    trees.sort_by(|a, b| a.y.total_cmp(&b.y));
    if painter.scene.terrain == Terrain::PineForest {
        let colour = hex(painter.random.pick(&PINES_NEAR));
        for tree in trees.chunks(2) {
            pines(painter, tree, colour, 0.02);
        }
    } else {
        for tree in trees {
            let colours = crown(painter.scene.season, &mut painter.random);
            leafy(painter, &[tree], colours, 0.0);
        }
    }
    Ground::land(height)
}

/// A line of forest on a shore.
pub(super) fn shore(painter: &mut Painter, line: &Profile, tall: f32) {
    pine_row(painter, &Row { line, count: 20, heights: (tall * 0.5, tall), spread: 1.0, distance: 0.2 });
}
