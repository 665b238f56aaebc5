//! `hawk again`: an image once more, from the record in its PNG.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use hawk::{
    AnyRule, Decoder, Decoding, Engine, Error, ImageSize, ModelSource, Record, Request, Result, Rule, read_png,
    write_png,
};
use hawk_hub::find_model;

use crate::args::{DeviceArgs, ModelArgs, built_in, decoder, with_features, with_heads};
use crate::inputs;
use crate::output::destination::write_image;
use crate::output::files::{Files, is_png};
use crate::output::say;

/// The exit code if the pixels differ.
const DIFFERENT: u8 = 1;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk again apple.png                  # prints \"identical: all 16384 pixels\"
  hawk again apple.png --decoder ar     # the same image, by plain decoding
  hawk again apple.png --out copy.png --model models/built-in
  hawk again apple.png --heads heads/   # the draft heads that it was drawn with

The exit code is 0 if all pixels are the same and 1 if some differ.")]
pub(crate) struct AgainArgs {
    /// PNG file written by `hawk generate`; - is standard input
    #[arg(value_name = "FILE.png")]
    image: PathBuf,
    /// Decoder to use instead of the recorded one
    #[arg(long, value_parser = decoder())]
    decoder: Option<Decoder>,
    /// Caption features (safetensors) that the image was made from
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    #[cfg(feature = "t5")]
    #[command(flatten)]
    t5: super::features::T5Args,
    /// Write the regenerated image
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// Folder of the draft heads that the image was drawn with [default: the model's own]
    #[arg(long, value_name = "DIR")]
    heads: Option<PathBuf>,
    #[command(flatten)]
    model: RecordedModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// As [`ModelArgs`], where the record names the model.
#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
struct RecordedModelArgs {
    /// Folder of the model, or name of a pulled one [default: the one that the image's record names]
    #[arg(long, value_name = "DIR|ORG/NAME")]
    model: Option<PathBuf>,
    /// Number of threads, at most 1024; the pixels do not depend on it [default: one per core]
    #[arg(long, value_name = "T", value_parser = crate::args::threads)]
    threads: Option<NonZero<usize>>,
}

impl RecordedModelArgs {
    fn source(&self, record: &Record) -> Result<ModelSource> {
        let Some(model) = &self.model else { return recorded(record) };
        Ok(ModelSource::Dir(find_model(model)?))
    }

    fn shared(&self) -> ModelArgs {
        ModelArgs { model: self.model.clone(), threads: self.threads }
    }
}

/// The model that a record names.
fn recorded(record: &Record) -> Result<ModelSource> {
    if record.model == hawk::BUILT_IN {
        return built_in();
    }
    match find_model(record.model.as_ref()) {
        Ok(dir) if dir.is_dir() => Ok(ModelSource::Dir(dir)),
        _ => Err(Error::input("the model that the image's record names is not here")
            .expected(format!("the folder {:?}, as seen from the current folder, or a pulled model", record.model))
            .got("neither")
            .hint("give the model's folder, or the name of a pulled one, with --model")),
    }
}

pub(crate) fn run(args: &AgainArgs) -> Result<ExitCode> {
    let (image, record) = read_png(&inputs::read(&args.image)?).map_err(|e| e.at(args.image.display()))?;
    let source = args.model.source(&record).map_err(|e| e.at(args.image.display()))?;
    let mut files = Files::default();
    files.reads("FILE.png", &args.image);
    files.reads_model("the model", &source);
    files.reads_heads("--heads", args.heads.as_deref());
    args.features.iter().for_each(|file| files.reads("--features", file));
    if let Some(out) = &args.out {
        is_png("--out", out)?;
        let _ = files.writes("--out", out)?;
    }
    let size = ImageSize { height: image.height, width: image.width };
    let engine = load(args, source, &record)?;
    let engine = match record.asked_size {
        Some([width, height]) => {
            engine.with_image_size(ImageSize { height, width }).and_then(|engine| engine.with_drawn_size(size))
        }
        None => engine.with_image_size(size),
    };
    let engine = engine.map_err(|e| e.at(args.image.display()))?;
    let mut request = record.request().map_err(|e| e.at(args.image.display()))?;
    if let Some(decoder) = args.decoder {
        request.decoding = Decoding::with_defaults(decoder, request.decoding.rule());
    }
    check_heads(&engine, &request, &record).map_err(|e| e.at(args.image.display()))?;
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    let Some(again) = outcome.images.first() else {
        return Err(Error::input("no image was generated").at(args.image.display()));
    };
    if let Some(out) = &args.out {
        write_image(out, &write_png(&again.image, &Record::new(&engine, &record.model, &request, again)?)?)?;
    }
    let pixels = |image: &hawk::Image| image.pixels.chunks(3).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (old, new) = (pixels(&image), pixels(&again.image));
    let decoder = request.decoding.decoder();
    if (image.width, image.height) == (again.image.width, again.image.height) && old == new {
        say(format_args!("identical: all {} pixels, regenerated with the decoder {decoder}", old.len()));
        return Ok(ExitCode::SUCCESS);
    }
    let differing = old.iter().zip(&new).filter(|(old, new)| old != new).count();
    say(format_args!("DIFFERENT: {differing} of {} pixels, regenerated with the decoder {decoder}", old.len()));
    if request.decoding.rule() != AnyRule::Exact(Rule::Replay) && args.decoder.is_some() {
        say("hint: under this rule another decoder gives another image; only replay gives the same one");
    } else {
        match engine.device() == record.device {
            true => say("hint: was the file edited, or written by another version?"),
            false => say(format_args!(
                "hint: the image was drawn on {}, this one on {}; devices may round near ties in other ways; --device chooses one",
                record.device,
                engine.device()
            )),
        }
    }
    Ok(ExitCode::from(DIFFERENT))
}

/// Loads the recorded model, or the one of `--model`, which must have the same files.
fn load(args: &AgainArgs, source: ModelSource, record: &Record) -> Result<Engine> {
    // Before the model is loaded, so that the encoder's memory is free by then.
    #[cfg(feature = "t5")]
    let features = args.t5.encode(std::slice::from_ref(&record.prompt))?;
    let precision = record.precision().map_err(|e| e.at(args.image.display()))?;
    let engine = args
        .device
        .or_recorded(&record.device)
        .load(source, args.model.shared().options(precision))
        .map_err(|e| if args.model.model.is_none() { e.hint("give the model's folder with --model") } else { e })?;
    if engine.digest()? != record.model_digest {
        return Err(Error::input("the image was generated by another model")
            .at(args.image.display())
            .expected(format!("{}, digest {}", record.model, record.model_digest))
            .got(format!("digest {}", engine.digest()?))
            .hint("give the folder of the right model with --model"));
    }
    #[cfg(feature = "t5")]
    let engine = super::features::with_encoded(engine, features)?;
    let engine = with_features(with_heads(engine, args.heads.as_deref())?, args.features.as_deref())?;
    if engine.features_digest(&record.prompt) != record.features_digest {
        return Err(Error::input("the image was generated from other features")
            .at(args.image.display())
            .expected(format!("features with digest {:?}", record.features_digest))
            .got(format!("{:?}", engine.features_digest(&record.prompt)))
            .hint("give their file with --features, or their text encoder with --t5"));
    }
    Ok(engine)
}

/// Checks that the engine has the draft heads of the record, where the image depends on them.
fn check_heads(engine: &Engine, request: &Request, record: &Record) -> Result<()> {
    let (decoder, rule) = (request.decoding.decoder(), request.decoding.rule());
    if !decoder.needs_heads() {
        return Ok(());
    }
    let replay = rule == AnyRule::Exact(Rule::Replay);
    if engine.heads().is_none() {
        let hint = match replay {
            true => "give their folder with --heads, or draw the same image without heads by --decoder ar",
            false => "give their folder with --heads",
        };
        return Err(Error::input(format!("the decoder {decoder} needs draft heads, and the model has none")).hint(hint));
    }
    // Older versions recorded no digest.
    let same = record.heads_digest.is_empty() || engine.heads_digest()? == record.heads_digest;
    if replay || same {
        return Ok(());
    }
    Err(Error::input(format!("the image was drawn with other draft heads, on which it depends under the rule {rule}"))
        .expected(format!("draft heads with digest {}", record.heads_digest))
        .got(engine.heads_digest()?)
        .hint("give their folder with --heads"))
}
