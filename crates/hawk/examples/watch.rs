//! Watches the cells of an image arrive, and shows which source each one came from.
//!
//! Every cell is one letter: `.` is drawn by the target, another letter is an accepted draft of that source (`H`
//! horizontal, `V` vertical, `D` diagonal head). A pass ends with the one cell that the target draws itself.
//!
//! ```sh
//! cargo run --release -p hawk --example watch -- "a red apple, fluent 3d style"
//! ```

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;

use hawk::{CellSource, Decoder, Decoding, Engine, Event, LoadOptions, Request, Rule, Seed, TreeShape, built_in_model};

fn main() -> Result<(), Box<dyn Error>> {
    let prompt = std::env::args().nth(1).unwrap_or_else(|| "a red apple, fluent 3d style".to_owned());
    let engine = Engine::load(built_in_model(), LoadOptions::default())?;
    let grid = engine.config().layout.grid();
    let request = Request {
        prompt,
        seed: Seed(2025),
        images: 0..1,
        sampling: engine.config().defaults,
        // Draft heads and the Speculation Cache, with trees of four nodes: the anchor and three candidates.
        decoding: Decoding::new(Decoder::HAWK, Rule::Replay, TreeShape::Budget(4))?,
        batch: 1,
    };

    let mut passes = 0;
    let outcome = engine.generate(&request, &mut |event| {
        match event {
            Event::PrefillDone { prefix_tokens } => println!("prompt: {prefix_tokens} tokens"),
            // One pass has committed one cell or more, in raster order from `first` on.
            Event::CellsCommitted { first, sources, .. } => {
                passes += 1;
                for (cell, source) in (first.0..).zip(sources) {
                    print!("{}", letter(*source));
                    if (cell + 1) % grid.cols() == 0 {
                        println!();
                    }
                }
                // A terminal shows a line when it ends; a watcher wants each cell.
                if std::io::stdout().flush().is_err() {
                    // The observer may end the run: images that are finished by then are returned.
                    return ControlFlow::Break(());
                }
            }
            Event::ImageDone(image) => {
                println!("{passes} passes, {:.2} tokens per pass", image.stats.acceptance_length());
            }
            // Events that a later version may add.
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    if outcome.images.is_empty() {
        println!("ended before the image was finished");
    }
    Ok(())
}

fn letter(source: CellSource) -> char {
    match source {
        CellSource::Target(_) => '.',
        CellSource::Drafted(source) => source.label().chars().next().unwrap_or('?'),
    }
}
