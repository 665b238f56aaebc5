//! `hawk inspect`: what a model's folder holds, or how an image was generated.

use std::path::{Path, PathBuf};

use hawk::{Error, Inspection, ModelSource, Result, read_png, write_plain_png};
use hawk_bench::{SourceShare, overlay, source_shares};
use hawk_files::NormPlacement;
use hawk_hub::find_model;
use hawk_spec::Structure;

use crate::args::built_in;
use crate::inputs;
use crate::output::destination::write_image;
use crate::output::files::{Files, is_png};
use crate::output::say;

/// How many names of a list are printed.
const SHOWN: usize = 12;
/// How many sizes of images stand in a line.
const SIZES_PER_LINE: usize = 8;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk inspect                                      # the built-in model
  hawk inspect Alpha-VLLM/Lumina-mGPT-7B-768        # sizes, layout, missing and unused tensors
  hawk inspect apple.png --overlay sources.png      # the record, and the source of every cell")]
pub(crate) struct InspectArgs {
    /// Folder of a model, name of a pulled one, or PNG file of `hawk generate` (- is standard input) [default: the built-in model]
    #[arg(value_name = "MODEL|FILE.png")]
    subject: Option<PathBuf>,
    /// Write the image beside a copy that is tinted by the source of each cell: target or drafter
    #[arg(long, value_name = "FILE.png", requires = "subject")]
    overlay: Option<PathBuf>,
}

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    match &args.subject {
        Some(path) if is_image(path) => image(path, args.overlay.as_deref()),
        Some(dir) if args.overlay.is_some() => {
            let expected = "a PNG of `hawk generate`";
            Err(Error::input("--overlay needs an image").at(dir.display()).expected(expected).got("not a file"))
        }
        Some(dir) => model(&dir.display().to_string(), &ModelSource::Dir(find_model(dir)?)),
        None => model(hawk::BUILT_IN, &built_in()?),
    }
}

/// Whether a subject is an image and not a model, also one that is not there.
fn is_image(path: &Path) -> bool {
    let named_so = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    path.as_os_str() == "-" || (!path.is_dir() && (path.exists() || named_so))
}

fn image(path: &Path, out: Option<&Path>) -> Result<()> {
    let mut files = Files::default();
    files.reads("FILE.png", path);
    if let Some(out) = out {
        is_png("--overlay", out)?;
        let _ = files.writes("--overlay", out)?;
    }
    let (image, mut record) = read_png(&inputs::read(path)?).map_err(|e| e.at(path.display()))?;
    let sources = std::mem::take(&mut record.sources);
    say(format_args!("{}: {} x {} pixels", path.display(), image.width, image.height));
    say(serde_json::to_string_pretty(&record).map_err(|e| Error::input(e.to_string()))?);
    let shares = source_shares(&sources);
    for SourceShare { source, cells, share, colour } in &shares {
        let colour = if out.is_some() { *colour } else { "" };
        let source = source.to_string();
        say(format_args!("{source:9}  {cells:5} cells  {:5.1} %  {colour}", share * 100.0).to_string().trim_end());
    }
    let Some(out) = out else { return Ok(()) };
    if shares.is_empty() {
        return Err(Error::input("the image has no record of its cells' sources")
            .at(path.display())
            .hint("an older version wrote it; `hawk again IMAGE.png --out NEW.png` adds the record"));
    }
    write_image(out, &write_plain_png(&overlay(&image, &sources).map_err(|e| e.at(path.display()))?)?)
}

fn model(name: &str, source: &ModelSource) -> Result<()> {
    let found = hawk::inspect(source)?;
    let t = &found.transformer;
    say(format_args!("model      {name}"));
    say(format_args!("digest     {}", source.digest()?));
    if let Some(precision) = hawk::packed_for(source)? {
        say(format_args!("packed     for {precision}, the data match their digest"));
    }
    let norms = match t.norm_placement {
        NormPlacement::Before => "before",
        NormPlacement::After => "after",
    };
    say(format_args!("family     {}, norms {norms} the blocks", t.family.name()));
    if let Some(details) = t.family.rules().details() {
        say(format_args!("           {details}"));
    }
    say(format_args!(
        "sizes      {:.2} M weights: {} layers, hidden size {}, {} heads of {} ({} kv), SwiGLU {}, vocabulary {}",
        found.weights as f64 / 1e6,
        t.layers,
        t.hidden,
        t.heads,
        t.head_dim,
        t.kv_heads,
        t.intermediate,
        t.vocab
    ));
    say(format_args!("positions  {} trained, rotary base {}", t.max_positions, t.rope_base));
    image_side(&found);
    list("faults", &found.faults);
    list("unused", &found.left_over);
    Ok(())
}

/// The structure tokens.
fn structure(structure: Structure) -> String {
    match structure {
        Structure::Lumina { begin, end, row_end, size_base, .. } => {
            format!("Lumina: begin {begin}, height and width from {size_base} on, row end {row_end}, end {end}")
        }
        Structure::Opened { begin } => format!("begin {begin}"),
        Structure::Plain => "cells alone".to_owned(),
        other => format!("{other:?}"),
    }
}

fn image_side(found: &Inspection) {
    if let Some(config) = &found.config {
        let (layout, s) = (&config.layout, config.defaults);
        let (rows, cols) = (layout.grid().rows(), layout.grid().cols());
        let last = layout.code_offset() + layout.codes() - 1;
        say(format_args!("layout     {rows} x {cols} cells, codes at ids {}..={last}", layout.code_offset()));
        say(format_args!("structure  {}", structure(layout.structure())));
        say(format_args!("image      {} x {} pixels", config.image_size.width, config.image_size.height));
        let sizes: Vec<String> = config.image_sizes().iter().map(ToString::to_string).collect();
        if sizes.len() > 1 {
            say(format_args!("sizes      {} for --size", sizes.len()));
            sizes.chunks(SIZES_PER_LINE).for_each(|line| say(format_args!("           {}", line.join(" "))));
        }
        let (cfg, temperature, top_k, top_p) = (s.cfg(), s.temperature(), s.top_k(), s.top_p());
        say(format_args!("sampling   cfg {cfg}, temperature {temperature}, top-k {top_k}, top-p {top_p}"));
    } else if found.transformer.family.rules().is_language_model() {
        say("layout     none (no hawk.json): a language model, for `hawk text`");
    } else {
        say("layout     unknown (no hawk.json, no tokenizers of a public model): only `hawk logits` works");
    }
    if let Some((vq, left_over)) = &found.vq {
        let per_cell = vq.pixels_per_cell();
        say(format_args!("VQ         {} codes of size {}, {per_cell} pixels per cell side", vq.codes, vq.embed_dim));
        list("VQ unused", left_over);
    }
}

fn list(what: &str, names: &[String]) {
    say(format_args!("{what:<10} {}", if names.is_empty() { "none".to_owned() } else { names.len().to_string() }));
    for name in names.iter().take(SHOWN) {
        say(format_args!("           {name}"));
    }
    if names.len() > SHOWN {
        say(format_args!("           and {} more", names.len() - SHOWN));
    }
}
