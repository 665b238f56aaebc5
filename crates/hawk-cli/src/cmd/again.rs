//! `hawk again`: the image once more from its own record.

use std::ops::ControlFlow;
use std::process::ExitCode;

use hawk::{
    AnyRule, Decoding, Engine, Error, ImageSize, ModelSource, Record, Result, Rule, built_in_model, read_png, write_png,
};

use crate::args::{AgainArgs, caption};
use crate::hub::find_model;
use crate::{files, say};

/// Exit code where the pixels differ.
const DIFFERENT: u8 = 1;

pub(crate) fn run(args: &AgainArgs) -> Result<ExitCode> {
    let (image, record) = read_png(&files::read(&args.image)?).map_err(|e| e.at(args.image.display()))?;
    let size = ImageSize { height: image.height, width: image.width };
    let engine = load(args, &record)?;
    let engine = match record.asked_size {
        Some([width, height]) => {
            engine.with_image_size(ImageSize { height, width }).and_then(|engine| engine.with_drawn_size(size))
        }
        None => engine.with_image_size(size),
    };
    let engine = engine.map_err(|e| e.at(args.image.display()))?;
    let mut request = record.request()?;
    if let Some(decoder) = args.decoder {
        request.decoding = Decoding::with_defaults(decoder, request.decoding.rule());
    }
    let outcome = engine.generate(&request, &mut |_| ControlFlow::Continue(()))?;
    let Some(again) = outcome.images.first() else {
        return Err(Error::input("nothing was made").at(args.image.display()));
    };
    if let Some(out) = &args.out {
        files::write(out, &write_png(&again.image, &Record::new(&engine, &record.model, &request, again)?)?)?;
    }
    let pixels = |image: &hawk::Image| image.pixels.chunks(3).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (old, new) = (pixels(&image), pixels(&again.image));
    let decoder = request.decoding.decoder();
    if (image.width, image.height) == (again.image.width, again.image.height) && old == new {
        say(format_args!("identical: all {} pixels, made again with the decoder {decoder}", old.len()));
        return Ok(ExitCode::SUCCESS);
    }
    let differing = old.iter().zip(&new).filter(|(old, new)| old != new).count();
    say(format_args!("DIFFERENT: {differing} of {} pixels, made again with the decoder {decoder}", old.len()));
    if request.decoding.rule() != AnyRule::Exact(Rule::Replay) && args.decoder.is_some() {
        say("hint: under this rule another decoder gives another image; only replay promises the same one");
    } else {
        say("hint: was the file edited, or made by another version?");
    }
    Ok(ExitCode::from(DIFFERENT))
}

/// The model of the record, or the one that is given; its files must be the same.
fn load(args: &AgainArgs, record: &Record) -> Result<Engine> {
    // Before the model is loaded, so that the encoder's memory is free again.
    #[cfg(feature = "t5")]
    let features = args.t5.encode(std::slice::from_ref(&record.prompt))?;
    let source = match &args.model.model {
        Some(dir) => ModelSource::Dir(find_model(dir)?),
        None if record.model == hawk::BUILT_IN => built_in_model(),
        None => ModelSource::Dir(find_model(record.model.as_ref())?),
    };
    let engine = Engine::load(source, args.model.options(record.precision()?))
        .map_err(|e| if args.model.model.is_none() { e.hint("name the model's folder with --model") } else { e })?;
    if engine.digest()? != record.model_digest {
        return Err(Error::input("the image was made by another model")
            .at(args.image.display())
            .expected(format!("{}, digest {}", record.model, record.model_digest))
            .got(format!("digest {}", engine.digest()?))
            .hint("name the folder of the right one with --model"));
    }
    #[cfg(feature = "t5")]
    let engine = crate::cmd::features::equip(engine, features)?;
    let engine = caption(engine, args.features.as_deref())?;
    if engine.features_digest(&record.prompt) != record.features_digest {
        return Err(Error::input("the image was made from other features")
            .at(args.image.display())
            .expected(format!("features of the digest {:?}", record.features_digest))
            .got(format!("{:?}", engine.features_digest(&record.prompt)))
            .hint("name the file with --features, or the text encoder with --t5 where one made them"));
    }
    Ok(engine)
}
