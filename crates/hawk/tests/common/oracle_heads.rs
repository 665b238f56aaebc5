//! Spatial heads that know one image by heart.

use std::path::Path;

use hawk_spec::Code;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// The sizes of the target, and its digest.
pub(crate) struct Target<'a> {
    pub(crate) hidden: usize,
    pub(crate) side: usize,
    pub(crate) codes: usize,
    pub(crate) digest: &'a str,
}

/// Writes heads whose hidden layer has a number for each cell, and whose scores of a code are those of its cells.
pub(crate) fn write_oracle_heads(dir: &Path, target: &Target<'_>, image: &[Code]) {
    let cells = image.len();
    let unit = |height: f32| (0..cells * cells).map(move |i| if i % (cells + 1) == 0 { height } else { 0.0 });
    let bytes = |numbers: &mut dyn Iterator<Item = f32>| numbers.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    let zeros = |count: usize| bytes(&mut std::iter::repeat_n(0.0, count));
    let knows = |code: usize, cell: usize| if image[cell].index() == code { 3.0 } else { 0.0 };
    let mut codes = (0..target.codes * cells).map(|i| knows(i / cells, i % cells));
    let mut tensors = vec![
        ("cells", vec![cells, cells], bytes(&mut unit(10.0))),
        ("out", vec![cells, cells], bytes(&mut unit(1.0))),
        ("out_bias", vec![cells], zeros(cells)),
        ("codes", vec![target.codes, cells], bytes(&mut codes)),
        ("code_bias", vec![target.codes], zeros(target.codes)),
    ];
    for name in ["above.0", "above.1", "above.2"] {
        tensors.push((name, vec![cells, target.hidden], zeros(cells * target.hidden)));
    }
    for name in ["code_above", "code_left"] {
        tensors.push((name, vec![target.codes, cells], zeros(target.codes * cells)));
    }
    let views =
        tensors.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let config = json!({
        "architectures": ["HawkSpatialHeads"], "speculators_model_type": "hawk", "hidden_size": target.hidden,
        "width": cells, "rank": cells, "codes": target.codes, "grid": [target.side, target.side],
        "target": { "name": "a model", "digest": target.digest },
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
}
