//! The surface that is painted on, and the masks that are painted through.

use super::colour::Colour;
use crate::picture::{Picture, SIDE};
use std::ops::Range;
use tiny_skia::{FillRule, Mask, Path, PathBuilder, Rect, Stroke, Transform};

/// Rows of premultiplied red, green, blue and opacity.
#[derive(Clone)]
pub(super) struct Canvas {
    pixels: Vec<[f32; 4]>,
}

impl Canvas {
    /// A canvas that lets everything through.
    pub(super) fn clear() -> Self {
        Self { pixels: vec![[0.0; 4]; SIDE * SIDE] }
    }

    /// Covers one pixel with a colour.
    pub(super) fn blend(&mut self, x: usize, y: usize, colour: Colour, opacity: f32) {
        let pixel = &mut self.pixels[y * SIDE + x];
        let source = [colour[0], colour[1], colour[2], 1.0];
        for (old, new) in pixel.iter_mut().zip(source) {
            *old += (new - *old) * opacity;
        }
    }

    /// Adds light to one pixel.
    pub(super) fn add(&mut self, x: usize, y: usize, light: Colour) {
        let pixel = &mut self.pixels[y * SIDE + x];
        for (old, new) in pixel.iter_mut().zip(light) {
            *old += new;
        }
    }

    /// The colour of a pixel, over black.
    pub(super) fn colour(&self, x: usize, y: usize) -> Colour {
        let [red, green, blue, _] = self.pixels[y * SIDE + x];
        [red, green, blue]
    }

    /// The colour between pixels; outside, that of the nearest pixel.
    pub(super) fn sample(&self, x: f32, y: f32) -> Colour {
        let last = (SIDE - 1) as f32;
        let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
        let (column, row) = (x as usize, y as usize);
        let (fx, fy) = (x - column as f32, y - row as f32);
        let (right, below) = ((column + 1).min(SIDE - 1), (row + 1).min(SIDE - 1));
        let corners =
            [self.colour(column, row), self.colour(right, row), self.colour(column, below), self.colour(right, below)];
        let weights = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
        [0, 1, 2].map(|c| corners.iter().zip(weights).map(|(corner, weight)| corner[c] * weight).sum())
    }

    /// Covers the pixels of a mask; `colour` gets a pixel's place.
    pub(super) fn fill(&mut self, mask: &Cover, mut colour: impl FnMut(f32, f32) -> (Colour, f32)) {
        for y in mask.rows.clone() {
            for x in mask.columns.clone() {
                let cover = mask.values[y * SIDE + x];
                if cover > 0 {
                    let (colour, opacity) = colour(x as f32, y as f32);
                    self.blend(x, y, colour, opacity * f32::from(cover) / 255.0);
                }
            }
        }
    }

    /// Calls `change` with the place of every pixel of some rows.
    pub(super) fn each(&mut self, rows: Range<usize>, mut change: impl FnMut(&mut Self, usize, usize)) {
        for y in rows.start.min(SIDE)..rows.end.min(SIDE) {
            for x in 0..SIDE {
                change(self, x, y);
            }
        }
    }

    /// Puts this canvas over another one.
    pub(super) fn over(self, mut below: Self) -> Self {
        for (old, new) in below.pixels.iter_mut().zip(self.pixels) {
            for c in 0..4 {
                old[c] = new[c] + old[c] * (1.0 - new[3]);
            }
        }
        below
    }

    /// For every column the first row that is more opaque than not.
    pub(super) fn skyline(&self) -> Profile {
        std::array::from_fn(|x| (0..SIDE).find(|y| self.pixels[y * SIDE + x][3] > 0.6).unwrap_or(SIDE) as f32)
    }

    pub(super) fn picture(&self) -> Picture {
        let rgb =
            self.pixels.iter().flat_map(|pixel| [0, 1, 2].map(|c| (pixel[c].clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
        Picture { rgb: rgb.collect() }
    }
}

/// A height in pixels from the top for every column.
pub(super) type Profile = [f32; SIDE];

/// How much of every pixel a shape covers.
pub(super) struct Cover {
    values: Vec<u8>,
    columns: Range<usize>,
    rows: Range<usize>,
}

impl Cover {
    /// What lies below a profile.
    pub(super) fn below(top: &Profile) -> Self {
        let first = top.iter().fold(SIDE as f32, |low, &y| low.min(y)).clamp(1.0, SIDE as f32) as usize - 1;
        let mut values = vec![0; SIDE * SIDE];
        for x in 0..SIDE {
            let slope = (top[(x + 1).min(SIDE - 1)] - top[x.saturating_sub(1)]) / 2.0;
            let steep = (1.0 + slope * slope).sqrt().min(3.0);
            for y in first..SIDE {
                let depth = (y as f32 + 0.5 - top[x]) / steep + 0.5;
                values[y * SIDE + x] = (depth.clamp(0.0, 1.0) * 255.0) as u8;
            }
        }
        Self { values, columns: 0..SIDE, rows: first..SIDE }
    }

    /// The shadow of this mask, soft and shifted by whole pixels.
    pub(super) fn shadow(&self, right: isize, down: isize) -> Self {
        let mut soft = Self {
            values: vec![0; SIDE * SIDE],
            columns: self.columns.start.saturating_sub(6)..(self.columns.end + 6).min(SIDE),
            rows: self.rows.start.saturating_sub(6)..(self.rows.end + 6).min(SIDE),
        };
        let last = SIDE as isize - 1;
        for y in soft.rows.clone() {
            for x in soft.columns.clone() {
                let column = (x as isize - right).clamp(0, last) as usize;
                let row = (y as isize - down).clamp(0, last) as usize;
                soft.values[y * SIDE + x] = self.values[row * SIDE + column];
            }
        }
        soft.blur(1, soft.rows.clone(), soft.columns.clone());
        soft.blur(SIDE, soft.columns.clone(), soft.rows.clone());
        soft
    }

    /// Means of five neighbours, twice, along lines whose pixels are `step` apart.
    fn blur(&mut self, step: usize, lines: Range<usize>, along: Range<usize>) {
        let other = if step == 1 { SIDE } else { 1 };
        let mut line = [0u16; SIDE];
        for start in lines {
            for _ in 0..2 {
                for place in along.clone() {
                    let low = place.saturating_sub(2).max(along.start);
                    let high = (place + 2).min(along.end - 1);
                    let sum: u16 = (low..=high).map(|at| u16::from(self.values[start * other + at * step])).sum();
                    line[place] = sum / (high - low + 1) as u16;
                }
                for place in along.clone() {
                    self.values[start * other + place * step] = line[place] as u8;
                }
            }
        }
    }
}

/// Outlines that are filled together.
#[derive(Default)]
pub(super) struct Shape {
    builder: Option<PathBuilder>,
}

impl Shape {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn path(&mut self) -> &mut PathBuilder {
        self.builder.get_or_insert_with(PathBuilder::new)
    }

    /// A polygon; all turn the same way, so that where two overlap both are filled.
    pub(super) fn polygon(&mut self, points: &[(f32, f32)]) -> &mut Self {
        let next = points.iter().cycle().skip(1);
        let area: f32 = points.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
        let mut points = points.to_vec();
        if area < 0.0 {
            points.reverse();
        }
        let path = self.path();
        for (number, point) in points.iter().enumerate() {
            match number {
                0 => path.move_to(point.0, point.1),
                _ => path.line_to(point.0, point.1),
            }
        }
        path.close();
        self
    }

    pub(super) fn rectangle(&mut self, left: f32, top: f32, width: f32, height: f32) -> &mut Self {
        self.polygon(&[(left, top), (left + width, top), (left + width, top + height), (left, top + height)])
    }

    pub(super) fn circle(&mut self, x: f32, y: f32, radius: f32) -> &mut Self {
        self.oval(x, y, radius, radius)
    }

    pub(super) fn oval(&mut self, x: f32, y: f32, half_width: f32, half_height: f32) -> &mut Self {
        if let Some(rect) = Rect::from_ltrb(x - half_width, y - half_height, x + half_width, y + half_height) {
            self.path().push_oval(rect);
        }
        self
    }

    /// An open line through points, `width` wide, with round ends.
    pub(super) fn line(&mut self, points: &[(f32, f32)], width: f32) -> &mut Self {
        for ends in points.windows(2) {
            let (dx, dy) = (ends[1].0 - ends[0].0, ends[1].1 - ends[0].1);
            let length = (dx * dx + dy * dy).sqrt().max(1e-3);
            let (nx, ny) = (-dy / length * width / 2.0, dx / length * width / 2.0);
            self.polygon(&[
                (ends[0].0 + nx, ends[0].1 + ny),
                (ends[1].0 + nx, ends[1].1 + ny),
                (ends[1].0 - nx, ends[1].1 - ny),
                (ends[0].0 - nx, ends[0].1 - ny),
            ]);
        }
        for point in points {
            self.circle(point.0, point.1, width / 2.0);
        }
        self
    }

    /// A smooth line through three points: start, control, end.
    pub(super) fn curve(&mut self, points: [(f32, f32); 3], width: f32) -> &mut Self {
        let [from, control, to] = points;
        let steps = 8;
        let line: Vec<_> = (0..=steps)
            .map(|step| {
                let part = step as f32 / steps as f32;
                let (a, b, c) = ((1.0 - part) * (1.0 - part), 2.0 * part * (1.0 - part), part * part);
                (a * from.0 + b * control.0 + c * to.0, a * from.1 + b * control.1 + c * to.1)
            })
            .collect();
        self.line(&line, width)
    }

    /// The mask, or `None` where nothing of it is inside the picture.
    pub(super) fn cover(self) -> Option<Cover> {
        let path = self.builder?.finish()?;
        cover(&path)
    }
}

fn cover(path: &Path) -> Option<Cover> {
    let bounds = path.bounds();
    let inside = |value: f32| value.clamp(0.0, SIDE as f32) as usize;
    let (columns, rows) =
        (inside(bounds.left())..inside(bounds.right().ceil()), inside(bounds.top())..inside(bounds.bottom().ceil()));
    if columns.is_empty() || rows.is_empty() {
        return None;
    }
    let mut mask = Mask::new(SIDE as u32, SIDE as u32)?;
    mask.fill_path(path, FillRule::Winding, true, Transform::identity());
    Some(Cover { values: mask.take(), columns, rows })
}

/// An arc of a circle as a stroked line.
pub(super) fn ring(x: f32, y: f32, radius: f32, width: f32) -> Option<Cover> {
    let path = PathBuilder::from_circle(x, y, radius)?;
    cover(&path.stroke(&Stroke { width, ..Stroke::default() }, 1.0)?)
}
