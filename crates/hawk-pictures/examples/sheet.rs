//! Paints a contact sheet: `sheet OUT.png PICTURES SEED [NAME=WORD ...]`, where `NAME=WORD` keeps scenes with that
//! attribute (`terrain=canyon`, `time=night`), `front=open` makes scenes that a thing can stand in, and `zoom=2` shows
//! them larger.

use hawk_pictures::{landscape::Scene, picture::SIDE, random::Random};
use image::{
    Rgb, RgbImage,
    imageops::{FilterType, replace, resize},
};
use std::{error::Error, time::Instant};

const COLUMNS: u32 = 8;
const GAP: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, count, seed, wanted @ ..] = arguments.as_slice() else {
        return Err("usage: sheet OUT.png PICTURES SEED [NAME=WORD ...]".into());
    };
    let (count, seed): (u32, u64) = (count.parse()?, seed.parse()?);
    let zoom = wanted.iter().find_map(|word| word.strip_prefix("zoom=")).map_or(Ok(1), str::parse::<u32>)?.max(1);
    let side = SIDE as u32 * zoom;
    let (cell, columns) = (side + GAP, COLUMNS.div_ceil(zoom));
    let mut sheet = RgbImage::from_pixel(columns * cell, count.div_ceil(columns) * cell, Rgb([255; 3]));
    let mut place = 0;
    let mut spent_ms = 0.0;
    for index in 0..100_000 {
        let mut random = Random::new(seed, index);
        let open = wanted.iter().any(|word| word == "front=open");
        let scene = if open { Scene::random_stage(&mut random) } else { Scene::random(&mut random) };
        let attributes = scene.attributes();
        let fits = |word: &String| match word.split_once('=') {
            Some(("front" | "zoom", _)) | None => true,
            Some((name, word)) => attributes.get(name).copied().unwrap_or("none") == word,
        };
        if !wanted.iter().all(fits) {
            continue;
        }
        let start = Instant::now();
        let (picture, _) = scene.paint(&mut random);
        spent_ms += start.elapsed().as_secs_f64() * 1000.0;
        let caption = scene.caption(&mut random);
        match open {
            true => println!("{place:3} {caption} | {}", scene.place_phrase(&mut random)),
            false => println!("{place:3} {caption}"),
        }
        let image = RgbImage::from_raw(SIDE as u32, SIDE as u32, picture.rgb).ok_or("a picture of another size")?;
        let image = resize(&image, side, side, FilterType::Nearest);
        replace(&mut sheet, &image, (place % columns * cell).into(), (place / columns * cell).into());
        place += 1;
        if place == count {
            break;
        }
    }
    sheet.save(out)?;
    println!("{:.2} ms a picture", spent_ms / f64::from(place.max(1)));
    Ok(())
}
