//! `hawk convert`: the files of a public model in one folder that loads directly.

use std::num::NonZero;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hawk::{ImageSize, Precision, Result};
use hawk_files::{Conversion, ConvertTo, LlamaGenExtras};
use hawk_hub::find_model;
use hawk_nn::CpuLoader;

use crate::args::image_size;
use crate::output::{files, progress, say};

/// How many names of tensors are printed.
const SHOWN: usize = 3;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  hawk convert Lumina-mGPT-7B-768/ --tokenizer chameleon/tokenizer/ --out lumina/
  hawk convert Janus-Pro-1B/ --out janus-int8/ --precision int8
  hawk convert chameleon/tokenizer/vqgan.ckpt --out lumina/vq/
  hawk convert c2i_B_256.pt --vq vq_ds16_c2i.pt --out llamagen-c2i-B/
  hawk convert LlamaGen-T2I/ --vq vq_ds16_t2i.pt --size 256x256 --out llamagen-t2i-XL/

SRC may hold safetensors or PyTorch pickles, in the layout of Hugging Face or of Meta. No code in a \
pickle is run. The same command resumes an interrupted conversion.

docs/public-models.md says more.")]
pub(crate) struct ConvertArgs {
    /// Folder of a model, name of a pulled one, or file of weights (.safetensors, .pt, .pth, .bin, .ckpt)
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Pack the weights for fast loading; only hawk reads the result [default: keep the number format, as safetensors]
    #[arg(long, value_parser = packed_precision())]
    precision: Option<Precision>,
    /// Folder with text_tokenizer.json, vqgan.yaml and vqgan.ckpt [default: the usual places around SRC]
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// LlamaGen: file of the VQ tokenizer [default: vq_ds16_c2i.pt or vq_ds16_t2i.pt beside SRC]
    #[arg(long, value_name = "FILE")]
    vq: Option<PathBuf>,
    /// LlamaGen: image size in pixels, such as 256x256 [default: 256, 384 or 512 in the name of SRC]
    #[arg(long, value_name = "WxH", value_parser = image_size)]
    size: Option<ImageSize>,
    /// LlamaGen: attention heads per layer [default: those of the published size]
    #[arg(long, value_name = "N")]
    n_head: Option<NonZero<usize>>,
}

fn packed_precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["bf16", "f16", "int8"]).try_map(|name| name.parse())
}

pub(crate) fn run(args: &ConvertArgs) -> Result<()> {
    let to = args.precision.map_or(ConvertTo::Safetensors, ConvertTo::Packed);
    let source = find_model(&args.source)?;
    files::check_folder_can_be_made(&args.out)?;
    let (bar, progress) = progress::bytes_bar();
    let conversion = Conversion {
        source,
        tokenizer: args.tokenizer.clone(),
        out: args.out.clone(),
        to,
        llamagen: LlamaGenExtras { vq: args.vq.clone(), size: args.size, heads: args.n_head.map(NonZero::get) },
    };
    let converted = conversion.run(&CpuLoader, &progress)?;
    bar.finish_and_clear();
    say(format_args!("from       {}", converted.layout));
    if !converted.left_out.is_empty() {
        let mut shown = converted.left_out[..converted.left_out.len().min(SHOWN)].join(", ");
        if converted.left_out.len() > SHOWN {
            shown += ", ...";
        }
        say(format_args!("unused     {} tensors left out: {shown}", converted.left_out.len()));
    }
    if let Some(digest) = converted.digest {
        say(format_args!("digest     {digest}"));
    }
    say(format_args!("model      {}", args.out.display()));
    Ok(())
}
