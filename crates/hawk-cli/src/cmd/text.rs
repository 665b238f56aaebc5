//! `hawk text`: a prompt to text, as it is committed.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use hawk::{
    Error, GeneratedText, ModelSource, Precision, PromptStyle, Result, Sampling, Seed, TextEngine, TextEvent,
    TextRequest, TextSampling, TextStream,
};

use super::generate::fresh_seed;
use crate::args::{TextArgs, refused};
use crate::files;
use crate::text_report::{TextStats, TextTokens, tokens_per_s};

pub(crate) fn run(args: &TextArgs) -> Result<()> {
    let sampling = sampling(args)?;
    for report in [&args.tokens_out, &args.stats].into_iter().flatten() {
        files::check_writable(report)?;
    }
    let clock = Instant::now();
    let model = args.model();
    let precision = model.precision(args.precision, Precision::Bf16)?;
    let mut engine = TextEngine::load(model.source()?, model.options(precision))?;
    if let Some(dir) = &args.heads {
        engine = engine.with_heads(&ModelSource::Dir(dir.clone()))?;
    }
    let request = TextRequest {
        prompt: args.prompt.clone(),
        style: if args.chat { PromptStyle::Chat } else { PromptStyle::Plain },
        sampling,
        decoding: args.decoding(&engine)?,
        max_tokens: args.max_tokens as usize,
    };
    let load = clock.elapsed();
    let text = write(&engine, &request)?;
    let (tokens, stats) = (text.tokens.len(), &text.stats);
    let seed = match sampling {
        TextSampling::Greedy => "greedy".to_owned(),
        TextSampling::Drawn { seed, .. } => format!("seed {seed}"),
    };
    eprintln!(
        "{tokens} tokens in {} passes ({:.2} tokens a pass), {:.1} tokens/s, {seed}, {} in {precision}, stopped by {}",
        stats.target_passes,
        stats.acceptance_length(),
        tokens_per_s(&text),
        request.decoding.decoder(),
        text.stop
    );
    if let Some(path) = &args.tokens_out {
        files::write_json(path, &TextTokens::new(&engine, &request, &text)?)?;
    }
    if let Some(path) = &args.stats {
        files::write_json(path, &TextStats::new(&engine, &request, &text, load))?;
    }
    Ok(())
}

/// Writes the text to standard output while it comes.
fn write(engine: &TextEngine, request: &TextRequest) -> Result<GeneratedText> {
    let mut stream: Option<TextStream<'_>> = None;
    let mut failure = None;
    let text = engine.generate(request, &mut |event| {
        match event {
            TextEvent::PrefillDone { prompt } => stream = Some(engine.stream(prompt)),
            TextEvent::TokensCommitted { tokens, .. } => {
                let pieces = stream.iter_mut().flat_map(|stream| tokens.iter().map(|&token| stream.push(token)));
                match pieces.collect::<Result<String>>() {
                    // A reader that has gone away (`| head`) wants no more.
                    Ok(piece) if put(&piece).is_err() => return ControlFlow::Break(()),
                    Ok(_) => {}
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    if let Some(stream) = stream {
        let _ = put(&format!("{}\n", stream.finish()?));
    }
    failure.map_or(Ok(text), Err)
}

fn put(piece: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(piece.as_bytes())?;
    out.flush()
}

fn sampling(args: &TextArgs) -> Result<TextSampling> {
    if args.temperature == 0.0 {
        let given = [("--seed", args.seed.is_some()), ("--top-k", args.top_k != 0), ("--top-p", args.top_p != 1.0)];
        return match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Error::input("greedy decoding draws nothing")
                .at(name)
                .expected("a --temperature above 0 beside it")
                .got("--temperature 0, the default")),
            None => Ok(TextSampling::Greedy),
        };
    }
    let sampling = Sampling::new(1.0, args.temperature, args.top_k, args.top_p).map_err(refused)?;
    Ok(TextSampling::Drawn { sampling, seed: Seed(args.seed.unwrap_or_else(fresh_seed)) })
}
