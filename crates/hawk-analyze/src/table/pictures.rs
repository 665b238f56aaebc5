//! Pictures on disk: those that models are compared with, and those that they drew.

use std::path::{Path, PathBuf};

use hawk::{Error, Image, Result};
use image::imageops::{self, FilterType};
use image::{ImageReader, RgbImage};

/// Endings of pictures that are read.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The pictures of a folder by these names, or all PNG and JPEG files in it, sorted by name. Every file is opened.
///
/// # Errors
/// A named picture is missing, a file is no picture, or there are none.
pub fn find_pictures(dir: &Path, names: Option<&[String]>) -> Result<Vec<PathBuf>> {
    let pictures = match names {
        Some(names) => named(dir, names)?,
        None => all(dir)?,
    };
    for path in &pictures {
        size(path)?;
    }
    Ok(pictures)
}

fn named(dir: &Path, names: &[String]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        // With its folder, or all pictures in one.
        let alone = Path::new(name).file_name().map(|name| dir.join(name));
        match [Some(dir.join(name)), alone].into_iter().flatten().find(|path| path.is_file()) {
            Some(path) => found.push(path),
            None => missing.push(name),
        }
    }
    match missing.first() {
        Some(first) => Err(Error::input("captions without pictures")
            .at(dir.display())
            .expected(format!("the pictures of all {} captions", names.len()))
            .got(format!("{} are missing, the first is {first}", missing.len()))
            .hint("name the folder that has them, or draw fewer images")),
        None => Ok(found),
    }
}

fn all(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::io("read the folder", dir, &e);
    let mut pictures = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && path.is_file() {
            pictures.push(path);
        }
    }
    pictures.sort();
    match pictures.is_empty() {
        true => Err(Error::input("the folder has no pictures").at(dir.display()).expected("PNG or JPEG files").got(0)),
        false => Ok(pictures),
    }
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|e| Error::io("read the picture", path, &e))
}

/// Width and height by the header of a file.
fn size(path: &Path) -> Result<(u32, u32)> {
    reader(path)?.into_dimensions().map_err(|e| not_a_picture(path, &e))
}

/// Reads a PNG or JPEG file.
///
/// # Errors
/// The file cannot be read or is damaged.
pub(super) fn read_picture(path: &Path) -> Result<Image> {
    let picture = reader(path)?.decode().map_err(|e| not_a_picture(path, &e))?.to_rgb8();
    Ok(Image { width: picture.width(), height: picture.height(), pixels: picture.into_raw() })
}

fn not_a_picture(path: &Path, e: &image::ImageError) -> Error {
    Error::input(format!("not a picture: {e}")).at(path.display()).expected("a PNG or JPEG file")
}

/// The middle of a picture at another size, by a bicubic filter.
pub(super) fn fitted(picture: &Image, width: u32, height: u32) -> Image {
    if (picture.width, picture.height) == (width, height) {
        return picture.clone();
    }
    let (w, h) = (u64::from(picture.width), u64::from(picture.height));
    let (inner_w, inner_h) = match w * u64::from(height) > h * u64::from(width) {
        true => ((h * u64::from(width) / u64::from(height)).max(1), h),
        false => (w, (w * u64::from(height) / u64::from(width)).max(1)),
    };
    let whole = RgbImage::from_raw(picture.width, picture.height, picture.pixels.clone()).unwrap_or_default();
    let (left, top) = (((w - inner_w) / 2) as u32, ((h - inner_h) / 2) as u32);
    let middle = imageops::crop_imm(&whole, left, top, inner_w as u32, inner_h as u32).to_image();
    let pixels = imageops::resize(&middle, width, height, FilterType::CatmullRom).into_raw();
    Image { width, height, pixels }
}
