//! Draws one image from a text and writes it as a PNG file.
//!
//! ```sh
//! cargo run --release -p hawk --example generate -- "a red apple, fluent 3d style" apple.png
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use hawk::{BUILT_IN, Decoder, Decoding, Engine, LoadOptions, Record, Request, Rule, Seed, built_in_model, write_png};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().unwrap_or_else(|| "a red apple, fluent 3d style".to_owned());
    let path = arguments.next().unwrap_or_else(|| "apple.png".to_owned());

    // Load once. `ModelSource::Dir(path)` in place of `built_in_model()` loads a model from a folder.
    // The default options are bf16 weights and one thread per core.
    let engine = Engine::load(built_in_model(), LoadOptions::default())?;

    let request = Request {
        prompt,
        // The key of the noise. The same seed gives the same image under `Rule::Replay`.
        seed: Seed(2025),
        // Image indices. `0..4` draws four images of this seed.
        images: 0..1,
        // Guidance, temperature, top-k and top-p as the model's author recommends.
        sampling: engine.config().defaults,
        // Plain decoding: one cell per pass of the target. Try `Decoder::HAWK`: the image stays the same.
        decoding: Decoding::with_defaults(Decoder::AR, Rule::Replay),
        // Images that share a pass.
        batch: 1,
    };

    // The observer hears of every step. This one ignores the events; `watch.rs` prints them.
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;

    for image in &outcome.images {
        // The record says how the image was made. `hawk again FILE.png` makes it again from the record.
        let record = Record::new(&engine, BUILT_IN, &request, image)?;
        std::fs::write(&path, write_png(&image.image, &record)?)?;
        let (width, height) = (image.image.width, image.image.height);
        println!("{path}: {width} x {height} pixels, {} cells, {:.2?}", image.codes.len(), image.elapsed);
    }
    Ok(())
}
