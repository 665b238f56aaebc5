//! `hawk convert`: the files of a public model into one folder that loads as it is.

use std::num::NonZero;
use std::sync::Arc;

use hawk::Result;
use hawk_nn::{Conversion, ConvertTo, CpuLoader, LlamaGenExtras, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::ConvertArgs;
use crate::hub::find_model;
use crate::{files, say};

/// Names of tensors that are printed.
const SHOWN: usize = 3;

pub(crate) fn run(args: &ConvertArgs) -> Result<()> {
    let to = args.precision.map_or(ConvertTo::Safetensors, ConvertTo::Packed);
    let source = find_model(&args.source)?;
    files::check_folder_can_be_made(&args.out)?;
    let bar = bytes_bar();
    let conversion = Conversion {
        source,
        tokenizer: args.tokenizer.clone(),
        out: args.out.clone(),
        to,
        llamagen: LlamaGenExtras { vq: args.vq.clone(), size: args.size, heads: args.n_head.map(NonZero::get) },
    };
    let hear = bar.clone();
    let progress: Progress = Arc::new(move |done, total| {
        hear.set_length(total);
        hear.set_position(done);
    });
    let converted = conversion.run(&CpuLoader, &progress)?;
    bar.finish_and_clear();
    say(format_args!("from       {}", converted.layout));
    if !converted.left_out.is_empty() {
        let mut shown = converted.left_out[..converted.left_out.len().min(SHOWN)].join(", ");
        if converted.left_out.len() > SHOWN {
            shown += ", ...";
        }
        say(format_args!("left out   {} tensors that nothing reads: {shown}", converted.left_out.len()));
    }
    if let Some(digest) = converted.digest {
        say(format_args!("digest     {digest}"));
    }
    say(format_args!("model      {}", args.out.display()));
    Ok(())
}

/// A bar of bytes that appears with the first of them.
pub(crate) fn bytes_bar() -> ProgressBar {
    let style = "{bar:30} {bytes:>10} of {total_bytes}  {bytes_per_sec}  eta {eta}";
    let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}
